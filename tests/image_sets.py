"""Small image sets on disk for tests."""
import io

import numpy as np
from PIL import Image


def picture(seed, height=20, width=24):
    """uint8 (height, width, 3): one smooth colour ramp, so that JPEG changes it little."""
    rng = np.random.default_rng(seed)
    low, high = rng.integers(0, 120, 3), rng.integers(130, 255, 3)
    ramp = np.linspace(0, 1, width)[None, :, None] * np.linspace(0.5, 1, height)[:, None, None]
    return (low + (high - low) * ramp).astype(np.uint8)


def image_bytes(pixels, kind="PNG"):
    """The bytes of an image file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def make_folder(root, counts, height=20, width=24):
    """root/CLASS/N.png for {class: number of images}; returns root."""
    seed = 0
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            (root / name / f"{i}.png").write_bytes(image_bytes(picture(seed, height, width)))
            seed += 1
    return root


def make_csv(root, name, rows, header="filename,label"):
    """root/NAME.csv over images in root/images, which are made where the row's file is not there; returns its path."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    for seed, (file, _) in enumerate(rows):
        if not (root / "images" / file).exists():
            (root / "images" / file).write_bytes(image_bytes(picture(seed)))
    path = root / f"{name}.csv"
    path.write_text("\n".join([header, *(f"{file},{label}" for file, label in rows)]) + "\n")
    return path
