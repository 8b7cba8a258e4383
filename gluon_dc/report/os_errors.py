"""What the system says of a file, in words that tell what to do."""

import errno
import os
from pathlib import Path


def os_error_text(error) -> str:
    """One line on an OSError: where, what was expected, what came, what to do; what it says itself where that is more.

    A file that is there on the next look, or a message of our own (`write_atomically`), is told as it came.
    """
    if error.errno == errno.EIO and error.filename is None:
        return "a file could not be read or written to its end (input/output error): check the disk it is on"
    if error.errno is None or error.filename is None:
        return " ".join(str(error.strerror or error).split())
    path = os.fsdecode(error.filename) if not isinstance(error.filename, int) else f"file {error.filename}"
    found = error.strerror or os.strerror(error.errno)
    if found == os.strerror(error.errno) and error.errno in _WORDS:
        found = _WORDS[error.errno](path)
    return f"{path}: {found}" if path else found


def _missing(path):
    if not path:
        return "expected the name of a file, got an empty one"
    if os.path.islink(path):
        return f"expected a file, this is a link to {os.readlink(path)}, which does not exist: check the link"
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        return f"expected a file, there is not even a folder {folder}: check the path"
    return f"expected a file, there is none of this name in {folder}: check the name"


def _not_a_folder(path):
    within = next((parent for parent in Path(path).absolute().parents if parent.exists()), path)
    return f"expected a folder, {within if Path(within).is_file() else 'this'} is a file: check the path"


_WORDS = {
    errno.ENOENT: _missing,
    errno.ENOTDIR: _not_a_folder,
    errno.EISDIR: lambda path: "expected a file, this is a folder: name a file in it",
    errno.EACCES: lambda path: "permission denied: expected one that this user may use; change its permissions or "
                               "those of its folder (chmod), or run as its owner",
}
_WORDS[errno.EPERM] = _WORDS[errno.EACCES]
