"""Top-1 and top-5 error of a net on a set of photographs."""
from dataclasses import dataclass

import mxnet as mx
import numpy as np

from ..data.images import batches

TOP = 5


@dataclass(frozen=True)
class Accuracy:
    """Errors in percent over n images; top-5 is None for nets of up to 5 classes, where it says nothing."""

    n: int
    top1_error_percent: float
    top5_error_percent: float | None

    @property
    def top1_percent(self):
        """Share of images whose class came first, in percent."""
        return 100 - self.top1_error_percent

    @property
    def top5_percent(self):
        """Share of images whose class was among the first five, in percent; or None."""
        return None if self.top5_error_percent is None else 100 - self.top5_error_percent

    def __str__(self):
        top5 = "" if self.top5_percent is None else f", top-5 {self.top5_percent:.2f} %"
        return f"top-1 {self.top1_percent:.2f} %{top5} of {self.n} images"


def evaluate(net, images, preprocessing, batch_size=50, progress=None, threads=2):
    """Run a net over an ImageSet once, without gradients.

    Parameters
    ----------
    net : gluon.Block
        Takes float32 (n, 3, crop, crop), gives scores (n, classes).
    images : gluon_dc.data.ImageSet
    preprocessing : gluon_dc.data.Preprocessing
    batch_size : int
    progress : callable, optional
        Called with the number of images of each batch that is done.
    threads : int
        That decode images.

    Returns
    -------
    Accuracy

    Raises
    ------
    ValueError
        A label that the net has no output for; NaN or infinite outputs.
    ImageError
        An image that does not decode.
    """
    context = _context(net)
    hits = np.zeros(2, np.int64)
    for x, labels in batches(images, preprocessing, batch_size, threads=threads):
        scores = net(mx.nd.array(x, ctx=context)).asnumpy()
        check_classes(images, scores)
        hits += count_hits(scores, labels)
        if progress:
            progress(len(labels))
    return accuracy(hits, len(images), len(images.classes))


def check_classes(images, scores):
    """Raise ValueError where a net's scores (n, outputs) are not for the classes of an ImageSet.

    Classes that go by numbers only, as in a .rec without a list, may be fewer: nobody knows the last ones.
    """
    outputs, classes = scores.shape[-1], images.classes
    numbered = classes == tuple(str(label) for label in range(len(classes)))
    if outputs < len(classes) or outputs > len(classes) and not numbered:
        raise ValueError(f"{images.source} has {len(classes)} classes, the net {outputs} outputs: take the net that "
                         "was trained on these classes, or give the list of the net's classes in their order "
                         "(--class-list)")


def accuracy(hits, n, classes):
    """The Accuracy of `hits` (top-1, top-5) in n images."""
    top1, top5 = (100.0 * (n - int(one)) / n for one in hits)
    return Accuracy(n, top1, top5 if classes > TOP else None)


def count_hits(scores, labels):
    """How many images have their class first, and among the first five: int64 (2,).

    scores : float (n, classes); of equal scores the one of the lower class counts as the higher.
    labels : int (n,)
    """
    if scores.ndim != 2 or len(scores) != len(labels):
        raise ValueError(f"expected scores of shape ({len(labels)}, classes) from the net, got {scores.shape}")
    if labels.max() >= scores.shape[1]:
        raise ValueError(f"label {labels.max()}, but the net has {scores.shape[1]} outputs: take the net that was "
                         "trained on these classes, or give their list in its order (--class-list)")
    if not np.isfinite(scores).all():
        raise ValueError("outputs of the net are NaN or infinite: its weights are broken, or the training that made "
                         "them has diverged")
    own = scores[np.arange(len(labels)), labels][:, None]
    before = np.arange(scores.shape[1]) < labels[:, None]
    rank = ((scores > own) | ((scores == own) & before)).sum(axis=1)
    return np.array([(rank == 0).sum(), (rank < TOP).sum()], np.int64)


def _context(net):
    return next(iter(net.collect_params().values())).list_ctx()[0]
