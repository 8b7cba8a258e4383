"""The Parameters that take a weight's place once it is shared, and how they reach every context."""
import mxnet as mx
import numpy as np
from mxnet import gluon


class Codebook(gluon.Parameter):
    """The centroids of one shared weight, float32 of shape (k,); entry 0 is 0.0 and stays so.

    `CentroidTrainer` knows by this class which gradients are per-centroid sums and
    keeps entry 0 out of every update.
    """


class Constant(gluon.Parameter):
    """Codes or positions: integers that a cast of the net to another float type leaves alone."""

    def cast(self, dtype):
        """Stay as it is."""


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
    parameter.initialize(init=mx.init.Zero(), ctx=like.list_ctx())
    parameter.set_data(mx.nd.array(array, dtype=array.dtype))
    return parameter


def value(parameter):
    """The Parameter's value as a NumPy array (of its first context; a Trainer keeps all the same)."""
    return parameter.list_data()[0].asnumpy()


def mean_value(parameter):
    """The mean of a Parameter's values over contexts: each replica of a batch norm has statistics of
    its own."""
    first, *others = [data.asnumpy() for data in parameter.list_data()]
    if all(np.array_equal(first, other) for other in others):
        return first
    return np.mean([first, *others], axis=0).astype(first.dtype)


def assign(parameter, array):
    """Write a value on every context.

    Unlike `set_data` it does not make a Trainer that updates on its kvstore forget its states.
    """
    for data in parameter.list_data():
        data[:] = mx.nd.array(array, dtype=array.dtype, ctx=data.context)
