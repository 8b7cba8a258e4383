"""One convolution in other libraries, for conv_layers.py.

Each maker takes x float32 (n, c, h, w), weight (filters, channels of a group, k, k), bias, stride, pad, groups and the
number of threads, and returns a call () -> what np.asarray makes the output of.
"""

from importlib.util import find_spec

LIBRARIES = {"MXNet": "mxnet", "onnxruntime": "onnxruntime", "torch": "torch"}


def missing_libraries(names):
    """Those that are not installed."""
    return [name for name in names if find_spec(LIBRARIES[name]) is None
            or (name == "onnxruntime" and find_spec("onnx") is None)]


def mxnet_call(x, weight, bias, stride, pad, groups, threads):
    """A hybridized Conv2D, its result waited for."""
    import mxnet as mx
    from mxnet import gluon
    layer = gluon.nn.Conv2D(weight.shape[0], weight.shape[2:], stride, pad, groups=groups,
                            in_channels=weight.shape[1] * groups)
    layer.initialize()
    layer.weight.set_data(mx.nd.array(weight))
    layer.bias.set_data(mx.nd.array(bias))
    layer.hybridize(static_alloc=True, static_shape=True)
    data = mx.nd.array(x)

    def call():
        y = layer(data)
        y.wait_to_read()
        return MXNetResult(y)
    return call


class MXNetResult:
    """An NDArray that becomes a NumPy array only when it is compared."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None):
        return self._array.asnumpy()


def onnxruntime_call(x, weight, bias, stride, pad, groups, threads):
    """A session of a graph of one Conv."""
    import onnxruntime
    from onnx import TensorProto, helper
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=[stride] * 2, pads=[pad] * 4,
                            kernel_shape=list(weight.shape[2:]), group=groups)
    graph = helper.make_graph(
        [node], "convolution", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("w", TensorProto.FLOAT, weight.shape, weight.tobytes(), raw=True),
         helper.make_tensor("b", TensorProto.FLOAT, bias.shape, bias.tobytes(), raw=True)])
    text = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(text, settings, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})[0]


def torch_call(x, weight, bias, stride, pad, groups, threads):
    """torch's convolution of a weight in its own layout."""
    import torch
    torch.set_num_threads(threads)
    layer = torch.nn.Conv2d(weight.shape[1] * groups, weight.shape[0], weight.shape[2:], stride, pad, groups=groups)
    layer.weight.data, layer.bias.data = torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy())
    data = torch.from_numpy(x)
    return torch.inference_mode()(lambda: layer(data))


MAKERS = {"MXNet": mxnet_call, "onnxruntime": onnxruntime_call, "torch": torch_call}
