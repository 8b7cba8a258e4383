"""What the scripts in tools/ and train/ share."""

import argparse
import sys
from pathlib import Path

NEEDS_MXNET = ("needs MXNet 1.9.1: pip install -r requirements.txt; reading a file needs none: "
               "python -m gluon_dc info FILE")
# Module -> the package that brings it, where the two have different names.
_PACKAGES = {"yaml": "PyYAML", "PIL": "Pillow", "sklearn": "scikit-learn", "cv2": "OpenCV", "gluoncv": "GluonCV"}


class UsageError(ValueError):
    """A command line that asks for what cannot be: exit code 2, as argparse's own errors have."""


def run_command(program, action, args, also=()) -> int:
    """Call action(args) and return its exit code (None is 0); bad input becomes one line on stderr and exit code 1.

    Bad input is what raises ValueError (FormatError among them; a UsageError has exit code 2), OSError, MemoryError or
    one of the classes `also`; so is a package that is not installed. Ctrl-C is passed on: each script says itself what
    it left behind.
    """
    status = 1
    try:
        return action(args) or 0
    except (ValueError, OSError, MemoryError, *also) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        status += isinstance(error, UsageError)
    except (ModuleNotFoundError, AttributeError) as error:
        message = what_is_missing(error)
        if message is None:
            raise
    print(f"{program}: error: {message}", file=sys.stderr)
    return status


def image_shape(text):
    """C,H,W as three whole numbers, for argparse."""
    try:
        sizes = tuple(int(size) for size in text.split(","))
    except ValueError:
        sizes = ()
    if len(sizes) != 3 or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"expected three sizes such as 3,224,224; got {text!r}")
    return sizes


def check_json(parser, path, inputs=()) -> None:
    """End in a usage error for a --json file that could not be written, or that is one of the files to read."""
    if not path:
        return
    target = Path(path).absolute()
    if target.is_dir():
        parser.error(f"--json {path}: is a folder, expected a file to write")
    if not target.parent.is_dir():
        parser.error(f"--json {path}: its folder does not exist")
    for name in inputs:
        if name and target.resolve() == Path(name).absolute().resolve():
            parser.error(f"--json {path}: is the file to read; give another name")


def run_training(program, action, args, goes_on) -> int:
    """`run_command` for work that is gone on with: Ctrl-C says that the same command goes on `goes_on`, exit code 130.

    ArithmeticError (a loss that is not finite) and RuntimeError (a file that does not decode to its weights; MXNet's
    own errors) are one line too.
    """
    try:
        return run_command(program, action, args, (ArithmeticError, RuntimeError))
    except KeyboardInterrupt:
        print(f"\nstopped: the same command goes on {goes_on}", file=sys.stderr)
        return 130


def what_is_missing(error) -> str | None:
    """Say in one line which package an exception is about, and how to get it; None where it is about none.

    error: a ModuleNotFoundError; or an AttributeError, which importing MXNet 1.9.1 raises beside NumPy 1.24 or later.
    """
    if isinstance(error, ModuleNotFoundError):
        name = (error.name or "").partition(".")[0]
        if name == "mxnet":
            return NEEDS_MXNET
        if name == __name__.partition(".")[0]:  # a module of ours: that is a bug, and no package helps
            return None
        return f"needs {_PACKAGES.get(name, name) or error}, which is not installed: pip install -r requirements.txt"
    numpy = sys.modules.get("numpy")
    if numpy is not None and getattr(error, "obj", None) is numpy and getattr(error, "name", None) == "bool":
        return f"{NEEDS_MXNET} (MXNet is there, but it needs NumPy below 1.24, and this is {numpy.__version__})"
    return None
