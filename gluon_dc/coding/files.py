"""Files that are either the old one or the new one, whatever happens in between."""
import contextlib
import errno
import os
import tempfile


def write_atomically(path, write):
    """Call ``write(file)`` with a binary file that becomes `path` once it is complete.

    The bytes go to a temporary file in the same folder, reach the disk, and only then take the
    name. On any error or interrupt the temporary file is removed and an earlier file at `path` is
    untouched.

    Parameters
    ----------
    path : str or os.PathLike
    write : callable taking a binary file object open for writing

    Raises
    ------
    OSError
        The folder is missing or not writable, or the disk is full; at `path` there is a device or a pipe (/dev/null),
        which a file would take the place of. The message names `path` and what to do.
    """
    path = os.fspath(path)
    try:
        if os.path.exists(path) and not os.path.isdir(path) and not os.path.isfile(path):
            raise OSError(errno.EINVAL, "A device or a pipe, expected a file")
        _write(path, write)
    except OSError as error:
        reason = error.strerror or str(error)
        raise type(error)(error.errno, f"{reason}: nothing was written, an earlier file is as it was; "
                          "check the folder, its permissions and the space on its disk", path) from error


def _write(path, write):
    descriptor, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + ".",
                                             dir=os.path.dirname(path) or ".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _default_mode())
        os.replace(temporary, path)
    except BaseException:
        # It is gone where the interrupt came right after the replacement; and what went wrong first is to be told.
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _default_mode():
    """Permissions an ordinary new file would get; mkstemp's are for its owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
