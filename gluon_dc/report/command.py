"""What the scripts in tools/ and train/ share."""

import argparse
import contextlib
import math
import os
import re
import sys
from pathlib import Path

from .. import ctrl_c
from ..coding.container import MAX_DECODED_NBYTES
from .os_errors import os_error_text
from .outputs import check_outputs

NOTHING_WRITTEN = "nothing was written, an earlier file is as it was"
NEEDS_MXNET = ("needs MXNet 1.9.1: pip install -r requirements.txt; reading a file needs none: "
               "python -m gluon_dc info FILE")
# Module -> the package that brings it, where the two have different names.
_PACKAGES = {"yaml": "PyYAML", "PIL": "Pillow", "sklearn": "scikit-learn", "cv2": "OpenCV", "gluoncv": "GluonCV"}


class UsageError(ValueError):
    """A command line that asks for what cannot be: exit code 2, as argparse's own errors have."""


def run_command(program, action, args, also=(), interrupted="") -> int:
    """Call action(args) and return its exit code (None is 0); bad input becomes one line on stderr and exit code 1.

    Bad input is what raises ValueError (FormatError among them; a UsageError has exit code 2), OSError, MemoryError,
    OverflowError (a number that no machine word holds) or one of the classes `also`; so is a package that is not
    installed, or what MXNet refuses. Ctrl-C is a line with exit code 130; interrupted: what it says of the work. Output
    into a pipe that nobody reads any more (`| head`) ends quietly with exit code 141, as a program ends that SIGPIPE
    has killed.
    """
    ctrl_c.listen(interrupted)
    try:
        code = action(args) or 0
        _flush()
        return code
    except KeyboardInterrupt:
        ctrl_c.stop_listening()
        print(ctrl_c.line(program, interrupted), end="", file=sys.stderr)
        return ctrl_c.STATUS
    except BrokenPipeError:
        _drop_output()
        return 141
    except (ValueError, OSError, MemoryError, OverflowError, *also) as error:
        text = os_error_text(error) if isinstance(error, OSError) else " ".join(str(error).split())
        message = _of_mxnet(error) or text or type(error).__name__
        status = 2 if isinstance(error, UsageError) else 1
    except (ModuleNotFoundError, AttributeError, RuntimeError) as error:
        message, status = what_is_missing(error) or _of_mxnet(error), 1
        if message is None:
            raise
    print(f"{program}: error: {message}", file=sys.stderr)
    with contextlib.suppress(OSError):
        _flush()
    return status


def _of_mxnet(error):
    """The last line of an MXNetError, which says what it is after a traceback as text; None for other errors."""
    if type(error).__name__ != "MXNetError":  # importing it to ask would take seconds
        return None
    last = (str(error).strip() or "an error without a message").splitlines()[-1]
    return f"MXNet: {last.removeprefix('MXNetError: ')}"


def _flush():
    """Write out what was printed: when the process ends it would be too late to tell of an error."""
    if sys.stdout is None:  # closed by the caller (>&-): then nothing is printed
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop_output()
        raise OSError(f"the output could not be written: {error.strerror or error}") from None


def _drop_output():
    # Python writes what is left when the process ends, and is not to fail then.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_training(program, action, args, goes_on) -> int:
    """`run_command` for work that is gone on with: Ctrl-C says that the same command goes on `goes_on`.

    ArithmeticError (a loss that is not finite) and RuntimeError (a file that does not decode to its weights; MXNet's
    own errors) are one line too.
    """
    return run_command(program, action, args, (ArithmeticError, RuntimeError), f"the same command goes on {goes_on}")


def command_parser(program, text) -> argparse.ArgumentParser:
    """The parser of a script whose docstring is the text of its --help, as it stands there."""
    return argparse.ArgumentParser(prog=program, description=text,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)


def add_file(parser, text="a .gdc file of any version") -> None:
    """FILE and --max-decoded-nbytes, for commands that read one .gdc file."""
    parser.add_argument("file", metavar="FILE", help=text)
    parser.add_argument("--max-decoded-nbytes", type=count, metavar="N", default=MAX_DECODED_NBYTES,
                        help="refuse a file whose tensors would take more bytes (default: %(default)s)")


def path_name(text):
    """The name of a file or folder, for argparse: an empty one would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("expected the name of a file or folder, got an empty one")
    return text


def folder_name(text):
    """A folder as a Path, for argparse; see `path_name`."""
    return Path(path_name(text))


def input_shape(text):
    """The shape of one input, C,H,W or as many sizes as the net takes, for argparse: a tuple of whole numbers."""
    sizes = [size.strip() for size in text.split(",")]
    if len(sizes) > 4 or not all(re.fullmatch("[1-9][0-9]{0,6}", size) for size in sizes):
        raise argparse.ArgumentTypeError(f"expected sizes such as 3,224,224; got {text!r}")
    return tuple(map(int, sizes))


def count(text):
    """A whole number from 1 on, for argparse."""
    if not re.fullmatch(r"0*[1-9][0-9]{0,17}", text):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on; got {text!r}")
    return int(text)


def number_between(least, most):
    """The function that makes a number from least to most of text, for argparse."""
    def checked(text):
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f"expected a number {least:g}..{most:g}; got {text!r}")
        return found
    return checked


def seed(text):
    """A whole number from 0 to 2**32 - 1, for argparse: NumPy and MXNet take no others."""
    if not re.fullmatch("[0-9]{1,10}", text) or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to {2**32 - 1}; got {text!r}")
    return int(text)


def check_json(parser, path, inputs=()) -> None:
    """End in a usage error for a --json file that could not be written, or that is one of the files to read."""
    try:
        check_outputs([("--json", path)], [("the file to read", name) for name in inputs if name])
    except ValueError as error:
        parser.error(str(error))


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
        how = "pip install -r requirements.txt" + ", or pip install pillow alone" * (name == "PIL")
        return f"needs {_PACKAGES.get(name, name) or error}, which is not installed: {how}"
    numpy = sys.modules.get("numpy")
    if numpy is not None and getattr(error, "obj", None) is numpy and getattr(error, "name", None) == "bool":
        return f"{NEEDS_MXNET} (MXNet is there, but it needs NumPy below 1.24, and this is {numpy.__version__})"
    return None
