"""Blocks that run from codes in a Gluon net, and the blocks that hold them. `sparse_blocks` makes them.

A kernel that is not MXNet's has no place in a graph of MXNet's: the blocks that hold such layers run their children one
by one; and hybridized, the net runs its graph without MXNet (`runtime.session`) where all of its weights run from codes
and all operators are known.
"""

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon

from ..runtime.forms import Geometry
from .parameters import memory

_MAX_SHAPES = 64  # of inputs, whose form a layer remembers


class _Running(gluon.HybridBlock):
    # What a block that runs from codes and the blocks that hold one have in common: MXNet has no graph of them.
    @property
    def _active(self):
        return False

    @_active.setter
    def _active(self, value):
        """`hybridize` sets it; children without such layers may still have graphs of their own."""

    def _refused(self, *args, **kwargs):
        raise ValueError("a net that gluon_dc.sparsify has made holds no weights to save, load or export; keep its "
                         "compressed model (.gdc)")

    save_parameters = load_parameters = save_params = load_params = export = optimize_for = _refused


class SparseHolder(_Running):
    """A block that holds layers that run from codes; the outermost runs its whole graph once it is hybridized."""

    _session = _whole = None

    def hybridize(self, active=True, **kwargs):
        """As any block's; MXNet's options are for the children without such layers."""
        super().hybridize(active, **kwargs)
        if self._whole is not None:
            self.__dict__["_session"] = self._whole.session() if active else None
            self._sparse[0].forget_forms()
            self.apply(lambda block: block._known.clear() if isinstance(block, SparseLayer) else None)

    def forward(self, x, *args):
        if self._session is None or args or not isinstance(x, mx.nd.NDArray):
            return super().forward(x, *args)
        _check_input(x, "the net")
        found = self._session.run(memory(x))
        return _as_ndarray(found, x.context) if isinstance(found, np.ndarray) else [
            _as_ndarray(array, x.context) for array in found]


class SparseLayer(_Running):
    """A layer that runs from codes."""

    runs_from_codes = True

    def forward(self, x, *args):
        _check_input(x, self._weight_name)
        return self._run(x)

    def _run(self, x):
        prepared, shape, view = self._prepared(x.shape)
        relu = self.act is not None and self.act._act_type == "relu"
        bias = None if self.bias is None else self.bias.data()
        if prepared.name == "dense":
            y = prepared.form.call(x.reshape(view), bias).reshape(shape)
            return y if self.act is None else self.act(y)
        y = mx.nd.empty(shape, x.context)
        out = memory(y)
        prepared.form.apply(memory(x).reshape(view), None if bias is None else memory(bias), relu,
                            out.reshape(-1, prepared.form.rows) if len(view) == 2 else out, self._threads)
        return y if self.act is None or relu else self.act(y)

    def _prepared(self, shape):
        # (Prepared, shape of the output, shape of the input as the form sees it).
        found = self._known.get(shape)
        if found is None:
            if len(self._known) >= _MAX_SHAPES:
                self._known.clear()
            found = self._known[shape] = self._prepare(shape)
        return found

    def _check_shape(self, shape, is_right, expected):
        if not is_right:
            raise ValueError(f"{self._weight_name}: expected an input of shape {expected}, got {shape}")

    def __repr__(self):
        return f"Sparse{self.plain_class.__name__}({' x '.join(map(str, self._weights.shapes[self._weight_name]))})"


class SparseMatrix(SparseLayer):
    """A Dense layer that runs from codes."""

    def _prepare(self, shape):
        rows, cols = self._weights.shapes[self._weight_name]
        columns = int(np.prod(shape[1:])) if self._flatten else shape[-1]
        self._check_shape(shape, columns == cols and len(shape) > 1,
                          f"(n, {cols})" if self._flatten else f"(..., {cols})")
        n = int(np.prod(shape)) // cols
        prepared = self._weights.matrix(self._weight_name, n)
        return prepared, (n, rows) if self._flatten else (*shape[:-1], rows), (n, cols)


class SparseConv(SparseLayer):
    """A 2-D convolution that runs from codes."""

    def _prepare(self, shape):
        weight, options = self._weights.shapes[self._weight_name], self._kwargs
        geometry = Geometry(*(tuple(options[key]) for key in ("stride", "pad", "dilate")), options["num_group"])
        channels = weight[1] * geometry.groups
        self._check_shape(shape, len(shape) == 4 and shape[1] == channels, f"(n, {channels}, h, w)")
        output = (shape[0], weight[0], *geometry.output_size(shape[2:], weight[2:]))
        return self._weights.convolution(self._weight_name, geometry, shape), output, shape


def _check_input(x, name):
    if not isinstance(x, mx.nd.NDArray):
        raise ValueError(f"{name}: a layer made by gluon_dc.sparsify has no symbol: do not hybridize or trace a block "
                         "that holds the sparsified net")
    if autograd.is_recording():
        raise RuntimeError(f"{name}: a sparsified net is for inference only; call it outside of autograd.record()")
    if x.dtype != np.float32 or x.stype != "default" or not x.context.device_type.startswith("cpu"):
        raise ValueError(f"{name}: expected a float32 array on the CPU, got {np.dtype(x.dtype)} ({x.stype}) on "
                         f"{x.context}")


def _as_ndarray(array, context):
    made = mx.nd.empty(array.shape, context)
    memory(made)[...] = array
    return made
