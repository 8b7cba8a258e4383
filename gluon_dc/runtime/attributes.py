"""Attributes of a graph's operators: MXNet writes them as text ("(1, 1)", "True"), and a file may hold any text."""

import math

from ..coding import FormatError

_TRUE, _FALSE = ("True", "true", "1"), ("False", "false", "0")
# Sizes, paddings and axes of real layers are far below; with a few digits no product can grow out of hand.
_MAX_DIGITS = 9
_MAX_COUNT = 32
_MAX_SHOWN = 80  # of a name in a message
_REQUIRED = object()


def where(node) -> str:
    """How messages name a node."""
    op = node.op if node.op.isidentifier() and node.op.isascii() else repr(node.op)
    return f"graph: {op[:_MAX_SHOWN]} {node.name[:_MAX_SHOWN]!r}"


def text(node, name: str, default=_REQUIRED) -> str:
    """The attribute as it is written; FormatError where there is none and no default."""
    if name in node.attrs:
        return node.attrs[name]
    if default is _REQUIRED:
        raise FormatError(f"{where(node)}: has no attribute {name}")
    return default


def integers(node, name: str, default=_REQUIRED, count: int | None = None, least: int | None = None,
             none: bool = False) -> tuple:
    """A tuple of whole numbers, from "(1, 2)", "[1, 2]" or "1".

    count: how many there must be. least: the smallest that is allowed. none: None may stand for a number. The default
    (a tuple) comes back as it is. FormatError for anything else, naming the node.
    """
    written = text(node, name, None)
    if written is None or written.strip() == "None":
        if default is _REQUIRED:
            raise FormatError(f"{where(node)}: has no attribute {name}")
        return default
    inner = written.strip()
    if inner[:1] in "([" and inner[-1:] in ")]":
        inner = inner[1:-1]
    parts = [part.strip() for part in inner.split(",", _MAX_COUNT) if part.strip()]
    found = tuple(None if none and part == "None" else _integer(node, name, part) for part in parts)
    if count is not None and len(found) != count:
        raise FormatError(f"{where(node)}: {name} must be {count} numbers, got {written!r}")
    if least is not None and any(number is not None and number < least for number in found):
        raise FormatError(f"{where(node)}: {name} must be at least {least}, got {written!r}")
    return found


def integer(node, name: str, default=_REQUIRED, least: int | None = None):
    """One whole number; the default comes back as it is, for None too."""
    found = integers(node, name, default if default is _REQUIRED else None, 1, least)
    return default if found is None else found[0]


def number(node, name: str, default=_REQUIRED) -> float:
    """A finite float."""
    written = text(node, name, None)
    if written is None or written == "None":
        if default is _REQUIRED:
            raise FormatError(f"{where(node)}: has no attribute {name}")
        return default
    try:
        found = float(written)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise FormatError(f"{where(node)}: {name} must be a number, got {written[:80]!r}")
    return found


def flag(node, name: str, default: bool = False) -> bool:
    """True or False, from "True", "False", "1", "0"."""
    written = text(node, name, None)
    if written is None:
        return default
    if written not in _TRUE + _FALSE:
        raise FormatError(f"{where(node)}: {name} must be True or False, got {written[:80]!r}")
    return written in _TRUE


def choice(node, name: str, default, choices: tuple) -> str:
    """One of some words."""
    found = text(node, name, default)
    if found not in choices:
        raise FormatError(f"{where(node)}: {name} {found[:80]!r} is not known, expected one of {', '.join(choices)}")
    return found


def _integer(node, name, part):
    digits = part[1:] if part[:1] in ("-", "+") else part
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise FormatError(f"{where(node)}: {name} must be whole numbers of at most {_MAX_DIGITS} digits, got "
                          f"{node.attrs[name][:80]!r}")
    return int(part)
