"""Entropy-constrained sharing: centroids that cost few bits to tell apart.

A kept weight w takes the centroid c with the least importance * (w - c)**2 + price * bits(c), where bits(c) is the
length of an ideal code for how often c is taken; or it is dropped, which saves the bits that tell its place. At price 0
this is k-means. Source: entropy-constrained vector
quantization, Chou, Lookabaugh, Gray 1989; for networks Choi, El-Khamy, Lee, ICLR 2017 (Hessian-weighted).
"""
from dataclasses import dataclass

import numpy as np
from numba import njit

from ..coding import CodedTensor, cluster

# An estimated code length, in bits, of a centroid that is hardly ever taken.
MAX_BITS = 12.0
# In place of a code: the weight is not kept any more.
DROPPED = -1


@dataclass
class Sharing:
    """The shared weights of one tensor, changed in place while they are trained.

    centroids : float64 (k,), ascending at first. bits : float64 (k,), what taking each costs. codes : int64 (n,),
    0..k-1, of the kept weights in C order, or DROPPED: shared as 0.
    """

    centroids: np.ndarray
    bits: np.ndarray
    codes: np.ndarray

    @property
    def values(self):
        """float64 (n,): what the weights are shared as."""
        return np.append(self.centroids, 0.0)[self.codes]

    def assign(self, values, importance, price=0.0, keep_bits=None):
        """Give every weight what costs the least: a centroid, or, where keep_bits are given, to be dropped.

        values, importance: float64 (n,), importance >= 0. price: of a bit. keep_bits: float64 (n,), the bits that a
        weight costs beside its code, as long as it is kept.
        """
        can_drop = keep_bits is not None
        keeping = price * keep_bits if can_drop else np.zeros(0)
        _assign(values, importance, self.centroids, price * self.bits, keeping, can_drop, self.codes)

    def update(self, values, importance):
        """Move centroids to their weights' means, reckon code lengths anew, drop centroids that none takes."""
        taken, k = self.codes >= 0, self.centroids.size
        codes, values, importance = self.codes[taken], values[taken], importance[taken]
        mass = np.bincount(codes, importance, minlength=k)
        means = np.bincount(codes, importance * values, minlength=k) / np.maximum(mass, 1e-300)
        self.centroids = np.where(mass > 0, means, self.centroids)
        counts = np.bincount(codes, minlength=k)
        self.bits = code_lengths(counts)
        self._keep(counts > 0)

    def _keep(self, used):
        if not used.all():
            self.codes = np.append(np.cumsum(used) - 1, DROPPED)[self.codes]
            self.centroids, self.bits = self.centroids[used], self.bits[used]


def start_sharing(values, importance, k):
    """A Sharing by k-means of at most k centroids. values, importance: float64 (n,), n >= 1, some importance > 0."""
    centroids = np.unique(cluster(values.astype(np.float32), k, "optimal", weights=importance)).astype(np.float64)
    sharing = Sharing(centroids, np.zeros(centroids.size), np.zeros(values.size, np.int64))
    sharing.assign(values, importance)
    sharing.bits = code_lengths(np.bincount(sharing.codes, minlength=centroids.size))
    return sharing


def sharing_of(values, k=255):
    """The Sharing of values float (n,), n >= 1, that are shared already; k-means where they are more than k."""
    centroids, codes = np.unique(np.asarray(values, np.float64), return_inverse=True)
    if centroids.size > k:
        return start_sharing(np.asarray(values, np.float64), np.ones(len(values)), k)
    return Sharing(centroids, code_lengths(np.bincount(codes)), codes.astype(np.int64))


def code_lengths(counts):
    """Ideal code lengths in bits of symbols that occur so often, at most MAX_BITS. int (k,) -> float64 (k,)."""
    return np.minimum(MAX_BITS, -np.log2((counts + 0.3) / (counts.sum() + 0.3 * counts.size)))


def on_grid(centroids, counts, bits):
    """Centroids rounded to a step times whole numbers of `bits` bits with sign, cheap to store.

    The step is a float16 with 5 bits of mantissa, of those that reach the largest centroid the one with the least
    squared error, each centroid weighed by its count. float64 (k,) in; float32 (k,) out, exact products.
    """
    largest = np.abs(centroids).max(initial=0)
    if largest == 0:
        return np.zeros(centroids.size, np.float32)
    top = 2 ** (bits - 1) - 1
    steps = _short_steps(largest / top, 2 * largest / top)
    numbers = np.rint(centroids / steps[:, None])
    errors = ((steps[:, None] * numbers - centroids) ** 2 * (counts + 1e-3)).sum(axis=1)
    best = int(np.argmin(errors))
    return np.float32(steps[best]) * numbers[best].astype(np.float32)


def _short_steps(low, high):
    """float64: all positive float16 of 5 bits of mantissa from about low to high."""
    patterns = np.arange(1, 31 * 32, dtype=np.uint16) << 5
    steps = patterns.view(np.float16).astype(np.float64)
    fitting = steps[(steps >= low * 0.97) & (steps <= high)]
    return fitting if fitting.size else steps[[np.abs(np.log(steps / low)).argmin()]]


def to_coded(shape, kept, centroids, codes):
    """A CodedTensor whose weights at the flat positions `kept` are centroids[codes]; equal centroids become one.

    A weight whose centroid is 0, or whose code is DROPPED, is not kept. The codebook ascends from entry 1 on.
    """
    # An entry 0 at the end is what DROPPED finds.
    values, inverse = np.unique(np.append(centroids, 0).astype(np.float32) + np.float32(0), return_inverse=True)
    used = np.zeros(values.size, bool)
    used[inverse[codes]] = True
    used &= values != 0
    numbers = np.where(used, np.cumsum(used), 0).astype(np.uint8)
    whole = np.zeros(int(np.prod(shape)), np.uint8)
    whole[kept] = numbers[inverse[codes]]
    return CodedTensor(np.concatenate([np.zeros(1, np.float32), values[used]]), whole.reshape(shape))


@njit(cache=True, nogil=True)
def _assign(values, importance, centroids, costs, keeping, can_drop, codes):
    for i in range(values.size):
        least = np.inf
        if can_drop:
            least, codes[i] = importance[i] * values[i] ** 2 - keeping[i], DROPPED
        for c in range(centroids.size):
            cost = importance[i] * (values[i] - centroids[c]) ** 2 + costs[c]
            if cost < least:
                least, codes[i] = cost, c
