"""An ONNX graph in the making: nodes, constants, names."""

from dataclasses import dataclass, field

import numpy as np

from .onnx_file import Tensor

# The oldest set of operators that has all that is needed; onnxruntime runs it since version 1.7.
OPSET = 13
FUNCTIONS_DOMAIN = "gluon_dc"
# Larger constants are weights, and no two weights are expected to be equal.
_MOST_SHARED_NBYTES = 4096


@dataclass
class Builder:
    """Collects nodes in order, and constants, equal ones once. named: whether nodes get names (outputs always have)."""

    named: bool = True
    nodes: list = field(default_factory=list)
    tensors: dict = field(default_factory=dict)
    functions: set = field(default_factory=set)
    _taken: set = field(default_factory=set)
    _constants: dict = field(default_factory=dict)

    def name(self, wanted: str) -> str:
        """A name that nothing in the graph has yet: the wanted one, or that and a number. "" means none in ONNX."""
        name, count = wanted, len(self._taken)
        while not name or name in self._taken:
            name, count = f"{wanted}_{count}", count + 1
        self._taken.add(name)
        return name

    def node(self, op: str, inputs, wanted: str = "", domain: str = "", **attributes) -> str:
        """Add a node of one output and return the output's name."""
        from onnx import helper
        output = self.name(wanted)
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output if self.named else None,
                                           domain=domain, **attributes))
        return output

    def call(self, function: str, inputs, wanted: str = "") -> str:
        """Add a call of one of the functions of `onnx_decoders`."""
        self.functions.add(function)
        return self.node(function, inputs, wanted, FUNCTIONS_DOMAIN)

    def constant(self, value, dtype=np.float32, wanted: str = "c") -> str:
        """The name of a constant; equal small ones are one."""
        array = np.asarray(value, dtype)
        if array.nbytes > _MOST_SHARED_NBYTES:
            return self.add(Tensor.of(self.name(wanted), array))
        key = array.dtype.name, array.shape, array.tobytes()
        if key not in self._constants:
            self._constants[key] = self.add(Tensor.of(self.name(wanted), array))
        return self._constants[key]

    def add(self, tensor: Tensor) -> str:
        """Add a constant whose name `name` has given; return that name."""
        self.tensors[tensor.name] = tensor
        return tensor.name
