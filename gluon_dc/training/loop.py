"""One epoch of training, and the error of a net on a split."""
import math

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon


def shifted(images, distance, rng):
    """Each image moved by its own random offset of up to `distance` pixels each way, zeros moved in.

    uint8 (n, 1, h, w) in and out.
    """
    if not distance:
        return images
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (distance, distance), (distance, distance)))
    moved = np.empty_like(images)
    side = 2 * distance + 1
    offsets = rng.integers(side * side, size=len(images))
    for offset in range(side * side):
        down, right = divmod(offset, side)
        chosen = offsets == offset
        moved[chosen] = padded[chosen, :, down:down + height, right:right + width]
    return moved


def cosine_rate(first, done):
    """Learning rate that falls from `first` to 0 over done = 0..1 as half a cosine."""
    return first * 0.5 * (1 + math.cos(math.pi * done))


def batches(images, labels, batch_size, shift, rng):
    """Shuffled, shifted minibatches of one epoch as NDArrays.

    Yields (float32 images in 0..1, labels). A last, smaller batch is left out, unless it is the only one.
    """
    order = rng.permutation(len(labels))
    x = mx.nd.array(shifted(images[order], shift, rng), dtype=np.uint8)
    y = mx.nd.array(labels[order])
    for begin in range(0, max(1, len(labels) // batch_size) * batch_size, batch_size):
        yield to_input(x[begin:begin + batch_size]), y[begin:begin + batch_size]


def to_input(images):
    """uint8 0..255 -> float32 0..1."""
    return images.astype(np.float32) / 255


def train_step(net, trainer, loss, x, y, penalty=None):
    """One forward, backward and update; `penalty()` is added to the loss of every image.

    Returns the losses without it, shape (batch,), not waited for.
    """
    with autograd.record():
        losses = loss(net(x), y)
        penalized = losses + penalty() if penalty else losses
    penalized.backward()
    trainer.step(len(y))
    return losses


def softmax_loss():
    """The loss of all stages, hybridized."""
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    loss.hybridize()
    return loss


def error_percent(net, images, labels, batch_size=1000):
    """Top-1 error in percent on uint8 images (n, 1, h, w) with labels (n,)."""
    wrong = 0
    for begin in range(0, len(labels), batch_size):
        x = mx.nd.array(images[begin:begin + batch_size], dtype=np.uint8)
        predicted = net(to_input(x)).asnumpy().argmax(axis=1)
        wrong += int((predicted != labels[begin:begin + batch_size]).sum())
    return 100.0 * wrong / len(labels)
