"""Command-line options for the fields of a settings record, the same in all training scripts."""
import argparse
from contextlib import contextmanager

from ..report.command import UsageError, path_name
from .settings import parse_per_layer


def add_mnist_option(parser):
    """--data-dir."""
    parser.add_argument("--data-dir", type=path_name, metavar="DIR",
                        help="folder with MNIST's four IDX files (default: "
                        "$GLUON_DC_DATA, else ~/.mxnet/datasets/mnist, else a download)")


@contextmanager
def usage():
    """A ValueError inside, about settings that cannot be, is a UsageError."""
    try:
        yield
    except ValueError as error:
        raise UsageError(error) from None


def add_setting(parser, item, shown):
    """Add the option of one field: ``prune_rate`` -> ``--prune-rate``; not given it is None.

    parser : argparse.ArgumentParser or a group of it.
    item : dataclasses.Field made by `settings.setting`.
    shown : list of str
        The defaults as the help shows them; equal ones are shown once.
    """
    flag, text = "--" + item.name.replace("_", "-"), _help(item, shown)
    if item.type is bool:
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        return
    parser.add_argument(flag, type=per_layer if item.type is object else item.type, choices=item.metadata["choices"],
                        metavar=None if item.metadata["choices"] else "N", help=text)


def _help(item, shown):
    return f"{item.metadata['help']} (default: {', '.join(dict.fromkeys(shown))})".replace("%", "%%")


def per_layer(text):
    """A number, or one for each pattern, for argparse."""
    try:
        return parse_per_layer(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a number, or PATTERN=NUMBER,PATTERN=NUMBER; got {text!r}") from None
