"""An ONNX file written tensor by tensor: of the weights only one is in memory, and sizes are known beforehand.

An ONNX file is one protobuf message, ModelProto, with a GraphProto inside and in that a TensorProto for each tensor
(onnx/onnx.proto). A message's bytes are those of its fields in any order, each with its size before it; so the package
`onnx` writes all small fields and the tensors' data are copied behind them.
"""

from dataclasses import dataclass
from math import prod
from typing import Callable

import numpy as np

from ..coding.files import write_atomically
from ..coding.wire import write_varint

# Field numbers of onnx.proto, each with wire type 2: a size and that many bytes.
_GRAPH, _INITIALIZER, _RAW_DATA = (bytes([field << 3 | 2]) for field in (7, 5, 9))
_DATA_TYPES = {"float32": 1, "uint8": 2, "int32": 6, "int64": 7, "float16": 10}
# Readers of protobuf refuse longer messages.
MAX_NBYTES = 2**31 - 1


@dataclass(frozen=True)
class Tensor:
    """A constant of the graph. dtype: name of a NumPy dtype. content() gives the array of this dtype and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    content: Callable[[], np.ndarray]

    @classmethod
    def of(cls, name: str, array) -> "Tensor":
        """The tensor of an array that is kept."""
        return cls(name, array.dtype.name, array.shape, lambda: array)

    @property
    def nbytes(self) -> int:
        """Bytes of its data."""
        return np.dtype(self.dtype).itemsize * prod(self.shape)

    def header(self) -> bytes:
        """All of its message but the data themselves."""
        from onnx import TensorProto
        begin = TensorProto(dims=self.shape, data_type=_DATA_TYPES[self.dtype], name=self.name)
        return begin.SerializeToString() + _RAW_DATA + write_varint(self.nbytes)


@dataclass(frozen=True)
class OnnxModel:
    """A model and the constants that its graph does not have yet. proto: onnx.ModelProto."""

    proto: object
    tensors: tuple[Tensor, ...]

    @property
    def nbytes(self) -> int:
        """Size of the file."""
        begin, graph_nbytes, graph = self._parts()
        return len(begin) + len(_GRAPH) + len(write_varint(graph_nbytes)) + graph_nbytes

    def write(self, target, progress=None) -> None:
        """Write the model to a path (the file appears whole or not at all) or into a binary file that is open.

        progress(nbytes), if given, is called after each tensor. ValueError, before anything is written, for a model of
        2 GiB or more; OSError where the file cannot be written.
        """
        if hasattr(target, "write"):
            self._write(target, progress)
        else:
            write_atomically(target, lambda file: self._write(file, progress))

    def _write(self, file, progress):
        begin, graph_nbytes, graph = self._parts()
        if self.nbytes > MAX_NBYTES:
            raise ValueError(f"the ONNX file would have {self.nbytes:,} bytes, and its format ends at {MAX_NBYTES:,}: "
                             "take the compact form, or weights alone (tools/export_weights.py)")
        file.write(begin + _GRAPH + write_varint(graph_nbytes) + graph)
        for tensor in self.tensors:
            header = tensor.header()
            file.write(_INITIALIZER + write_varint(len(header) + tensor.nbytes) + header)
            array = tensor.content()
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data)
            if progress:
                progress(tensor.nbytes)

    def _parts(self):
        # What stands before the graph, size of the graph, and the graph without its tensors.
        rest = type(self.proto)()
        rest.CopyFrom(self.proto)
        rest.ClearField("graph")
        graph = self.proto.graph.SerializeToString(deterministic=True)
        nbytes = len(graph)
        for tensor in self.tensors:
            size = len(tensor.header()) + tensor.nbytes
            nbytes += len(_INITIALIZER) + len(write_varint(size)) + size
        return rest.SerializeToString(deterministic=True), nbytes, graph
