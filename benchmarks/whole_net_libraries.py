"""Whole nets in our forms and in other libraries, for whole_nets.py.

Each function takes the path of a .gdc file with a graph, inputs x float32 (batch, ...) and the number of threads, and
returns a call () -> what np.asarray makes (batch, classes) of. The weights are those of the file, bit for bit; only
int8 has its own.
"""

import sys
from contextlib import contextmanager
from importlib.util import find_spec

PACKAGES = {"ours, session": (), "ours, int8": (), "ours, sparsify": ("mxnet",), "MXNet": ("mxnet",),
            "MXNet int8": ("mxnet",), "onnxruntime": ("onnxruntime", "onnx"), "torch": ("torch",)}


def missing_packages(name):
    """Packages that a contender needs and that are not installed."""
    return [package for package in PACKAGES[name] if find_spec(package) is None]


class Result:
    """An NDArray that becomes a NumPy array only when it is compared."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None):
        return self._array.asnumpy()


@contextmanager
def without_torch():
    """GluonCV refuses to be imported beside torch 2; it does without."""
    hidden = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "torch"}
    for name in hidden:
        del sys.modules[name]
    sys.modules["torch"] = None
    try:
        yield
    finally:
        del sys.modules["torch"]
        sys.modules.update(hidden)


def gluon_net(path):
    """A plain Gluon net, uninitialized, of the architecture that a file names, and its model."""
    import gluon_dc as dc
    with without_torch():
        from gluon_dc.models import zoo
        model = dc.load(path)
        return zoo.without_gradients(zoo.build(model.metadata["network"])), model


def session(path, x, threads, precision="float32"):
    import gluon_dc as dc
    found = dc.session(path, threads=threads, batch=len(x), input_shape=x.shape[1:], precision=precision)

    def call():
        return found.run(x)
    call.table = found.table
    call.profile = lambda: found.profile(x)
    return call


def session_int8(path, x, threads):
    return session(path, x, threads, "int8")


def sparsified(path, x, threads):
    import mxnet as mx

    import gluon_dc as dc
    net, model = gluon_net(path)
    dc.sparsify(model, net, threads=threads)
    net.hybridize()
    return _waiting(net, mx.nd.array(x), lambda: dc.sparse_table(net))


def mxnet_dense(path, x, threads):
    import mxnet as mx

    import gluon_dc as dc
    net, model = gluon_net(path)
    dc.restore(model, net)
    net.hybridize(static_alloc=True, static_shape=True)
    return _waiting(net, mx.nd.array(x))


def mxnet_int8(path, x, threads):
    import logging

    import mxnet as mx
    from mxnet.contrib.quantization import quantize_net_v2

    import gluon_dc as dc
    net, model = gluon_net(path)
    dc.restore(model, net)
    net.hybridize()
    data = mx.nd.array(x)
    net(data).wait_to_read()
    loader = mx.io.NDArrayIter(x, batch_size=len(x))
    quiet = logging.getLogger("quantize")
    quiet.setLevel(logging.CRITICAL)
    quantized = quantize_net_v2(net, quantized_dtype="auto", calib_mode="naive", calib_data=loader, logger=quiet)
    quantized.hybridize(static_alloc=True, static_shape=True)
    return _waiting(quantized, data)


def _waiting(net, data, table=None):
    def call():
        y = net(data)
        y.wait_to_read()
        return Result(y)
    call.table = table
    return call


def onnxruntime(path, x, threads):
    import tempfile

    import onnxruntime as ort

    import gluon_dc as dc
    from gluon_dc.export.onnx_export import to_onnx
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    model = to_onnx(dc.load(path), x.shape[1:])
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/net.onnx", "wb") as file:
            model.write(file)
        found = ort.InferenceSession(f"{folder}/net.onnx", settings, providers=["CPUExecutionProvider"])
    name = found.get_inputs()[0].name
    return lambda: found.run(None, {name: x})[0]


def torch(path, x, threads):
    import torch

    import gluon_dc as dc
    from gluon_dc.runtime.graph import read_graph
    torch.set_num_threads(threads)
    model = dc.load(path)
    arrays = {name: torch.from_numpy(array.copy()) for name, array in model.decode().items()}
    graph = read_graph(model.graph, arrays)
    data = torch.from_numpy(x)

    @torch.inference_mode()
    def call():
        values = []
        for node in graph.nodes:
            if node.op == "null":
                values.append(arrays.get(node.name, data))
            else:
                values.append(_TORCH[node.op](torch.nn.functional, node, *(values[i] for i in node.inputs)))
        return values[graph.outputs[0]]
    return call


def _pair(node, name, default):
    from gluon_dc.runtime.attributes import integers
    return tuple(integers(node, name, default))


def _torch_convolution(f, node, x, weight, bias=None):
    return f.conv2d(x, weight, bias, _pair(node, "stride", (1, 1)), _pair(node, "pad", (0, 0)),
                    _pair(node, "dilate", (1, 1)), int(node.attrs.get("num_group", 1)))


def _torch_activation(f, node, x):
    return {"relu": f.relu_, "tanh": f.tanh, "sigmoid": f.sigmoid}[node.attrs["act_type"]](x)


def _torch_pooling(f, node, x):
    average = node.attrs.get("pool_type", "max") == "avg"
    if node.attrs.get("global_pool") == "True":
        return (f.adaptive_avg_pool2d if average else f.adaptive_max_pool2d)(x, 1)
    window = _pair(node, "kernel", None), _pair(node, "stride", (1, 1)), _pair(node, "pad", (0, 0))
    full = node.attrs.get("pooling_convention", "valid") == "full"
    return f.avg_pool2d(x, *window, full) if average else f.max_pool2d(x, *window, 1, full)


def _torch_concat(f, node, *parts):
    import torch
    return torch.cat(parts, int(node.attrs.get("dim", 1)))


_TORCH = {
    "Convolution": _torch_convolution, "Activation": _torch_activation, "Pooling": _torch_pooling,
    "Concat": _torch_concat,
    "FullyConnected": lambda f, node, x, weight, bias=None: f.linear(x.flatten(1), weight, bias),
    "Flatten": lambda f, node, x: x.flatten(1), "Dropout": lambda f, node, x: x,
}
MAKERS = {"ours, session": session, "ours, int8": session_int8, "ours, sparsify": sparsified, "MXNet": mxnet_dense,
          "MXNet int8": mxnet_int8, "onnxruntime": onnxruntime, "torch": torch}
