"""The student: a LeNet as a narrow chain, and how it learns from the pool and the teacher."""
import mxnet as mx
import numpy as np
from mxnet import autograd
from numba import njit

from ...data.dataset import IMAGE_SHAPE, N_CLASSES
from ...models import get_model
from ...nn.narrow_chain import NarrowChain
from ...nn.chain_specs import read_chain

_BATCH = 1000  # images that are run through at once where nothing is trained
_UPLOAD = 8192  # images that go to MXNet at once in training
# Seed of the stream that orders the images, beside the run's own.
_ORDER = 99


class Student:
    """A LeNet in training.

    Attributes
    ----------
    chain : NarrowChain
    step : int
        Adam's steps so far.
    epoch : int
        Epochs so far, over all stages: decides the copy of the pool and the order of the images.
    """

    def __init__(self, settings, dataset, pool, logits):
        self.settings, self.dataset, self.pool, self.logits = settings, dataset, pool, logits
        specs = read_chain(get_model(settings.network), IMAGE_SHAPE)
        self.chain = NarrowChain(specs, _starting_values(specs, settings.seed))
        self.step = self.epoch = 0

    @property
    def steps_per_epoch(self):
        """Minibatches of one epoch; the images left over wait for the next order."""
        return len(self.dataset.train_labels) // self._batch_size

    @property
    def _batch_size(self):
        return min(self.settings.batch_size, len(self.dataset.train_labels))

    def batches(self):
        """One epoch's minibatches (x float32, y float32 (n, classes)) as NDArrays; counts the epoch."""
        copy, size = self.epoch % len(self.pool), self._batch_size
        order = np.random.default_rng([self.settings.seed, _ORDER, self.epoch]).permutation(len(self.logits[copy]))
        self.epoch += 1
        order = order[:self.steps_per_epoch * size]
        targets = self._targets(copy, order)
        at_once = size * max(1, _UPLOAD // size)
        for begin in range(0, len(order), at_once):
            images = self.chain.inputs(self.pool[copy][order[begin:begin + at_once]])
            x, y = mx.nd.array(images, dtype=np.uint8), mx.nd.array(targets[begin:begin + at_once])
            for at in range(0, len(images), size):
                yield x[at:at + size].astype(np.float32) / 255, y[at:at + size]

    def _targets(self, copy, order):
        """What the student is to say of images: the teacher's softmax at the temperature, and the label."""
        settings = self.settings
        soft = _softmax(self.logits[copy][order].astype(np.float32) / np.float32(settings.temperature))
        hard = np.eye(N_CLASSES, dtype=np.float32)[self.dataset.train_labels[order]]
        share = np.float32(settings.teacher_share)
        return share * soft + (1 - share) * hard

    def gradients(self, x, y):
        """The loss, and its gradients in the values that were pushed last, in the order of `chain.tensors`.

        The loss is the cross-entropy of both softmaxes at the temperature T, times T: Hinton, Vinyals, Dean 2015.
        """
        temperature = self.settings.temperature
        with autograd.record():
            z = self.chain.net(x)
            if temperature != 1:
                z = z / temperature
            loss = -temperature * (mx.nd.log_softmax(z) * y).sum(axis=1).mean()
        loss.backward()
        return float(loss.asscalar()), self.chain.gradients()

    def adam(self, gradients, rate):
        """One step of Adam (Kingma, Ba 2015, its defaults) on the kept weights and biases."""
        self.step += 1
        for tensor, gradient in zip(self.chain.tensors, gradients):
            adam_step(*(array.reshape(-1) for array in (tensor.w, gradient, tensor.m, tensor.v)), tensor.kept,
                      rate, self.step)

    def validate(self):
        """(error in percent, mean cross-entropy in nats) of the values pushed last on the validation images."""
        images, labels = self.dataset.validation_images, self.dataset.validation_labels
        parts = [self.chain.net(mx.nd.array(self.chain.inputs(images[at:at + _BATCH]), dtype=np.uint8)
                                .astype(np.float32) / 255).asnumpy() for at in range(0, len(images), _BATCH)]
        scores = np.concatenate(parts).astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        surprise = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(labels)), labels]
        return 100.0 * float((scores.argmax(axis=1) != labels).mean()), float(surprise.mean())

    def state(self):
        """{name: array}, for a checkpoint."""
        return {"step": np.array(self.step), "epoch": np.array(self.epoch), **self.chain.state()}

    def set_state(self, arrays):
        """Take over what `state` gave. KeyError for an array that is missing."""
        self.step, self.epoch = int(arrays["step"]), int(arrays["epoch"])
        self.chain.set_state(arrays)


def _starting_values(specs, seed):
    """Weights of every layer, uniform within sqrt(6 / (inputs + outputs)) (Glorot, Bengio 2010), and zero biases."""
    rng, values = np.random.default_rng(seed), []
    for spec in specs:
        outputs = spec.shape[0] * int(np.prod(spec.shape[2:]))
        limit = np.sqrt(6 / (int(np.prod(spec.shape[1:])) + outputs))
        values += [rng.uniform(-limit, limit, spec.shape), np.zeros(spec.shape[0])]
    return values


def _softmax(scores):
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def adam_step(w, g, m, v, kept, rate, step):
    """Adam's update of w, in place, at the places `kept`, for its `step`-th step; all flat."""
    # Beyond some steps the corrections are 1; powers of so small numbers are slow.
    _adam(w, g, m, v, kept, rate, 1 - 0.9**min(step, 10_000), 1 - 0.999**min(step, 100_000))


@njit(cache=True, nogil=True)
def _adam(w, g, m, v, kept, rate, correction_m, correction_v):
    for k in range(kept.size):
        i = kept[k]
        m[i] = 0.9 * m[i] + 0.1 * g[i]
        v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i]
        w[i] -= rate * (m[i] / correction_m) / (np.sqrt(v[i] / correction_v) + 1e-8)
