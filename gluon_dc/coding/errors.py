"""The one error that the bytes of a file can cause."""

from contextlib import contextmanager


class FormatError(ValueError):
    """Bytes do not follow the format: what was expected, what came, and where (tensor or section, byte offset)."""


@contextmanager
def located(where: str):
    """Turn a ValueError inside the block into a FormatError that begins with `where`."""
    try:
        yield
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None
