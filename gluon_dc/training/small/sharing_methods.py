"""How weights are shared while they are trained: straight through, or code by code; and training of centroids alone."""
import numpy as np

from ...nn.entropy_sharing import Sharing, code_lengths, sharing_of, start_sharing
from .methods import Plain, bits_of_places
from .student import adam_step

FREE = -2  # in place of a code: not fixed yet


class StraightSharing(Plain):
    """Trains weights whose forward pass sees their centroids; the gradient goes straight through.

    Every step assigns anew; every so many steps the centroids move to their weights' means and the bits of places are
    reckoned anew, until `share_settle`. With a bit_price, weights of less worth than their bits are dropped.
    """

    def __init__(self, student):
        super().__init__(student)
        tensors = student.chain.tensors
        self.sharings = [_start(student, number) for number in range(len(tensors))]
        self.keep_bits = [None] * len(tensors)
        self.step = 0

    def before_step(self, done):
        settings = self.student.settings
        is_turn = self.step % settings.centroid_steps == 0
        self.step += 1
        if is_turn:
            self._reckon_bits()
        self.refresh(moves=is_turn and done < settings.share_settle)

    def refresh(self, moves=False):
        for tensor, sharing, bits in zip(self.chain.tensors, self.sharings, self.keep_bits):
            if sharing is not None:
                values, importance = values_of(tensor), importance_of(tensor)
                sharing.assign(values, importance, self.student.settings.bit_price, bits)
                if moves:
                    sharing.update(values, importance)
            tensor.shared = with_values(tensor, sharing)

    def _reckon_bits(self):
        for number, sharing in enumerate(self.sharings):
            self.keep_bits[number] = _keep_bits(self.student, number) if sharing else None

    def state(self):
        return {"sharing_step": np.array(self.step), **sharing_state(self.sharings), **{
            f"keep_bits.{number}": bits for number, bits in enumerate(self.keep_bits) if bits is not None}}

    def set_state(self, arrays):
        self.step = int(arrays["sharing_step"])
        self.sharings = read_sharings(arrays, len(self.chain.tensors))
        self.keep_bits = [arrays.get(f"keep_bits.{number}") for number in range(len(self.sharings))]


class GradualSharing(Plain):
    """Fixes codes a few at a time, those of the least cost first, while the free weights train on and make up for it.

    As in incremental network quantization (Zhou et al., ICLR 2017), but fixed weights follow their centroid, which is
    trained by the sum of their gradients. All are fixed after the share `fix_share` of the stage, in `fix_steps` steps
    that get smaller. With a bit_price, a weight of less worth than its bits is fixed at 0.
    """

    def __init__(self, student):
        super().__init__(student)
        self.sharings = [_start(student, number) for number in range(len(student.chain.tensors))]
        for sharing in self.sharings:
            if sharing is not None:
                sharing.codes[:] = FREE
        self.moments = _new_moments(self.sharings)
        self.step = self.fixings = 0

    def before_step(self, done):
        settings = self.student.settings
        if min(1, done / max(settings.fix_share, 1e-9)) * settings.fix_steps >= self.fixings:
            self.fixings += 1
            left = 1 - min(1, self.fixings / settings.fix_steps)
            self._fix_all(1 - left**2)
        self.refresh()

    def finish(self):
        self._fix_all(1.0)

    def refresh(self):
        for tensor, sharing in zip(self.chain.tensors, self.sharings):
            if sharing is not None:
                fixed = sharing.codes != FREE
                tensor.w.reshape(-1)[tensor.kept[fixed]] = np.append(sharing.centroids, 0)[sharing.codes[fixed]]

    def _fix_all(self, share):
        """Fix codes until this share of every tensor's is fixed."""
        for number, sharing in enumerate(self.sharings):
            if sharing is not None:
                free = np.flatnonzero(sharing.codes == FREE)
                count = int(np.ceil(share * sharing.codes.size)) - (sharing.codes.size - free.size)
                if count > 0 and free.size:
                    self._fix(number, sharing, free, count)

    def _fix(self, number, sharing, free, count):
        """Fix `count` of the codes at the places `free`."""
        tensor, price = self.chain.tensors[number], self.student.settings.bit_price
        values, importance = values_of(tensor), importance_of(tensor)
        trial = Sharing(sharing.centroids, sharing.bits, np.zeros(values.size, np.int64))
        trial.assign(values, importance, price)
        trial.codes = np.where(sharing.codes == FREE, trial.codes, sharing.codes)
        self._move(sharing, trial, values, importance)
        some = Sharing(sharing.centroids, sharing.bits, np.zeros(free.size, np.int64))
        keep_bits = _keep_bits(self.student, number)
        some.assign(values[free], importance[free], price, None if keep_bits is None else keep_bits[free])
        costs = importance[free] * (values[free] - some.values)**2
        chosen = np.argsort(costs, kind="stable")[:count]
        sharing.codes[free[chosen]] = some.codes[chosen]

    @staticmethod
    def _move(sharing, trial, values, importance):
        """Centroids to the means of the weights that have or would take them, code lengths likewise."""
        taken, k = trial.codes >= 0, sharing.centroids.size
        codes, weights = trial.codes[taken], importance[taken]
        mass = np.bincount(codes, weights, minlength=k)
        means = np.bincount(codes, weights * values[taken], minlength=k) / np.maximum(mass, 1e-300)
        sharing.centroids = np.where(mass > 0, means, sharing.centroids)
        sharing.bits = code_lengths(np.bincount(codes, minlength=k))

    def update(self, gradients, rate):
        self.student.adam(gradients, rate)
        self.step += 1
        rate *= self.student.settings.fix_centroid_rate
        for tensor, sharing, moments, gradient in zip(self.chain.tensors, self.sharings, self.moments, gradients):
            if sharing is not None:
                fixed = sharing.codes >= 0
                train_centroids(sharing, sharing.codes[fixed], gradient.reshape(-1)[tensor.kept[fixed]], moments, rate,
                                self.step)

    def state(self):
        return {"sharing_step": np.array([self.step, self.fixings]), **sharing_state(self.sharings),
                **_moments_state(self.moments)}

    def set_state(self, arrays):
        self.step, self.fixings = (int(number) for number in arrays["sharing_step"])
        self.sharings = read_sharings(arrays, len(self.chain.tensors))
        self.moments = _read_moments(arrays, self.sharings)


class CentroidTraining(Plain):
    """Trains the centroids of a student whose weights are shared: codes are frozen, each gets the sum of its weights'
    gradients (paper, Eq. 3)."""

    def __init__(self, student):
        super().__init__(student)
        self.sharings, self.step = sharings_of(student.chain), 0
        self.moments = _new_moments(self.sharings)

    def before_step(self, done):
        self.refresh()

    def refresh(self):
        for tensor, sharing in zip(self.chain.tensors, self.sharings):
            tensor.shared = with_values(tensor, sharing)

    def update(self, gradients, rate):
        self.step += 1
        for tensor, sharing, moments, gradient in zip(self.chain.tensors, self.sharings, self.moments, gradients):
            if sharing is not None:
                train_centroids(sharing, sharing.codes, gradient.reshape(-1)[tensor.kept], moments, rate, self.step)

    def state(self):
        return {"centroid_step": np.array(self.step), **sharing_state(self.sharings), **_moments_state(self.moments)}

    def set_state(self, arrays):
        self.step = int(arrays["centroid_step"])
        self.sharings = read_sharings(arrays, len(self.chain.tensors))
        self.moments = _read_moments(arrays, self.sharings)


METHODS = {"gradual": GradualSharing, "straight": StraightSharing}


def train_centroids(sharing, codes, gradients, moments, rate, step):
    """A step of Adam on the centroids, each by the sum of its weights' gradients; those that none takes stay.

    codes: int (n,), 0..k-1, and gradients: float (n,), of the same weights. moments: float64 (2, k).
    """
    k = sharing.centroids.size
    summed, counts = np.bincount(codes, gradients, minlength=k), np.bincount(codes, minlength=k)
    adam_step(sharing.centroids, summed, *moments, np.flatnonzero(counts), rate, step)


def _start(student, number):
    """Sharing of a tensor by k-means, None where nothing is kept."""
    tensor, settings = student.chain.tensors[number], student.settings
    if not tensor.kept.size:
        return None
    k = settings.bias_centroids if number % 2 else settings.centroids
    return start_sharing(values_of(tensor), importance_of(tensor), k)


def _keep_bits(student, number):
    """Bits of the place of every kept weight, float64 (n,), where they have a price; None for biases, or without."""
    if number % 2 or not student.settings.bit_price:
        return None
    return bits_of_places(student.chain, number, student.settings).astype(np.float64)


def _new_moments(sharings):
    return [None if one is None else np.zeros((2, one.centroids.size)) for one in sharings]


def _moments_state(moments):
    return {f"moments.{number}": array for number, array in enumerate(moments) if array is not None}


def _read_moments(arrays, sharings):
    return [None if one is None else arrays[f"moments.{number}"] for number, one in enumerate(sharings)]


def values_of(tensor):
    """The kept values, float64 (n,)."""
    return tensor.w.reshape(-1)[tensor.kept].astype(np.float64)


def sharings_of(chain):
    """The Sharings of a chain whose weights are shared, None for a tensor of which nothing is kept."""
    return [sharing_of(values_of(tensor)) if tensor.kept.size else None for tensor in chain.tensors]


def with_values(tensor, sharing):
    """float32 of a Tensor's shape: its kept values shared, 0 elsewhere. sharing: None where nothing is kept."""
    whole = np.zeros(tensor.w.shape, np.float32)
    if sharing is not None:
        whole.reshape(-1)[tensor.kept] = sharing.values
    return whole


def importance_of(tensor):
    """What an error in each kept value costs: Adam's v, and a little for those that hardly ever got a gradient."""
    importance = tensor.v.reshape(-1)[tensor.kept].astype(np.float64)
    importance += 1e-3 * importance.mean()
    return importance if importance.any() else np.ones(importance.size)


def sharing_state(sharings):
    """{name: array} of a list of Sharing or None."""
    return {f"{what}.{number}": getattr(sharing, what) for number, sharing in enumerate(sharings)
            if sharing is not None for what in ("centroids", "bits", "codes")}


def read_sharings(arrays, count):
    """What `sharing_state` was given, of `count` tensors."""
    return [Sharing(*(arrays[f"{what}.{number}"] for what in ("centroids", "bits", "codes")))
            if f"codes.{number}" in arrays else None for number in range(count)]
