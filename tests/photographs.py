"""Small photographs that a tiny net can learn, and the nets."""
from pathlib import Path

import numpy as np
from PIL import Image

TINY = f"{Path(__file__).resolve()}:tiny"


def tiny(classes=10):
    """Convolutions with and without batch norm, dropout, an output layer."""
    from mxnet.gluon import nn
    net = nn.HybridSequential()
    net.add(nn.Conv2D(8, 3, strides=2, use_bias=False), nn.BatchNorm(), nn.Activation("relu"),
            nn.Conv2D(16, 3, strides=2, activation="relu"), nn.GlobalAvgPool2D(), nn.Dropout(0.25), nn.Dense(classes))
    return net


def other(classes=10):
    """A net of other layers."""
    from mxnet.gluon import nn
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3), nn.GlobalAvgPool2D(), nn.Dense(classes))
    return net


def fixed(**_):
    """A net that does not care how many classes there are."""
    return tiny(7)


def write_images(folder, classes, per_class, seed=0, size=(18, 20)):
    """FOLDER/CLASS/N.png, each class brighter in one channel and darker in the next."""
    rng = np.random.default_rng(seed)
    for number, name in enumerate(classes):
        (Path(folder) / name).mkdir(parents=True)
        for index in range(per_class):
            pixels = rng.integers(60, 140, (*size, 3))
            pixels[..., number % 3] += 110
            pixels[..., (number // 3) % 3] -= 50
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(Path(folder) / name / f"{index}.png")
    return Path(folder)


def write_set(folder, classes=("ant", "bee", "cat"), train=14, val=5):
    """A folder with train/ and val/."""
    write_images(Path(folder) / "train", classes, train, seed=1)
    write_images(Path(folder) / "val", classes, val, seed=2)
    return Path(folder)
