"""What general compressors make of the same parameters, each at its strongest setting.

Tar archives (for gzip, bzip2 and xz) and zip archives hold one raw little-endian file for each array. Times and owners
are fixed, so equal parameters give equal bytes. Only the standard library is used.
"""

import bz2
import io
import lzma
import math
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, replace

import numpy as np

from .streams import model_streams, recode

TAR_BLOCK = 512
CHUNK_NBYTES = 1 << 20
STAGES = ("dense", "pruned", "shared")
STREAM_COMPRESSORS = {
    # wbits 31 writes a gzip header, with the time left at 0.
    "tar+gzip -9": lambda: zlib.compressobj(9, zlib.DEFLATED, 31),
    "tar+bzip2 -9": lambda: bz2.BZ2Compressor(9),
    "tar+xz -9e": lambda: lzma.LZMACompressor(preset=9 | lzma.PRESET_EXTREME),
}
ZIP = "zip -9"
COMPRESSORS = (*STREAM_COMPRESSORS, ZIP)
RAW = "raw values"
FIXED = ".gdc, fixed width"
HUFFMAN = ".gdc, Huffman"
ENTROPY = ".gdc at zero-order entropy"


@dataclass(frozen=True)
class CompressorRow:
    """Bytes of one method for the dense, the pruned and the shared parameters; None where it does not apply."""

    method: str
    dense: int | None
    pruned: int | None
    shared: int | None


def compressor_rows(model, dense=None, pruned=None, advance=None) -> list[CompressorRow]:
    """Return the rows of the table of compressors for a CompressedModel.

    dense, pruned: {name: array} of the parameters after those stages, where known; the shared parameters are what the
    model decodes to. advance(nbytes), if given, is called as the input is consumed; `input_nbytes` tells how much
    there will be. The last three rows are ours: whole files with the best gap width for either coder, and the Huffman
    file with its streams and tables replaced by the zero-order entropy of the streams; a graph and metadata are left
    out, as the compressors do not get them either. Raises FormatError for streams that do not decode.
    """
    model = replace(model, graph=None, metadata={})
    stages = (dense, pruned, model.decode())
    raw = [None if arrays is None else sum(array.nbytes for array in arrays.values()) for arrays in stages]
    rows = [CompressorRow(RAW, *raw)]
    for method in COMPRESSORS:
        sizes = [None if arrays is None else compressed_nbytes(arrays, method, advance) for arrays in stages]
        rows.append(CompressorRow(method, *sizes))
    huffman_model = recode(model, "huffman", keep_rel_bits=False)
    return rows + [
        CompressorRow(FIXED, None, None, recode(model, "fixed", keep_rel_bits=False).nbytes),
        CompressorRow(HUFFMAN, None, None, huffman_model.nbytes),
        CompressorRow(ENTROPY, None, None, entropy_nbytes(huffman_model)),
    ]


def compressed_nbytes(arrays, method, advance=None) -> int:
    """Return the bytes of an archive of {name: array} by one of COMPRESSORS. Input is read in chunks.

    Raises ValueError for another method.
    """
    if method not in COMPRESSORS:
        raise ValueError(f"unknown compressor {method!r}, expected one of {', '.join(COMPRESSORS)}")
    if method == ZIP:
        return len(zip_bytes(arrays, advance))
    compressor = STREAM_COMPRESSORS[method]()
    nbytes = 0
    for chunk in tar_chunks(arrays):
        nbytes += len(compressor.compress(chunk))
        if advance:
            advance(len(chunk))
    return nbytes + len(compressor.flush())


def input_nbytes(*stages) -> int:
    """Bytes that `compressor_rows` will read for these {name: array} stages (None counts 0), for a progress bar."""
    tar_nbytes = sum(len(chunk) for arrays in stages if arrays is not None for chunk in tar_chunks(arrays))
    zip_nbytes = sum(array.nbytes for arrays in stages if arrays is not None for array in arrays.values())
    return len(STREAM_COMPRESSORS) * tar_nbytes + zip_nbytes


def tar_chunks(arrays):
    """Yield the bytes of an uncompressed tar archive of {name: array}, chunk by chunk: each array is name + ".bin"."""
    for name, array in arrays.items():
        info = tarfile.TarInfo(f"{name}.bin")
        info.size = array.nbytes
        yield info.tobuf(tarfile.GNU_FORMAT)
        yield from _raw_chunks(array)
        yield bytes(-array.nbytes % TAR_BLOCK)
    yield bytes(2 * TAR_BLOCK)


def zip_bytes(arrays, advance=None) -> bytes:
    """Return a zip archive of {name: array}, each array as name + ".bin"."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            # Opened by its name alone, a member is dated 1980 and takes the archive's level.
            with archive.open(f"{name}.bin", "w", force_zip64=array.nbytes >= 2**31) as member:
                for chunk in _raw_chunks(array):
                    member.write(chunk)
                    if advance:
                        advance(len(chunk))
    return target.getvalue()


def entropy_nbytes(model) -> int:
    """Bytes of a model's file if its streams took their zero-order entropy and needed no tables, rounded up."""
    streams = model_streams(model)
    stored = sum(stream.nbytes + stream.table_nbytes for stream in streams)
    return model.nbytes - stored + math.ceil(sum(stream.bound_nbytes for stream in streams))


def _raw_chunks(array):
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    view = memoryview(little.reshape(-1).view(np.uint8))
    for start in range(0, len(view), CHUNK_NBYTES):
        yield view[start : start + CHUNK_NBYTES]
