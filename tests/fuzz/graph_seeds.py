"""Small nets for the target `graph`: blocks of real ones with the attributes that MXNet writes, and every operator."""

import json

from gluon_dc.runtime.choice_cache import FORMAT

_CONV = {"kernel": "(3, 3)", "stride": "(1, 1)", "pad": "(1, 1)", "dilate": "(1, 1)", "num_group": "1",
         "layout": "NCHW"}
_POOL = {"kernel": "(3, 3)", "stride": "(2, 2)", "pad": "(0, 0)", "global_pool": "False", "layout": "NCHW"}
_NORM = {"axis": "1", "eps": "1e-05", "fix_gamma": "False", "momentum": "0.9", "use_global_stats": "False"}
_RELU = {"act_type": "relu"}
_HALF = {"dim": "1", "num_args": "2"}


def graph_seeds() -> list[bytes]:
    """Inputs of the target `graph`, all of which it takes."""
    nets = [_lenet(), _fire(), _residual(), _dense_block(), _squeeze_and_excite(), _inception(), _split_attention(),
            _xception(), _nasnet(), _alexnet(), _grouped(), *_single()]
    return [json.dumps(net, separators=(",", ":")).encode() for net in nets] + _raw()


def choice_seeds() -> list[bytes]:
    """Inputs of the target `choices`: files as they are written."""
    key = "matrix 4x16, input 16, batch 1, kept 0.66, uneven 0.04, codebook of 2 bits, threads 1"
    entry = {"form": "window", "microseconds": {"window": 1.5, "dense": 20}}
    files = [{"format": FORMAT, "machine": {"cpu": "x"}, "entries": {key: entry, "other": entry}},
             {"format": FORMAT, "entries": {key: {"form": "sliced", "microseconds": {}}}}]
    return [json.dumps(file).encode() for file in files]


def _net(*shape):
    return [list(shape)]


def _add(net, op, inputs, **attrs):
    net.append([op, inputs, attrs])
    return len(net) - 1


def _parameters(net, *shapes):
    net += [list(shape) for shape in shapes]
    return list(range(len(net) - len(shapes), len(net)))


def _conv(net, x, filters, channels, kernel=3, bias=True, **more):
    groups = int(more.get("num_group", 1))
    shapes = [(filters, channels // groups, kernel, kernel), *[(filters,)] * bias]
    size = {"kernel": f"({kernel}, {kernel})", "pad": f"({kernel // 2}, {kernel // 2})"}
    return _add(net, "Convolution", [x, *_parameters(net, *shapes)],
                **{**_CONV, **size, "num_filter": str(filters), "no_bias": str(not bias), **more})


def _dense(net, x, hidden, inputs, **more):
    return _add(net, "FullyConnected", [x, *_parameters(net, (hidden, inputs), (hidden,))],
                num_hidden=str(hidden), no_bias="False", flatten="True", **more)


def _norm(net, x, channels, **more):
    return _add(net, "BatchNorm", [x, *_parameters(net, *[(channels,)] * 4)], **{**_NORM, **more})


def _relu(net, x):
    return _add(net, "Activation", [x], **_RELU)


def _lenet():
    net = _net(2, 1, 12, 12)
    x = _conv(net, 0, 4, 1, 5, pad="(0, 0)")
    x = _add(net, "Pooling", [x], **{**_POOL, "kernel": "(2, 2)", "pool_type": "max"})
    x = _relu(net, _dense(net, x, 6, 64))
    _add(net, "softmax", [_dense(net, x, 3, 6)], axis="-1")
    return net


def _fire():
    net = _net(1, 6, 7, 7)
    x = _relu(net, _conv(net, 0, 4, 6, 1))
    parts = [_relu(net, _conv(net, x, 6, 4, kernel)) for kernel in (1, 3)]
    x = _add(net, "Concat", parts, **_HALF)
    x = _add(net, "Pooling", [x], **_POOL, pool_type="max", pooling_convention="full")
    x = _add(net, "Dropout", [x], p="0.5", axes="()")
    _add(net, "Flatten", [_add(net, "Pooling", [x], kernel="(3, 3)", global_pool="True", pool_type="avg")])
    return net


def _residual():
    net = _net(2, 4, 5, 5)
    x = _relu(net, _norm(net, _conv(net, 0, 4, 4, bias=False), 4))
    x = _norm(net, _conv(net, x, 4, 4), 4, fix_gamma="True")
    x = _relu(net, _add(net, "elemwise_add", [x, 0]))
    _add(net, "elemwise_add", [x, _relu(net, _norm(net, x, 4))])
    return net


def _dense_block():
    net = _net(1, 3, 4, 4)
    x = 0
    for channels in (3, 5, 7):
        made = _conv(net, _relu(net, _norm(net, x, channels)), 2, channels, bias=False)
        x = _add(net, "Concat", [x, made], **_HALF)
    net.append({"heads": [x, made, 0]})
    return net


def _squeeze_and_excite():
    net = _net(2, 6, 4, 4)
    x = _conv(net, 0, 6, 6, num_group="6", bias=False)
    gate = _add(net, "_div_scalar", [_add(net, "clip", [_add(net, "_plus_scalar", [x], scalar="3.0")], a_min="0",
                                          a_max="6")], scalar="6.0")
    x = _add(net, "elemwise_mul", [x, gate])
    mean = _add(net, "_contrib_AdaptiveAvgPooling2D", [x], output_size="1")
    mean = _add(net, "Activation", [_conv(net, _relu(net, _conv(net, mean, 2, 6, 1)), 6, 2, 1)], act_type="sigmoid")
    _add(net, "broadcast_mul", [x, mean])
    return net


def _inception():
    net = _net(1, 3, 6, 6)
    pooled = _add(net, "Pooling", [0], **{**_POOL, "stride": "(1, 1)", "pad": "(1, 1)"}, pool_type="avg",
                  count_include_pad="False")
    parts = [_conv(net, 0, 2, 3, 1), _conv(net, pooled, 3, 3, 1), pooled]
    x = _add(net, "Concat", parts, dim="1", num_args="3")
    _add(net, "LRN", [x], alpha="0.0001", beta="0.75", knorm="2", nsize="5")
    return net


def _split_attention():
    net = _net(2, 8, 3, 3)
    x = _add(net, "Reshape", [_add(net, "expand_dims", [0], axis="1")], shape="(0, 2, 4, 0, 0)")
    gap = _add(net, "sum", [x], axis="1")
    gap = _add(net, "mean", [gap], axis="(2, 3)", keepdims="True")
    gap = _add(net, "Reshape", [_add(net, "Concat", [gap, gap], **_HALF)], shape="(0, 1, 2, -1)")
    gap = _add(net, "SwapAxis", [gap], dim1="1", dim2="2")
    weight = _add(net, "Reshape", [_add(net, "softmax", [gap], axis="1")], shape="(0, 2, -1, 1, 1)")
    _add(net, "sum", [_add(net, "broadcast_mul", [x, weight])], axis="1")
    return net


def _xception():
    net = _net(1, 4, 5, 5)
    x = _add(net, "Pad", [0], mode="constant", constant_value="0", pad_width="(0, 0, 0, 0, 1, 1, 1, 1)")
    x = _conv(net, _norm(net, _conv(net, x, 4, 4, pad="(0, 0)", num_group="4", bias=False), 4), 6, 4, 1)
    _add(net, "elemwise_add", [x, _conv(net, 0, 6, 4, 1)])
    return net


def _nasnet():
    net = _net(1, 4, 6, 6)
    x = _add(net, "Pad", [0], mode="reflect", pad_width="(0, 0, 0, 0, 0, 1, 0, 1)")
    x = _add(net, "slice", [x], begin="(0, 0, 1, 1)", end="(None, None, None, None)")
    x = _add(net, "slice_axis", [_add(net, "Concat", [x, 0], **_HALF)], axis="1", begin="2", end="None")
    _add(net, "transpose", [x], axes="(0, 2, 3, 1)")
    return net


def _alexnet():
    net = _net(1, 3, 11, 11)
    x = _relu(net, _conv(net, 0, 4, 3, 5, stride="(2, 2)", pad="(2, 2)"))
    x = _add(net, "Flatten", [_add(net, "Pooling", [x], **_POOL, pool_type="max")])
    _dense(net, _add(net, "Dropout", [_relu(net, _dense(net, x, 5, 16))], p="0.5"), 7, 5)
    return net


def _grouped():
    net = _net(1, 4, 6, 6)
    x = _conv(net, 0, 6, 4, num_group="2", dilate="(2, 2)", pad="(2, 2)")
    x = _add(net, "LeakyReLU", [x, *_parameters(net, (6,))], act_type="prelu")
    rows = _add(net, "Reshape", [x], shape="(-3, -2)")
    _add(net, "FullyConnected", [rows, *_parameters(net, (2, 6))], num_hidden="2", no_bias="True", flatten="False")
    return net


def _single():
    one, two, four = [2, 3], [2, 3, 4], [1, 2, 4, 4]
    unary = [(one, "LeakyReLU", {"act_type": "leaky", "slope": "0.1"}), (one, "LeakyReLU", {"act_type": "elu"}),
             (one, "LeakyReLU", {"act_type": "selu"}), (one, "LeakyReLU", {"act_type": "gelu"}),
             (one, "hard_sigmoid", {"alpha": "0.2", "beta": "0.5"}), (one, "Activation", {"act_type": "softrelu"}),
             (one, "Activation", {"act_type": "tanh"}), (one, "Activation", {"act_type": "softsign"}),
             (one, "log_softmax", {"axis": "-1"}), (one, "SoftmaxActivation", {"mode": "channel"}),
             (two, "max", {"axis": "(0, 2)", "exclude": "True"}), (two, "expand_dims", {"axis": "-1"}),
             ([2, 1, 3, 1], "squeeze", {}), ([2, 1, 3, 1], "squeeze", {"axis": "(1,)"}), (one, "_copy", {}),
             (one, "BlockGrad", {}), (four, "Pooling", {"kernel": "(2, 2)", "pool_type": "sum", "stride": "(1, 1)"}),
             (four, "_contrib_AdaptiveAvgPooling2D", {"output_size": "(3, 2)"})]
    unary += [(one, f"_{name}_scalar", {"scalar": "1.5"}) for name in ("minus", "rminus", "mul", "rdiv", "maximum",
                                                                     "minimum")]
    nets = [[shape, [op, [0], attrs]] for shape, op, attrs in unary]
    for name in ("sub", "div", "add", "mul"):
        nets.append([two, [2, 1, 4], [f"broadcast_{name}", [0, 1], {}], [2, 3, 4], [f"elemwise_{name}", [2, 3], {}]])
    return nets


def _raw():
    nodes = [{"op": "null", "name": "data", "attrs": {"__shape__": "(0, 2, 6, 6)"}, "inputs": []},
             {"op": "null", "name": "w", "inputs": []}, {"op": "null", "name": "b", "inputs": []},
             {"op": "Convolution", "name": "c", "attrs": {"kernel": "(3, 3)", "num_filter": "4"},
              "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 0]]},
             {"op": "relu", "name": "r", "inputs": [[3, 0]]}, {"op": "null", "name": "d", "inputs": []},
             {"op": "FullyConnected", "name": "f", "attr": {"num_hidden": "3", "no_bias": "True"},
              "inputs": [[4, 0, 0], [5, 0, 0]]}]
    version = {"mxnet_version": ["int", 10901]}
    return [json.dumps({"nodes": nodes, "arg_nodes": [0, 1, 2, 5], "heads": [[6, 0, 0]], "attrs": version}).encode()]
