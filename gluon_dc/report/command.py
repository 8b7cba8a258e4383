"""What the scripts in tools/ and train/ share."""

import sys

NEEDS_MXNET = ("needs MXNet 1.9.1: pip install -r requirements.txt; reading a file needs none: "
               "python -m gluon_dc info FILE")
# Module -> the package that brings it, where the two have different names.
_PACKAGES = {"yaml": "PyYAML", "PIL": "Pillow", "sklearn": "scikit-learn", "cv2": "OpenCV", "gluoncv": "GluonCV"}


def run_command(program, action, args) -> int:
    """Call action(args) and return its exit code (None is 0); bad input becomes one line on stderr and exit code 1.

    Bad input is what raises ValueError (FormatError among them), OSError or MemoryError; so is a package that is not
    installed. Ctrl-C is passed on: each script says itself what it left behind.
    """
    try:
        return action(args) or 0
    except (ValueError, OSError, MemoryError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
    except (ModuleNotFoundError, AttributeError) as error:
        message = what_is_missing(error)
        if message is None:
            raise
    print(f"{program}: error: {message}", file=sys.stderr)
    return 1


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
