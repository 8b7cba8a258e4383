"""What happens to a photograph before a network sees it: stated once per family of networks.

Every network was trained with one preprocessing and loses accuracy, silently, with any other.
"""

import math
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# GluonCV's evaluation: the crop is this share of the shorter side.
CROP_RATIO = 0.875
# Random-resized crop (Szegedy et al. 2014, section 6): share of the image's area, and width by height.
AREA_RANGE, ASPECT_RANGE = (0.08, 1.0), (3 / 4, 4 / 3)
# Of a longer image only the middle is brought to size: a line of 1 x 6000 pixels would become 256 x 1.5 million.
MAX_ASPECT = 16


@dataclass(frozen=True)
class Preprocessing:
    """From a decoded image to the input of a network.

    name: as in PREPROCESSING, for notes and metadata. resize: the shorter side in pixels that an image is brought to
    before its centre is cut out (bilinear, widened when shrinking, as Pillow does it; an image that has it already is
    not touched). crop: side of the square input in pixels, at most `resize`. mean, std: of the red, green and blue
    channel, both in the units of pixel values 0..255; the input is (pixel - mean) / std.
    Raises ValueError for sizes that do not fit or a std that is not above 0.
    """

    name: str
    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self):
        if not 1 <= self.crop <= self.resize:
            raise ValueError(f"preprocessing {self.name}: crop {self.crop} must be in 1..{self.resize} (resize)")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(value > 0 for value in self.std):
            raise ValueError(f"preprocessing {self.name}: mean and std need 3 values, std above 0; got {self.mean}, "
                             f"{self.std}")

    def describe(self) -> str:
        """One line for people and for metadata."""
        mean = ", ".join(f"{value:g}" for value in self.mean)
        std = ", ".join(f"{value:g}" for value in self.std)
        return (f"{self.name}: shorter side {self.resize}, centre crop {self.crop}, RGB 0..255, minus ({mean}), "
                f"divided by ({std})")

    def sized(self, crop: int) -> "Preprocessing":
        """The same for inputs of another side, `resize` scaled along; the name gets ":crop"."""
        base = self.name.partition(":")[0]
        return replace(self, name=f"{base}:{crop}", crop=crop, resize=max(crop, round(crop * self.resize / self.crop)))

    def centre(self, image) -> np.ndarray:
        """The part that evaluation looks at: uint8 (h, w, 3) -> uint8 (crop, crop, 3)."""
        short = min(image.shape[:2])
        if short != self.resize:
            image = _middle(image, MAX_ASPECT * short)
            height, width = (max(self.resize, round(side * self.resize / short)) for side in image.shape[:2])
            image = resized(image, height, width)
        height, width = image.shape[:2]
        top, left = (height - self.crop) // 2, (width - self.crop) // 2
        return np.ascontiguousarray(image[top:top + self.crop, left:left + self.crop])

    def random(self, image, rng) -> np.ndarray:
        """A part to train on: a random share of the area at a random aspect, brought to size, mirrored half the time.

        uint8 (h, w, 3) -> uint8 (crop, crop, 3); rng: np.random.Generator.
        """
        top, left, height, width = _random_box(*image.shape[:2], rng)
        part = resized(image[top:top + height, left:left + width], self.crop, self.crop)
        return np.ascontiguousarray(part[:, ::-1]) if rng.random() < 0.5 else part

    def to_input(self, crops) -> np.ndarray:
        """uint8 (n, h, w, 3) -> float32 (n, 3, h, w), (pixel - mean) / std."""
        scale = 1 / np.asarray(self.std, np.float32)
        offset = np.asarray(self.mean, np.float32) * scale
        output = np.empty((len(crops), 3, *crops.shape[1:3]), np.float32)
        for channel in range(3):
            np.multiply(crops[..., channel], scale[channel], out=output[:, channel])
            output[:, channel] -= offset[channel]
        return output


def _scaled(values):
    return tuple(255 * value for value in values)


PREPROCESSING = {one.name: one for one in (
    Preprocessing("gluoncv", 256, 224, _scaled(IMAGENET_MEAN), _scaled(IMAGENET_STD)),
    # GluonCV's own scripts evaluate nets of a larger input with the shorter side at crop / 0.875.
    Preprocessing("gluoncv-299", math.ceil(299 / CROP_RATIO), 299, _scaled(IMAGENET_MEAN), _scaled(IMAGENET_STD)),
    Preprocessing("gluoncv-331", math.ceil(331 / CROP_RATIO), 331, _scaled(IMAGENET_MEAN), _scaled(IMAGENET_STD)),
    Preprocessing("gluoncv-cifar", 32, 32, _scaled((0.4914, 0.4822, 0.4465)), _scaled((0.2023, 0.1994, 0.2010))),
    # The authors' SqueezeNet: Caffe's mean of each channel, given there as BGR (104, 117, 123), and no scaling.
    Preprocessing("caffe", 256, 227, (123.0, 117.0, 104.0), (1.0, 1.0, 1.0)),
)}
_FAMILIES = {"inceptionv3*": "gluoncv-299", "xception*": "gluoncv-299", "nasnet_[567]_*": "gluoncv-331",
             "cifar_*": "gluoncv-cifar"}


def preprocessing_named(name: str) -> Preprocessing:
    """By name in PREPROCESSING, or "NAME:SIDE" for inputs of another side ("gluoncv:64"); ValueError for others."""
    base, colon, side = name.partition(":")
    if base not in PREPROCESSING or colon and not (side.isdecimal() and 1 <= int(side) <= 4096):
        raise ValueError(f"no preprocessing is named {name!r}: expected one of {', '.join(PREPROCESSING)}, or "
                         "NAME:SIDE for square inputs of 1..4096 pixels, such as gluoncv:64")
    return PREPROCESSING[base].sized(int(side)) if colon else PREPROCESSING[base]


def preprocessing_for(model_name: str) -> Preprocessing:
    """What GluonCV trained a net of its zoo with; "gluoncv" for any name it does not know."""
    found = (name for pattern, name in _FAMILIES.items() if fnmatchcase(model_name.lower(), pattern))
    return PREPROCESSING[next(found, "gluoncv")]


def resized(image, height: int, width: int) -> np.ndarray:
    """uint8 (h, w, 3) -> uint8 (height, width, 3), bilinear; shrinking averages over what a pixel covers."""
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    # Pillow is not needed to read MNIST, so it is not needed to import this module.
    from PIL import Image
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BILINEAR))


def _middle(image, longest):
    # At most this many rows and columns.
    height, width = image.shape[:2]
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    return image[top:top + longest, left:left + longest]


def _random_box(height, width, rng):
    # (top, left, height, width) of a part of the image; the middle of it where ten draws did not fit.
    for _ in range(10):
        area = height * width * rng.uniform(*AREA_RANGE)
        aspect = math.exp(rng.uniform(math.log(ASPECT_RANGE[0]), math.log(ASPECT_RANGE[1])))
        part_width, part_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 1 <= part_width <= width and 1 <= part_height <= height:
            top = int(rng.integers(height - part_height + 1))
            return top, int(rng.integers(width - part_width + 1)), part_height, part_width
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side
