"""Image sets: MNIST and its relatives as NumPy arrays, photographs from folders, CSV lists and RecordIO files.

Importing this package imports neither MXNet nor scikit-learn nor Pillow.
"""

from .amat import find_mnist_basic, load_mnist_basic
from .dataset import Dataset
from .digits import load_digits
from .download import DownloadError
from .idx import IdxError, read_idx
from .image_files import ImageError
from .images import HALVES, ImageSet, batches, cropped, from_arrays, half, open_images
from .mnist import find_mnist, load_mnist
from .preprocessing import PREPROCESSING, Preprocessing, preprocessing_for, preprocessing_named

__all__ = [
    "HALVES", "PREPROCESSING", "Dataset", "DownloadError", "IdxError", "ImageError", "ImageSet", "Preprocessing",
    "batches", "cropped", "find_mnist", "find_mnist_basic", "from_arrays", "half", "load_digits", "load_mnist",
    "load_mnist_basic", "open_images", "preprocessing_for", "preprocessing_named", "read_idx",
]
