"""The Parameters that take a weight's place once it is shared, and how values reach every context.

On the CPU arrays are read and written where MXNet keeps them, because a copy of the largest layer of
VGG-16 takes 411 MB.
"""
import ctypes

import mxnet as mx
import numpy as np
from mxnet import gluon
from mxnet.base import _LIB, check_call


class Codebook(gluon.Parameter):
    """The centroids of one shared weight, float32 of shape (k,); entry 0 is 0.0 and stays so.

    `CentroidTrainer` knows by this class which gradients are per-centroid sums and
    keeps entry 0 out of every update.
    """


class Constant(gluon.Parameter):
    """Codes, positions or a mask: integers that a cast of the net to another float type leaves alone.

    `limit`: what is loaded must be in 0..limit - 1, for codes the length of the codebook; None: not checked.
    """

    limit = None

    def cast(self, dtype):
        """Stay as it is."""

    def _load_init(self, data, ctx, cast_dtype=False, dtype_source="current"):
        # Files of earlier versions hold masks as float32. Other floats are no integers: MXNet's check refuses them.
        is_mask = self.limit is None and self.dtype == np.uint8 and data.dtype == np.float32
        is_mask = is_mask and bool(np.isin(data.asnumpy(), (0, 1)).all())
        if self.limit is not None and data.dtype == self.dtype and data.size:
            array = data.asnumpy()
            if not 0 <= array.min() <= array.max() < self.limit:
                raise ValueError(f"{self.name}: expected whole numbers in 0..{self.limit - 1}, got {array.min()} to "
                                 f"{array.max()}; load a file of a net that was shared likewise")
        super()._load_init(data, ctx, cast_dtype=is_mask, dtype_source="current")


class SharedWeight(gluon.Parameter):
    """A dense weight that follows a codebook: weight == codebook[codes] after every update.

    Stands in layers that can only give a dense gradient (transposed convolutions, blocks of the
    user's own). `CentroidTrainer` trains `codebook` in its place: it sums this weight's gradient
    per centroid and writes the weight again from the updated centroids.

    Attributes
    ----------
    codebook : Codebook
    codes : numpy.ndarray, uint8, shape of the weight
    """

    codebook = None
    codes = None

    def reset_ctx(self, ctx):
        """Move to other contexts, the codebook too."""
        super().reset_ctx(ctx)
        self.codebook.reset_ctx(ctx)

    def sum_gradient(self):
        """Set the codebook's gradient to this weight's, summed per centroid (paper Eq. 3)."""
        codes, centroids = self.codes.ravel(), self.codebook.shape[0]
        for ctx in self.list_ctx():
            gradient = self.grad(ctx).asnumpy().ravel()
            sums = np.bincount(codes, weights=gradient, minlength=centroids)
            self.codebook.grad(ctx)[:] = mx.nd.array(sums.astype(np.float32), ctx=ctx)
            # MXNet asks on every step whether backward has written the gradient since the last.
            self.codebook.data(ctx)._fresh_grad = self.data(ctx)._fresh_grad
            self.data(ctx)._fresh_grad = False

    def follow_codebook(self):
        """Write the weight again from the codebook, on every context."""
        for ctx in self.list_ctx():
            centroids = self.codebook.data(ctx).asnumpy()
            self.data(ctx)[:] = mx.nd.array(centroids[self.codes], ctx=ctx)


def filled(cls, name, array, like, trained):
    """A Parameter holding `array` on the contexts of the Parameter `like`.

    With `trained` it also takes over `like`'s grad_req and learning-rate and weight-decay
    multipliers; otherwise it is a constant without a gradient.
    """
    parameter = cls(name, shape=array.shape, dtype=array.dtype,
                    grad_req=like.grad_req if trained else "null",
                    lr_mult=like.lr_mult, wd_mult=like.wd_mult, differentiable=trained)
    parameter._load_init(mx.nd.array(array, dtype=array.dtype), like.list_ctx())
    return parameter


def allocate(parameter, shape, ctx):
    """Give a Parameter without data its arrays, of any content, on a context or a list of them.

    Unlike `initialize` it writes nothing beforehand, and leaves no second array behind for a while.
    """
    parameter.shape, parameter._deferred_init = shape, ()
    parameter._load_init(mx.nd.empty(shape, dtype=parameter.dtype), ctx)


def shape_text(shape):
    """A Parameter's shape for messages, with ? for what is not known yet: MXNet has 0 there, or None for all of it."""
    if shape is None:
        return "unknown"
    return str(tuple(shape)) if all(size > 0 for size in shape) else (
        f"({', '.join(str(size) if size > 0 else '?' for size in shape)})")


def value(parameter):
    """The Parameter's value as a NumPy array (of its first context; a Trainer keeps all the same)."""
    return parameter.list_data()[0].asnumpy()


def peek(parameter):
    """Like `value`, read-only, and without a copy where that is possible: to be read at once, before anything
    changes the Parameter."""
    view = memory(parameter.list_data()[0])
    if view is None:
        return value(parameter)
    view.flags.writeable = False
    return view


def edit(parameter, change):
    """Call ``change(array)`` for the value of every context, a writable array that it changes in place.

    Unlike `set_data` it does not make a Trainer that updates on its kvstore forget its states.
    """
    for data in parameter.list_data():
        array = memory(data)
        if array is None:
            array = data.asnumpy()
            change(array)
            data[:] = mx.nd.array(array, dtype=array.dtype, ctx=data.context)
        else:
            change(array)
            _mark_written(data)


def fill(parameter, write):
    """Like `set_data`, with what ``write(array)`` puts into a writable array of the Parameter's shape."""
    first = parameter.list_data()[0]
    array = memory(first)
    if array is None:
        array = np.empty(parameter.shape, parameter.dtype)
        write(array)
        parameter.set_data(mx.nd.array(array, dtype=array.dtype))
    else:
        write(array)
        _mark_written(first)
        parameter.set_data(first)  # the other contexts, and a Trainer that keeps a copy


def memory(data):
    """The NDArray's elements as a NumPy array on the same memory, or None where they are not on the CPU.

    Waits until nothing reads or writes them any more. Whoever writes calls `_mark_written` afterwards.
    """
    if not data.context.device_type.startswith("cpu") or data.stype != "default":
        return None
    check_call(_LIB.MXNDArrayWaitToWrite(data.handle))
    pointer = ctypes.c_void_p()
    # This also brings a weight that oneDNN keeps in blocks back into its plain order.
    check_call(_LIB.MXNDArrayGetData(data.handle, ctypes.byref(pointer)))
    dtype = np.dtype(data.dtype)
    buffer = (ctypes.c_char * (data.size * dtype.itemsize)).from_address(pointer.value)
    buffer.owner = data  # keeps the memory while the array lives
    return np.frombuffer(buffer, dtype).reshape(data.shape)


def _mark_written(data):
    # A write that goes through MXNet's engine, so that what oneDNN has cached by the array's version is stale.
    first = data.reshape((-1,))[0:1]
    first[:] = first.copy()


def mean_value(parameter):
    """The mean of a Parameter's values over contexts: each replica of a batch norm has statistics of
    its own."""
    first, *others = [data.asnumpy() for data in parameter.list_data()]
    if all(np.array_equal(first, other) for other in others):
        return first
    return np.mean([first, *others], axis=0).astype(first.dtype)


def assign(parameter, array):
    """Write a value on every context, as `edit` does."""
    edit(parameter, lambda old: np.copyto(old, array))
