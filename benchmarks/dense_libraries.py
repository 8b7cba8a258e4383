"""Other libraries' dense layers, for dense_layers.py: dense ones, and CSR matrices of the same weights.

Each function takes weight float32 (rows, cols), x float32 (batch, cols) and the number of threads, and returns the
bytes of the weights as the library holds them and a function that makes a copy of the layer: a call () -> (batch,
rows). No bias, and nothing in a call but the product.
"""

from importlib.util import find_spec


def is_installed(name: str) -> bool:
    """Whether the library of this name in LAYERS can be measured here."""
    return all(find_spec(package) is not None for package in _PACKAGES[name])


def numpy_dense(weight, x, threads):
    """NumPy's BLAS."""
    import numpy as np

    def copy():
        own = weight.copy()
        return (lambda: (own @ x[0])[None]) if len(x) == 1 else (lambda: np.dot(x, own.T))
    return weight.nbytes, copy


def mxnet_dense(weight, x, threads):
    """Gluon's Dense, hybridized."""
    import mxnet as mx
    from mxnet import gluon
    data = mx.nd.array(x)

    def copy():
        layer = gluon.nn.Dense(weight.shape[0], use_bias=False, in_units=weight.shape[1])
        layer.initialize()
        layer.weight.set_data(mx.nd.array(weight))
        layer.hybridize(static_alloc=True, static_shape=True)

        def call():
            y = layer(data)
            y.wait_to_read()
            return MXNetResult(y)
        return call
    return weight.nbytes, copy


class MXNetResult:
    """An NDArray that becomes a NumPy array only when it is compared."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None):
        return self._array.asnumpy()


def onnxruntime_dense(weight, x, threads):
    """One Gemm node."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    graph = helper.make_graph(
        [node], "dense", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (len(x), weight.shape[0]))],
        [helper.make_tensor("w", TensorProto.FLOAT, weight.shape, weight.tobytes(), raw=True)])
    text = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads

    def copy():
        session = onnxruntime.InferenceSession(text, settings, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"x": x})[0]
    return weight.nbytes, copy


def torch_dense(weight, x, threads):
    """torch.nn.functional.linear."""
    import torch
    torch.set_num_threads(threads)
    data = torch.from_numpy(x)

    def copy():
        own = torch.from_numpy(weight.copy())
        call = torch.inference_mode()(lambda: torch.nn.functional.linear(data, own))
        return call
    return weight.nbytes, copy


def scipy_csr(weight, x, threads):
    """SciPy's CSR matrix."""
    from scipy.sparse import csr_matrix
    matrix = csr_matrix(weight)
    data = x[0] if len(x) == 1 else x.T.copy()

    def copy():
        own = matrix.copy()
        return lambda: (own @ data).T.reshape(len(x), -1)
    return matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes, copy


def torch_csr(weight, x, threads):
    """torch's CSR tensor (MKL)."""
    import warnings

    import torch
    from scipy.sparse import csr_matrix
    warnings.filterwarnings("ignore", message="Sparse")
    torch.set_num_threads(threads)
    matrix, data = csr_matrix(weight), torch.from_numpy(x.T.copy())

    def copy():
        parts = [torch.from_numpy(part.copy()) for part in (matrix.indptr, matrix.indices, matrix.data)]
        own = torch.sparse_csr_tensor(*parts, size=weight.shape)
        return torch.inference_mode()(lambda: (own @ data).T)
    return matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes, copy


LAYERS = {"MXNet Dense": mxnet_dense, "NumPy": numpy_dense, "onnxruntime": onnxruntime_dense, "torch": torch_dense,
          "SciPy CSR": scipy_csr, "torch CSR": torch_csr}
_PACKAGES = {"MXNet Dense": ("mxnet",), "NumPy": ("numpy",), "onnxruntime": ("onnx", "onnxruntime"),
             "torch": ("torch",), "SciPy CSR": ("scipy",), "torch CSR": ("torch", "scipy")}
