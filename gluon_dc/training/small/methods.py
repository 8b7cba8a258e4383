"""What a stage does around a training step: nothing, or pruning; `sharing_methods` has those that share."""
import numpy as np

from ...nn.rate import place_bits


class Plain:
    """Training and nothing else.

    The student's values are pushed before every step; `update` gets the gradients in them.
    """

    def __init__(self, student):
        self.student, self.chain = student, student.chain

    def before_step(self, done):
        """done: share of the stage, 0 <= done < 1."""

    def finish(self):
        """After the last step of the stage."""

    def refresh(self):
        """Before the values are pushed to look at the net."""

    def update(self, gradients, rate):
        """Change the weights."""
        self.student.adam(gradients, rate)

    def after_step(self, step, steps):
        """step: 1..steps of the stage."""

    def state(self):
        """{name: array} beside the student's, for a checkpoint."""
        return {}

    def set_state(self, arrays):
        """Take over what `state` gave. KeyError for an array that is missing."""


class RatePruning(Plain):
    """Prunes on a cubic schedule (Zhu, Gupta 2017) to `target` weights and biases over `share` of the stage."""

    def __init__(self, student, target, share):
        super().__init__(student)
        self.target, self.share, self.begin, self.left = target, share, student.chain.kept, 1.0

    def after_step(self, step, steps):
        end, prunings = steps * self.share, self.student.settings.prune_steps
        every = max(1, int(end / prunings))
        if step <= end and step % every == 0:
            self._prune(1 - min(1, step / (every * prunings)))

    def finish(self):
        if self.left:  # so few steps that the schedule did not come to its end
            self._prune(0.0)

    def _prune(self, left):
        """Prune to where the schedule is with the share `left` of it still to come."""
        self.left = left
        prune_to(self.chain, int(self.target + (self.begin - self.target) * left**3), self.student.settings)

    def state(self):
        return {"begin": np.array(self.begin), "left": np.array(self.left)}

    def set_state(self, arrays):
        self.begin, self.left = int(arrays["begin"]), float(arrays["left"])


def prune_to(chain, target, settings):
    """Keep the `target` weights and biases of the highest saliency per bit, over the whole net; ties stay.

    Saliency is v * w**2: what the loss rises by where v, Adam's mean squared gradient, stands in for its curvature
    (LeCun et al. 1989). It is divided by bits**rate_power, those of the place and the code. Biases of the output layer
    are always kept.
    """
    scores = [_scores(chain, number, settings) for number in range(len(chain.tensors))]
    merged = np.concatenate(scores)
    if target >= merged.size:
        return
    least = np.partition(merged, merged.size - max(1, target))[merged.size - max(1, target)]
    for tensor, score in zip(chain.tensors[:-1], scores):
        dropped = tensor.kept[score < least]
        if dropped.size:
            tensor.mask.reshape(-1)[dropped] = False
            tensor.refresh()


def _scores(chain, number, settings):
    """Saliency per bit of a tensor's kept values, float32 (n,)."""
    tensor = chain.tensors[number]
    saliency = (tensor.v * tensor.w**2).reshape(-1)[tensor.kept]
    if settings.rate_power == 0:
        return saliency
    if number % 2:
        return saliency / settings.bias_bits**settings.rate_power
    return saliency / (bits_of_places(chain, number, settings) + settings.code_bits)**settings.rate_power


def bits_of_places(chain, number, settings):
    """Bits of the place of every kept value of a weight, float32 (n,)."""
    tensor = chain.tensors[number]
    bits = place_bits(tensor.mask, *chain.plane_of(number // 2), neighbours=settings.neighbours)
    return bits.reshape(-1)[tensor.kept]
