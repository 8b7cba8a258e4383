"""Compressed models as SciPy's sparse matrices: a folder of .npz files that `scipy.sparse.load_npz` reads.

The folder holds `index.json`, for each coded tensor one .npz as CSR and one as CSC (where there are both, CSR is read
back), and a .npy for each tensor that travels losslessly. A weight of shape (out, ...) becomes a matrix (out, product
of the rest), so a convolution's kernel (out, in, kh, kw) is (out, in * kh * kw); one of rank 0 or 1 becomes a single
row. `index.json` keeps names, original shapes and files.

What is stored is what is kept: every weight whose code is not 0, even where its centroid is 0.0 or -0.0, so the
pattern of a matrix is the mask, and what is not stored is +0.0. `read_sparse` writes the stored values into zeros
and gives back every bit; SciPy's own `toarray` adds them instead, which turns a stored -0.0 into 0.0.
"""

import json
import math
import re
import zipfile
from pathlib import Path

import numpy as np

from ..coding import unpack
from ..coding.files import write_atomically
from .npfiles import read_npy, read_npz

INDEX_NAME = "index.json"
FORMAT = 1
LAYOUTS = ("csr", "csc")


def write_sparse(model, folder, layouts=LAYOUTS) -> list[Path]:
    """Write a CompressedModel into a folder, made if need be; return the paths written, index.json last.

    An earlier export in that folder is removed first.

    layouts: one or both of "csr" and "csc". Raises ValueError for others, FormatError for streams that do not
    decode, OSError for a folder that cannot be written.
    """
    if not layouts or set(layouts) - set(LAYOUTS):
        raise ValueError(f"layouts must be one or both of {', '.join(LAYOUTS)}, got {list(layouts)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _remove_earlier_export(folder)
    records, paths = [], []
    for number, (name, tensor) in enumerate(model.items()):
        stem = f"{number:03d}-{_file_stem(name)}"
        record, files = _tensor_files(name, tensor, stem, layouts)
        for file_name, write in files.items():
            write_atomically(folder / file_name, write)
            paths.append(folder / file_name)
        records.append(record)
    index = json.dumps({"format": FORMAT, "tensors": records}, indent=1) + "\n"
    write_atomically(folder / INDEX_NAME, lambda file: file.write(index.encode()))
    return [*paths, folder / INDEX_NAME]


def _remove_earlier_export(folder):
    index = folder / INDEX_NAME
    if not index.is_file():
        return
    index.unlink()  # first, so that an interrupted export leaves no index of files that are gone
    for path in folder.glob("[0-9][0-9][0-9]*-*.np[yz]"):
        path.unlink()


def read_sparse(folder) -> dict[str, np.ndarray]:
    """Return {name: array} of a folder by `write_sparse`, bit for bit what the model decoded to, in its order.

    Raises OSError for files that cannot be read, ValueError for those that are not what index.json says.
    """
    folder = Path(folder)
    arrays = {}
    for number, record in enumerate(_read_index(folder / INDEX_NAME)):
        try:
            arrays[record["name"]] = _read_tensor(folder, record)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            name = record.get("name") if isinstance(record, dict) else record
            raise ValueError(f"{folder / INDEX_NAME}: tensor {number} ({name!r:.80}) cannot be read: {error}") from None
    return arrays


def write_dense(arrays, path):
    """Write {name: array} as a compressed .npz that `numpy.load(path, allow_pickle=False)` reads; atomic."""
    write_atomically(path, lambda file: _write_npz(file, arrays))


def csr_arrays(matrix, mask) -> dict[str, np.ndarray]:
    """Return data, indices, indptr and shape of the CSR form that stores the elements of a 2-D matrix where mask.

    matrix: (rows, columns) of any dtype; mask: bool, same shape. Indices are int32 where they fit, else int64.
    """
    rows, columns = matrix.shape
    row_of, column_of = np.nonzero(mask)
    fits = max(rows, columns, row_of.size) < 2**31
    dtype = np.int32 if fits else np.int64
    indptr = np.zeros(rows + 1, dtype)
    np.cumsum(np.bincount(row_of, minlength=rows), out=indptr[1:])
    return {
        "indices": column_of.astype(dtype), "indptr": indptr, "shape": np.array([rows, columns], np.int64),
        "data": matrix[mask],
    }


def _tensor_files(name, tensor, stem, layouts):
    # The record in index.json, and file name -> function that writes that file.
    if isinstance(tensor, np.ndarray):
        file_name = f"{stem}.npy"
        record = {"name": name, "kind": "lossless", "shape": list(tensor.shape), "file": file_name}
        return record, {file_name: lambda file: np.lib.format.write_array(file, tensor, allow_pickle=False)}
    coded = unpack(tensor, name)
    matrix, mask = (array.reshape(_matrix_shape(coded.shape)) for array in (coded.decode(), coded.mask))
    record = {"name": name, "kind": "coded", "shape": list(coded.shape), "matrix_shape": list(matrix.shape),
              "nnz": coded.nnz}
    files = {}
    for layout in layouts:
        record[layout] = f"{stem}.{layout}.npz"
        files[record[layout]] = _matrix_writer(matrix, mask, layout)
    return record, files


def _matrix_writer(matrix, mask, layout):
    # A CSC matrix is the CSR form of the transpose, with its own shape.
    arrays = csr_arrays(matrix, mask) if layout == "csr" else csr_arrays(matrix.T, mask.T)
    arrays["shape"] = np.array(matrix.shape, np.int64)
    arrays["format"] = np.array(layout.encode())
    return lambda file: _write_npz(file, arrays)


def _matrix_shape(shape):
    return (1, math.prod(shape)) if len(shape) < 2 else (shape[0], math.prod(shape[1:]))


def _file_stem(name):
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[:100]


def _write_npz(file, arrays):
    # np.savez takes names as keyword arguments, so a tensor could not be called "file"; members are dated 1980.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _read_index(path):
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(index, dict) or index.get("format") != FORMAT or not isinstance(index.get("tensors"), list):
        raise ValueError(f'{path}: expected an object with "format": {FORMAT} and a list "tensors"')
    return index["tensors"]


def _read_tensor(folder, record):
    shape = tuple(record["shape"])
    if record["kind"] == "lossless":
        array = read_npy(_inside(folder, record["file"]))
        if array.shape != shape:
            raise ValueError(f"the file has shape {array.shape}, {INDEX_NAME} says {shape}")
        return array
    arrays = read_npz(_inside(folder, record.get("csr") or record["csc"]))
    if tuple(arrays["shape"].tolist()) != _matrix_shape(shape):
        raise ValueError(f"the matrix has shape {arrays['shape'].tolist()}, {INDEX_NAME} says {list(shape)}")
    # asarray, as ascontiguousarray would turn rank 0 into rank 1.
    return np.asarray(_dense_matrix(arrays).reshape(shape), order="C")


def _dense_matrix(arrays):
    # Values are written, not added: a stored -0.0 stays one.
    layout, shape = bytes(arrays["format"]).decode(), tuple(arrays["shape"].tolist())
    if layout not in LAYOUTS:
        raise ValueError(f"matrix format {layout!r}, expected one of {', '.join(LAYOUTS)}")
    major, minor = shape if layout == "csr" else shape[::-1]
    data, indices, counts = arrays["data"], arrays["indices"], np.diff(arrays["indptr"])
    consistent = (
        arrays["indptr"].size == major + 1 and (counts >= 0).all() and counts.sum() == data.size == indices.size
        and ((indices >= 0) & (indices < minor)).all()
    )
    if not consistent:
        raise ValueError(f"indptr, indices and data do not fit together in a {layout} matrix of shape {shape}")
    dense = np.zeros((major, minor), data.dtype)
    dense[np.repeat(np.arange(major), counts), indices] = data
    return dense if layout == "csr" else dense.T


def _inside(folder, name):
    if Path(name).name != name:
        raise ValueError(f"file name {name!r} leads out of the folder: expected a plain name")
    return folder / name
