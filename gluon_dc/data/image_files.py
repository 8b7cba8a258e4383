"""Bytes of an image file to pixels, and the cheap look at a file that tells whether it can be an image at all."""

import io
import os

import numpy as np

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
MAX_PIXELS = 2**27
# What files of these formats begin with.
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"GIF8", b"P5", b"P6")
HEAD_NBYTES = 16
# Pillow's readers of these, and no others: some of the rest start programs.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")


class ImageError(ValueError):
    """A file or record is not the image it should be; the message says which one and what to do."""


def decode_image(data, where="<bytes>", max_pixels=MAX_PIXELS) -> np.ndarray:
    """Decode the bytes of an image file to uint8 (h, w, 3) in RGB.

    Grey, palette and CMYK images are converted, transparency is dropped; of an animation the first frame counts.
    Orientation tags are not followed, as in ImageNet's usual evaluation. Raises ImageError, naming `where`, for bytes
    that do not decode to the end and for more than `max_pixels` pixels.
    """
    # Pillow is not needed to read MNIST, so it is not needed to import this package.
    from PIL import Image, ImageFile
    # GluonCV switches this on for the whole process; half an image, the rest grey, is no image to train on.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(f"{where}: {width} x {height} pixels, at most {max_pixels:,} are read: shrink it")
            return np.array(image.convert("RGB"))
    except ImageError:
        raise
    except Exception as error:  # Pillow raises whatever a broken file makes its decoders stumble over
        raise ImageError(f"{where}: does not decode as an image ({_one_line(error)}): replace or remove it") from None


def check_image_file(path) -> None:
    """Raise ImageError unless the file begins as an image does: a few microseconds, nothing is decoded."""
    with open(path, "rb") as file:
        check_image_head(file.read(HEAD_NBYTES), os.fspath(path))


def check_image_head(head, where) -> None:
    """`check_image_file` on the first bytes of a file."""
    if not head:
        raise ImageError(f"{where}: is empty, expected an image: replace or remove it")
    if not head.startswith(SIGNATURES):
        raise ImageError(f"{where}: is no image: it begins with {bytes(head[:8])!r}, expected JPEG, PNG, BMP, WebP, "
                         "TIFF, GIF or PNM: replace or remove it")


def _one_line(error):
    text = " ".join(str(error).split())
    # Pillow names the object in memory, which says nothing to people.
    return "unknown or broken format" if "cannot identify image file" in text else text or type(error).__name__
