"""What `shrink` keeps beside the file it makes, so that the same command goes on from there."""
import hashlib
import json
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ..coding import CodedTensor, write_atomically
from ..data.progress import progress_bar
from ..nn.error_feedback import GridShared

# Of more bytes of images only the ends of each are read: other pictures differ there already.
READ_NBYTES = 4 * 2**30
ENDS_NBYTES = 4096


def work_path(output, what):
    """OUT.WHAT.npz beside OUT.gdc."""
    return Path(output).with_suffix(f".{what}.npz")


def images_digest(sets):
    """64 hex digits of the sizes and contents of the images of several ImageSets, in their order.

    The same wherever they lie and whatever they are called. Of more than 4 GiB in all, the first and last 4 KiB of
    each image. A progress bar shows. Raises OSError for an image that is not there any more.
    """
    found, sizes = hashlib.sha256(), [images.nbytes() for images in sets]
    ends = ENDS_NBYTES if sum(int(one.sum()) for one in sizes) > READ_NBYTES else None
    for one in sizes:
        found.update(f"{len(one)}\n".encode() + one.tobytes())
    every = ((images, i) for images in sets for i in range(len(images)))
    for images, i in progress_bar(every, sum(map(len, sets)), "comparing the images", "image"):
        found.update(images.content(i, ends))
    return found.hexdigest()


def read_work(path, identity):
    """{name: array} that an earlier run has kept, None where there is none or it is of another identity (a dict).

    Raises ValueError, naming the file, for one that is damaged.
    """
    if not Path(path).exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        said = json.loads(str(arrays.pop("identity")))
    except (ValueError, OSError, KeyError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path}: is no work of an earlier run ({error}): remove it") from None
    return arrays if said == identity else None


def write_work(path, identity, arrays):
    """The file that `read_work` reads, whole or not at all."""
    write_atomically(path, lambda file: np.savez(file, identity=json.dumps(identity), **arrays))


def layer_arrays(name, shared):
    """A GridShared as arrays for `write_work`."""
    numbers = np.array([shared.step, shared.loss_nats, shared.bits])
    bias = {} if shared.bias is None else {f"{name}|bias": shared.bias}
    return {f"{name}|codes": shared.coded.codes, f"{name}|codebook": shared.coded.codebook, f"{name}|numbers": numbers,
            **bias}


def layers_of(arrays, names):
    """{name: GridShared} of those of `names` that are in the arrays."""
    return {name: _layer(arrays, name) for name in names if f"{name}|codes" in arrays}


def _layer(arrays, name):
    step, loss, bits = map(float, arrays[f"{name}|numbers"])
    coded = CodedTensor(arrays[f"{name}|codebook"], arrays[f"{name}|codes"])
    return GridShared(coded, arrays.get(f"{name}|bias"), step, loss, bits)
