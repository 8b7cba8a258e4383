"""The parameters of a session: small arrays decoded once, weights brought into the forms that layers run in."""

import threading
from dataclasses import dataclass, replace

import numpy as np

from ..coding import CodedTensor, loads, unpack
from .choice import Choice, Chooser, about, batches
from .compiling import compiling_shown


SCALED_FORMS = ("dense", "int8")  # no codebook: a batch norm's scale goes into the weights


@dataclass(frozen=True, eq=False)
class Plain:
    """Weights that have no codes, under the names that a dense form reads of a CodedTensor."""

    values: np.ndarray

    @property
    def shape(self):
        return self.values.shape

    def decode(self, out=None):
        """float32, contiguous; copied to `out` where it is given."""
        if out is None:
            return self.values
        np.copyto(out, self.values)
        return out


@dataclass(frozen=True, eq=False)
class Prepared:
    """A layer's weights as they run. form: a MatrixForm or ConvForm. scaled: whether it holds the batch norm's scale.

    choice: why this form (`choice.Choice`).
    """

    name: str
    form: object
    density: float
    scaled: bool
    choice: Choice


@dataclass(frozen=True, eq=False)
class _What:
    name: str
    forms: object
    arguments: tuple  # of the form's `build`
    scale: np.ndarray | None
    user: object


class Weights:
    """Every parameter of a model. Several threads may ask for them; each form is made once.

    model: CompressedModel. data: the bytes it comes from, or None. With them nothing decoded is kept but what was asked
    for: where another form is wanted later, the bytes are read again. force, measure: as `session` takes them.
    dense: other dense forms, as `Chooser` takes them, and precision.
    """

    def __init__(self, model, data=None, force=None, threads=1, measure=True, dense=None, beside="",
                 precision="float32"):
        self.shapes = {name: tuple(tensor.shape) for name, tensor in model.items()}
        self._model, self._data = model, data
        self._chooser = Chooser(threads, force, measure, names=list(self.shapes), dense=dense, beside=beside,
                                precision=precision)
        self._arrays, self._forms, self._chosen = {}, {}, {}
        self._lock = threading.Lock()

    def array(self, name) -> np.ndarray:
        """A parameter as float32, decoded once and kept: biases and the like."""
        with self._lock:
            if name not in self._arrays:
                found = self._values(self._tensor(name))
                # Kernels are compiled for writeable arrays, and would be anew for those of a file.
                self._arrays[name] = found if found.flags.writeable else found.copy()
            return self._arrays[name]

    def matrix(self, name, batch, scale=None, user=None) -> Prepared:
        """The form of a weight (rows, ...), seen as a matrix, for inputs of `batch` rows.

        scale: float32 (rows,), multiplied in where the form has no codes (`Prepared.scaled`); `user` says whose it is.
        """
        what = _What(name, self._chooser.matrix_forms, (), scale, user)
        return self._prepared(what, (about(batch),), lambda coded: self._chooser.matrix(name, coded, batch))

    def convolution(self, name, geometry, shape, scale=None, user=None) -> Prepared:
        """The form of a weight (out, in / groups, kh, kw) for inputs of this shape (n, c, h, w); else as `matrix`."""
        what = _What(name, self._chooser.conv_forms, (geometry,), scale, user)
        return self._prepared(what, (about(shape[0]), *shape[2:]),
                              lambda coded: self._chooser.convolution(name, coded, geometry, shape))

    @property
    def in_bytes(self) -> bool:
        """Whether convolutions may run in the form "int8"."""
        return "int8" in self._chooser.conv_forms

    def release(self) -> None:
        """Let go of the model where its bytes are at hand."""
        with self._lock:
            if self._data is not None:
                self._model = None

    @property
    def nbytes(self) -> int:
        """Bytes of all forms and arrays, and of the file where it is kept."""
        kept = len(self._data) if self._data is not None else 0
        return self.forms_nbytes + sum(array.nbytes for array in self._arrays.values()) + kept

    @property
    def forms_nbytes(self) -> int:
        return sum(prepared.form.nbytes for prepared in self._forms.values())

    def forget_forms(self) -> None:
        """Let go of all forms; they are made again where they are wanted."""
        with self._lock:
            self._forms.clear()

    @property
    def packed_nbytes(self) -> int:
        """Bytes of the model's tensors as they are kept to make other forms from."""
        return 0 if self._model is None else sum(tensor.nbytes for _, tensor in self._model.items())

    def rows(self) -> list[tuple]:
        """(name of a weight, batch sizes as text, Prepared) of every choice so far whose form holds no batch norm."""
        with self._lock:
            return [(name, batches(situation[0]),
                     replace(self._forms[name, arguments, choice.form, None], choice=choice))
                    for (name, arguments, situation), choice in self._chosen.items()
                    if (name, arguments, choice.form, None) in self._forms]

    def _prepared(self, what, situation, choose):
        with compiling_shown(), self._lock:
            weight, form, key = None, None, (what.name, what.arguments, situation)
            if key not in self._chosen:
                weight = self._weight(what)
                is_plain = isinstance(weight, Plain)
                self._chosen[key], form = (Choice("dense", "only"), None) if is_plain else choose(weight)
            choice = self._chosen[key]
            scaled = choice.form in SCALED_FORMS and what.scale is not None
            key = (what.name, what.arguments, choice.form, what.user if scaled else None)
            if key not in self._forms:
                weight = self._weight(what) if weight is None else weight
                self._forms[key] = _built(what, choice, scaled, weight, form)
            return replace(self._forms[key], choice=choice)

    def _weight(self, what):
        tensor, as_matrix = self._tensor(what.name), not what.arguments
        tensor = tensor if isinstance(tensor, np.ndarray) else unpack(tensor, what.name)
        if isinstance(tensor, np.ndarray):
            tensor = self._values(tensor)
            return Plain(tensor.reshape(len(tensor), -1) if as_matrix else tensor)
        return CodedTensor(tensor.codebook, tensor.codes.reshape(len(tensor.codes), -1)) if as_matrix else tensor

    def _tensor(self, name):
        if self._model is None:
            self._model = loads(self._data)
        return self._model[name]

    def _values(self, tensor):
        values = tensor if isinstance(tensor, np.ndarray) else unpack(tensor).decode()
        return np.ascontiguousarray(values, np.float32)


def _built(what, choice, scaled, weight, form):
    density = getattr(weight, "density", 1.0)
    if scaled:
        weight, form = Plain(weight.decode() * what.scale.reshape(-1, *[1] * (len(weight.shape) - 1))), None
    if form is None:
        form = what.forms[choice.form].build(weight, *what.arguments)
    return Prepared(choice.form, form, density, scaled, choice)
