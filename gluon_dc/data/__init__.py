"""Image sets as plain NumPy arrays: MNIST, and an embedded default for where it cannot be had.

Importing this package imports neither MXNet nor scikit-learn.
"""

from .dataset import Dataset
from .digits import load_digits
from .download import DownloadError
from .idx import IdxError, read_idx
from .mnist import find_mnist, load_mnist

__all__ = ["Dataset", "DownloadError", "IdxError", "find_mnist", "load_digits", "load_mnist", "read_idx"]
