"""Folders of what several runs share, the pool and the teacher: named by what decides them, made by one process."""
import fcntl
import hashlib
import json
import os
import sys
from contextlib import contextmanager

import numpy as np
from tqdm import tqdm

from ...coding import write_atomically
from ..checkpoints import write_json


@contextmanager
def shared_folder(cache, kind, identity):
    """A folder in `cache` for what `identity` (JSON-able) decides; one process at a time is in it, others wait.

    identity.json there says what it is of. Gives the folder's path.
    """
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    folder = cache / f"{kind}-{digest[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _wait_for(descriptor, folder)
        for leftover in folder.glob("*.????????"):
            if leftover.suffixes[0] in (".npy", ".npz", ".json"):  # of a write that was killed
                leftover.unlink()
        if not (folder / "identity.json").exists():
            write_json(folder / "identity.json", identity)
        yield folder
    finally:
        os.close(descriptor)


def _wait_for(descriptor, folder):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"waiting for another process that works in {folder}", file=sys.stderr, flush=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def write_in_parts(path, parts, count, shape, dtype, what):
    """Write the `count` arrays of `parts` (shape, dtype each) as one .npy, atomically, with a progress bar.

    Never more than one of them is in memory.
    """
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False,
              "shape": (count, *shape)}

    def write(file):
        np.lib.format.write_array_header_1_0(file, header)
        for part in tqdm(parts, total=count, desc=what, unit="copy", delay=2, leave=False, dynamic_ncols=True):
            file.write(np.ascontiguousarray(part, dtype).data)
    write_atomically(path, write)


def read_parts(path, shape, dtype):
    """A file of `write_in_parts`, mapped into memory, read only.

    Raises
    ------
    ValueError
        It is damaged, or of another shape.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete it to have it made again") from error
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{path}: expected {np.dtype(dtype)} {shape}, found {array.dtype} {array.shape}; delete it to "
                         "have it made again")
    return array
