"""``python -m gluon_dc classify``: what is in a photograph, by a .gdc file with a graph; without MXNet."""

import json
import sys

import numpy as np

from .coding import FormatError
from .data import preprocessing_for, preprocessing_named
from .data.image_files import ImageError, decode_image
from .data.progress import progress_steps
from .report.os_errors import os_error_text

# ITU-R BT.601, as Pillow turns colours to grey.
_GREY = (0.299, 0.587, 0.114)


def add_options(parser):
    """The options of the command."""
    parser.add_argument("file", help="a .gdc file with a graph (compress.py --graph, add_graph.py)")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="JPEG, PNG, WebP, BMP, TIFF, GIF or PNM")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes to print (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--preprocessing", metavar="NAME[:SIDE]", help="of colour images (default: what the file says)")
    parser.add_argument("--invert", action="store_true", help="for nets of grey images, which expect light on dark: "
                        "the images are dark on light")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def classify(args) -> int:
    """Print the classes of each image; one line on stderr for one that cannot be read. Returns the exit status."""
    if args.top < 1:
        raise ValueError(f"--top must be at least 1, got {args.top}")
    import PIL  # noqa: F401  not after the seconds that a net takes
    from .runtime.session import session
    with progress_steps(None, "reading the net", "weight") as progress:
        net = session(args.file, threads=args.threads, measure=False, progress=progress)
    to_input = preprocessor(net, args.preprocessing, args.invert)
    names, found, status = class_names(net.metadata), [], 0
    for path in args.images:
        try:
            scores = net.run(to_input(read_image(path)))
        except (OSError, ImageError) as error:
            text = os_error_text(error) if isinstance(error, OSError) else " ".join(str(error).split())
            print(f"python -m gluon_dc: {text}", file=sys.stderr)
            status = 1
            continue
        classes = best_classes(scores, args.top, names)
        found.append({"image": path, "classes": classes})
        if not args.json:
            print_classes(path, classes)
    if args.json:
        print(json.dumps(found, indent=1))
    return status


def read_image(path) -> np.ndarray:
    """uint8 (h, w, 3), RGB. Raises OSError, or ImageError for what is no image."""
    with open(path, "rb") as file:
        return decode_image(file.read(), path)


def preprocessor(net, name=None, invert=False):
    """Function from an image (uint8 (h, w, 3)) to an input of the net, float32 (1, c, h, w).

    By the preprocessing of this name, else by the one in the net's metadata, else by GluonCV's for the network; nets of
    one channel get the image in grey, brought to size, as numbers 0..1. ValueError for an option that does not apply.
    """
    shape = net.input_shape
    if shape is not None and len(shape) == 3 and shape[0] == 1:
        if name is not None:
            raise ValueError("--preprocessing is for nets of colour images; this one takes grey ones, of shape "
                             f"{shape}")
        return lambda image: grey_input(image, shape[1:], invert)
    if invert:
        raise ValueError("--invert is for nets of grey images; this one takes "
                         + ("images in colour" if shape is None else f"inputs of shape {shape}"))
    if shape is not None and (len(shape) != 3 or shape[0] != 3):
        raise ValueError(f"takes inputs of shape {shape}, which no image has: use gluon_dc.session(FILE).run(x)")
    name = name or net.metadata.get("preprocessing")
    if name is None:
        chosen = preprocessing_for(str(net.metadata.get("network", "")))
        if shape is not None and shape[1] == shape[2] and shape[1] != chosen.crop:
            chosen = chosen.sized(shape[1])
    elif isinstance(name, str):
        chosen = preprocessing_named(name)
    else:
        raise FormatError(f"metadata: preprocessing must be a name, got {name!r:.80}")
    return lambda image: chosen.to_input(chosen.centre(image)[None])


def grey_input(image, size, invert) -> np.ndarray:
    """uint8 (h, w, 3) -> float32 (1, 1, *size), 0..1."""
    from .data.preprocessing import resized
    grey = resized(image, *size).astype(np.float32) @ np.array(_GREY, np.float32) / 255
    return np.ascontiguousarray((1 - grey if invert else grey)[None, None])


def class_names(metadata):
    """The names of the classes in the file's metadata, or None."""
    names = metadata.get("classes")
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def best_classes(scores, top, names) -> list[dict]:
    """The classes of the highest probability (softmax of the scores), best first. ValueError for NaN or infinities."""
    scores = np.asarray(scores[0] if isinstance(scores, tuple) else scores, np.float64).reshape(-1)
    if not np.isfinite(scores).all():
        raise ValueError("the net's outputs are not finite numbers: its weights or its preprocessing are not right")
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")[:top]
    named = names is not None and len(names) == len(shares)
    return [{"class": int(i), **({"name": names[i]} if named else {}), "probability": round(float(shares[i]), 6)}
            for i in order]


def print_classes(path, classes) -> None:
    """An image and its classes, a line each."""
    print(path)
    for one in classes:
        print(f"  {100 * one['probability']:6.2f} %  {one.get('name', one['class'])}")
