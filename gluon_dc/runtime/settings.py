"""The settings of a session, checked."""

from dataclasses import dataclass

import numpy as np

# That one run works in: a VGG-16 takes 40 MB an image.
MAX_NBYTES = 2**32
# Of one input: fifty times those of the largest net of GluonCV's zoo for ImageNet.
MAX_OPERATIONS = 10**12
PRECISIONS = ("float32", "int8")


@dataclass(frozen=True)
class Settings:
    """The arguments of `session`, checked: TypeError or ValueError for what they cannot be."""

    threads: int = 1
    force: str | dict | None = None
    batch: int = 1
    input_shape: tuple[int, ...] | None = None
    max_nbytes: float = MAX_NBYTES
    measure: bool = True
    max_operations: float = MAX_OPERATIONS
    precision: str = "float32"

    def __post_init__(self):
        for name in ("threads", "batch"):
            value = getattr(self, name)
            if not _is_whole(value) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 on, got {value!r}")
            object.__setattr__(self, name, int(value))
        shape = self.input_shape
        if shape is not None:
            if not isinstance(shape, (tuple, list)) or not all(_is_whole(size) and size > 0 for size in shape):
                raise ValueError("input_shape is a tuple of whole numbers from 1 on, such as (3, 224, 224), got "
                                 f"{shape!r}")
            object.__setattr__(self, "input_shape", tuple(map(int, shape)))
        if not isinstance(self.force, (str, dict, type(None))):
            raise TypeError(f"force is the name of a form or {{pattern: name}}, got {self.force!r}")
        if not isinstance(self.precision, str) or self.precision not in PRECISIONS:
            raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        for name in ("max_nbytes", "max_operations"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not value > 0:
                raise ValueError(f"{name} must be a number above 0, got {value!r}")


def _is_whole(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
