"""Which form a layer runs in: the fastest on this machine, measured when it is first wanted and remembered.

Dense is always among those that are measured, so no layer is slower than dense.
"""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from ..coding import CodedTensor
from . import int8_code, simd
from .choice_cache import ChoiceCache
from .forms import CONV_FORMS, INT8_FORMS, MATRIX_FORMS, conv_work
from .measure import COLD_NBYTES, fastest, least_seconds
from .scratch import Scratch
from .tasks import Program

# Densities from which dense arithmetic wins, by rule.
DENSE_MATRIX, DENSE_BATCH, DENSE_KERNEL, DENSE_POINTWISE = 0.5, 0.4, 0.5, 0.6
FEW = 8  # rows of x below which a matrix is multiplied row by row, by rule
# Not worth a measurement: a sparse form of a layer that is nearly dense; one made for few rows, for many; and one made
# for many, for few.
_NEARLY_DENSE, _MANY_ROWS, _FEW_ROWS = 0.8, 32, 3
_SAMPLE_WEIGHTS = 2**24  # of a larger matrix, evenly chosen rows are measured
_ENOUGH_WORK = 2**27  # multiply-adds: a larger batch of images is measured by fewer


@dataclass(frozen=True)
class Choice:
    """form: the name of one. source: "forced", "measured", "remembered" (measured before), "rule" or "only" (nothing
    else serves). microseconds: {name: of a call} of each form that was measured; estimates for a large matrix, of which
    evenly chosen rows were."""

    form: str
    source: str
    microseconds: Mapping = field(default_factory=dict)

    def times(self) -> str:
        """Text: what was measured, fastest first; else where the choice comes from."""
        ordered = sorted(self.microseconds.items(), key=lambda pair: pair[1])
        return ", ".join(f"{name} {value:,.0f}" if value >= 100 else f"{name} {value:.3g}"
                         for name, value in ordered) or self.source


class Chooser:
    """Chooses forms. threads: that layers will run on. force: as `checked_force` takes it, over names of weights.

    measure: whether to measure; else by rule. cache: a ChoiceCache, by default the user's. dense: (matrix form, conv
    form) to take for "dense" in place of this package's, and `beside` their name, for what is remembered. precision:
    "float32", or "int8" where convolutions may run in bytes.
    """

    def __init__(self, threads=1, force=None, measure=True, cache=None, names=(), dense=None, beside="",
                 precision="float32"):
        self._threads, self._measure, self._beside = threads, measure, beside
        self.matrix_forms, self.conv_forms = MATRIX_FORMS, CONV_FORMS
        if dense is not None:
            self.matrix_forms, self.conv_forms = (ChainMap({"dense": form}, forms) for form, forms in zip(
                dense, (MATRIX_FORMS, CONV_FORMS)))
        self._precision = precision
        if precision == "int8":
            self.conv_forms = ChainMap(self.conv_forms, INT8_FORMS)
        self._force = checked_force(force, names, precision)
        self._cache = ChoiceCache() if cache is None and measure else cache

    def matrix(self, name, coded, batch):
        """(Choice, the form if it has been built, else None) for a CodedTensor (rows, cols) and inputs of `batch` rows.

        ValueError for a forced form that does not serve.
        """
        return self._chosen(_Layer(name, self.matrix_forms, coded, (), (batch, coded.shape[1]), (batch,),
                                   lambda: choose_matrix(coded, batch)))

    def convolution(self, name, coded, geometry, shape):
        """As `matrix`, for a CodedTensor (out, in / groups, kh, kw) and inputs of this shape (n, c, h, w)."""
        shape = tuple(shape)
        return self._chosen(_Layer(name, self.conv_forms, coded, (geometry,), shape, (geometry, shape),
                                   lambda: choose_conv(coded, geometry, shape, self._precision)))

    def _chosen(self, layer):
        forced = self._forced(layer)
        if forced is not None:
            return Choice(forced, "forced"), None
        if not self._measure:
            return Choice(layer.rule(), "rule"), None
        names = layer.candidates()
        if len(names) == 1:
            return Choice(names[0], "only"), None
        key = f"{layer.key()}, threads {self._threads}{self._beside and ', beside '}{self._beside}"
        key += ", or int8" * ("int8" in names)
        known = self._cache.get(key)
        if known is not None and known["form"] in names:
            return Choice(known["form"], "remembered", known["microseconds"]), None
        choice, form = _measured(layer, names, self._threads, not self._beside)
        self._cache.put(key, choice.form, choice.microseconds)
        return choice, form

    def _forced(self, layer):
        for pattern, wanted in self._force.items():
            if not _matches(layer.name, pattern):
                continue
            if wanted in layer.forms:
                if not layer.fits(wanted):
                    raise ValueError(f"force: {layer.name} does not fit the form {wanted!r} ({layer.coded!r}); leave "
                                     "it out, or force another")
                return wanted
            if pattern in (layer.name, layer.name.removesuffix(".weight")):
                raise ValueError(f"force: {wanted!r} is no form of {layer.name}, expected one of "
                                 f"{', '.join(layer.forms)}")
        return None


@dataclass(frozen=True, eq=False)
class _Layer:
    # forms: Mapping of classes; arguments: of `build` after coded, none for a matrix; input: its shape; situation: what
    # `fits` takes after coded; rule: function () -> name.
    name: str
    forms: Mapping
    coded: CodedTensor
    arguments: tuple
    input: tuple
    situation: tuple
    rule: object

    @property
    def is_matrix(self):
        return not self.arguments

    def fits(self, name):
        return self.forms[name].fits(self.coded, *self.situation)

    def build(self, name, coded=None):
        return self.forms[name].build(self.coded if coded is None else coded, *self.arguments)

    def candidates(self):
        """Names of forms that are worth measuring; "dense" is the last."""
        names = [name for name in self.forms if name != "dense"]
        if not self.coded.size:
            return ["dense"]
        if self.coded.density > _NEARLY_DENSE:
            names = [name for name in names if name in INT8_FORMS]
        names = [name for name in names if name not in _slow_here()]
        if not self.is_matrix and is_depthwise(self.coded, *self.arguments):
            names = [name for name in names if name not in INT8_FORMS]
        if self.is_matrix:
            names = [name for name in names if (self.input[0] > _FEW_ROWS if name == "panels"
                                                else self.input[0] < _MANY_ROWS)]
        return [name for name in names if self.fits(name)] + ["dense"]

    def key(self):
        """Text that names the situation; layers that share it take the same choice."""
        counts = np.count_nonzero(self.coded.codes.reshape(len(self.coded.codes), -1), axis=1)
        unevenness = counts.std() / max(1e-9, counts.mean())
        kind = "matrix" if self.is_matrix else "convolution"
        geometry = "".join(f", stride {g.stride}, pad {g.pad}, dilate {g.dilate}, groups {g.groups}"
                           for g in self.arguments)
        return (f"{kind} {'x'.join(map(str, self.coded.shape))}{geometry}, input {'x'.join(map(str, self.input[1:]))}, "
                f"batch {batches(about(self.input[0]))}, kept {self.coded.density:.2g}, uneven {unevenness:.1g}, "
                f"codebook of {self.coded.code_bits} bits")

    def sample(self):
        """The weights to measure: evenly chosen rows of a large matrix."""
        step = -(-self.coded.size // _SAMPLE_WEIGHTS)
        if not self.is_matrix or step < 2:
            return None
        return CodedTensor(self.coded.codebook, self.coded.codes[::step])

    def measured_input(self, threads):
        """Inputs to measure with: of a large batch of images as many as take a few milliseconds."""
        shape = self.input
        if not self.is_matrix and shape[0] > 1:
            one = conv_work(self.coded.shape, (1, *shape[1:]), *self.arguments)
            shape = (min(shape[0], max(threads, -(-_ENOUGH_WORK // max(1, one)))), *shape[1:])
        return np.random.default_rng(0).standard_normal(shape, np.float32)


def _measured(layer, names, threads, is_prepared):
    sample, x = layer.sample(), layer.measured_input(threads)
    built = {name: layer.build(name, sample) for name in names}
    calls = {name: _timed_call(form, x, threads, is_prepared) for name, form in built.items()}
    seconds = least_seconds(calls, (x,), cold=4 * layer.coded.size > COLD_NBYTES)
    chosen = fastest(seconds, {name: form.nbytes for name, form in built.items()})
    scale = 1e6 if sample is None else 1e6 * layer.coded.size / sample.size
    microseconds = {name: scale * value for name, value in seconds.items()}
    return Choice(chosen, "measured", microseconds), built[chosen] if sample is None else None


def _timed_call(form, x, threads, is_prepared):
    # As it will be called: a session prepares its layers, a Gluon net brings other arrays each time.
    if hasattr(form, "timed_call"):  # a library's own, which takes other arrays
        return form.timed_call(x)
    out = form.apply(x, threads=threads)
    if is_prepared:
        return Program(form.stages(x, None, False, out, threads, Scratch()))
    return lambda: form.apply(x, None, False, out, threads)


def choose_matrix(coded, batch: int) -> str:
    """By rule, from what was measured on one machine: a name in MATRIX_FORMS for a CodedTensor (rows, cols)."""
    density = coded.density
    if batch >= FEW:
        wanted = ("panels", "sliced") if density < DENSE_BATCH else ()
    else:
        wanted = () if density >= DENSE_MATRIX else ("window", "wide", "sliced")
    return next((name for name in wanted if name not in _slow_here() and MATRIX_FORMS[name].fits(coded, batch)), "dense")


def choose_conv(coded, geometry, shape, precision="float32") -> str:
    """By rule: a name in CONV_FORMS for a CodedTensor (out, in / groups, kh, kw) and inputs of shape (n, c, h, w); in
    INT8_FORMS, too, where the precision is "int8"."""
    if (precision == "int8" and "int8" not in _slow_here() and not is_depthwise(coded, geometry)
            and INT8_FORMS["int8"].fits(coded, geometry, shape)):
        return "int8"
    most = DENSE_POINTWISE if coded.shape[2:] == (1, 1) else DENSE_KERNEL
    if not is_depthwise(coded, geometry) and coded.density < most and CONV_FORMS["direct"].fits(coded, geometry, shape):
        return "direct"
    return "dense"


def _slow_here():
    # Forms whose plain loops, for processors without their instructions, are right and lose to dense everywhere.
    return (() if simd.HAS_AVX512 else ("window", "wide")) + (() if int8_code.HAS_VNNI else ("int8",))


def is_depthwise(coded, geometry) -> bool:
    """Whether each filter sees one channel of several: nothing to multiply in bytes, or to leave out."""
    return coded.shape[1] == 1 and geometry.groups > 1


def about(batch: int) -> int:
    """Batches with the same number share a form: 1, 2 to 3, 4 to 7, ..., 64 to 127, 128 and more."""
    return min(batch.bit_length(), 8)


def batches(number: int) -> str:
    """The batches of a number that `about` gives, as text."""
    if number < 2:
        return str(number)
    return f"{2 ** (number - 1)} and more" if number == 8 else f"{2 ** (number - 1)} to {2 ** number - 1}"


def checked_force(force, names, precision="float32") -> dict:
    """{pattern: name of a form}, of None, one name for all layers that have such a form, or such a dict.

    names: of the weights, or {name: names of the forms that it may run in}. ValueError for a form that does not exist,
    a pattern that matches no weight, and with a dict of names one that matches only weights that have no such form.
    """
    known = sorted({*MATRIX_FORMS, *CONV_FORMS, *(INT8_FORMS if precision == "int8" else ())})
    force = {"*": force} if isinstance(force, str) else dict(force or {})
    for pattern, wanted in force.items():
        if wanted in INT8_FORMS and wanted not in known:
            raise ValueError(f"force: the form {wanted!r} is not exact, it takes precision='int8'")
        if wanted not in known:
            raise ValueError(f"force: no form is named {wanted!r}, expected one of {', '.join(known)}")
        found = [name for name in names if _matches(name, pattern)]
        if not found and (names or pattern != "*"):
            raise ValueError(f"force: {pattern!r} matches none of {some(names)}")
        if pattern != "*" and isinstance(names, Mapping) and not any(wanted in names[name] for name in found):
            possible = some([f"{name} in {' or '.join(names[name])}" for name in found], 4)
            raise ValueError(f"force: no layer that {pattern!r} matches may run in the form {wanted!r}: {possible}")
    return force


def some(texts, most=8) -> str:
    """The first few, with commas, and how many more there are."""
    texts = list(texts)
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def _matches(name, pattern):
    # With or without ".weight", as in the settings of other verbs.
    return any(fnmatchcase(text, pattern) for text in (name, name.removesuffix(".weight")))
