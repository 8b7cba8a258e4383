"""Arrays as bytes without loss: plain or as float16 where that is exact, all values or only those that are not zero."""

import math

import numpy as np

from .errors import FormatError

DTYPES = ("<f4", "<f2", "<f8", "|i1", "|u1", "<i4", "<i8")
AS_FLOAT16 = 8
WITHOUT_ZEROS = 16


def pack_array(array: np.ndarray) -> tuple[int, bytes]:
    """Form byte (0..31) and the bytes of the smallest form of an array of one of DTYPES.

    Form: index into DTYPES, plus AS_FLOAT16 where float32 values travel as float16 (only if that gives back every
    bit, those of NaN and -0.0 included, see `exact_half`), plus WITHOUT_ZEROS where a bitmap, highest bit first, says
    which values have a bit other than zero, and only those follow. Little-endian, C order. Raises ValueError for
    another dtype.
    """
    form = dtype_index(array)
    flat = np.ascontiguousarray(array, DTYPES[form]).reshape(-1)
    if (half := exact_half(flat)) is not None:
        form, flat = form + AS_FLOAT16, half
    present = flat.view(f"u{flat.itemsize}") != 0
    sparse_nbytes = -(-flat.size // 8) + int(np.count_nonzero(present)) * flat.itemsize
    if sparse_nbytes < flat.nbytes:
        return form + WITHOUT_ZEROS, np.packbits(present).tobytes() + flat[present].tobytes()
    return form, flat.tobytes()


def unpack_array(form: int, data, shape: tuple[int, ...]) -> np.ndarray:
    """Read-only array of `shape` from the form byte and exactly its bytes. Raises FormatError for others.

    Assumes a shape that was checked: it is allocated.
    """
    dtype, stored = form_dtypes(form)
    size = math.prod(shape)
    native = dtype.newbyteorder("=")
    if form & WITHOUT_ZEROS:
        present, values = read_bitmap(data, size)
        flat = widened(spread(present, values, stored), native)
    elif len(data) != size * stored.itemsize:
        raise FormatError(f"array data has {len(data)} bytes, shape {shape} takes {size * stored.itemsize}")
    else:
        # A copy: a view would hold the whole file in memory.
        flat = widened(np.frombuffer(data, stored).copy(), native)
    result = flat.reshape(shape)
    result.flags.writeable = False
    return result


def dtype_index(array: np.ndarray) -> int:
    """Index into DTYPES. Raises ValueError for a dtype that is not there."""
    names = [np.dtype(code).name for code in DTYPES]
    if array.dtype.name not in names:
        raise ValueError(f"dtype {array.dtype} cannot be stored, expected one of {', '.join(names)}")
    return names.index(array.dtype.name)


def form_dtypes(form: int) -> tuple[np.dtype, np.dtype]:
    """Dtype of the array and dtype of the stored values for a form byte. Raises FormatError for an unknown form."""
    index = form & 7
    if not 0 <= form < 32 or index >= len(DTYPES) or (form & AS_FLOAT16 and DTYPES[index] != "<f4"):
        raise FormatError(f"unknown array form {form:#04x}")
    return np.dtype(DTYPES[index]), np.dtype("<f2" if form & AS_FLOAT16 else DTYPES[index])


def pack_plain(values: np.ndarray) -> bytes:
    """float32 (n,) as little-endian float16 where that is exact, else as float32."""
    half = exact_half(values)
    return (values.astype("<f4") if half is None else half).tobytes()


def plain_nbytes(values: np.ndarray) -> int:
    """len(pack_plain(values))."""
    return values.size * (4 if exact_half(values) is None else 2)


def exact_half(values: np.ndarray) -> np.ndarray | None:
    """float32 (n,) as little-endian float16 (n,); None where that is inexact or saves nothing.

    Decided on the bits, alike on every machine. A signalling NaN counts as inexact: float16 could hold some, but most
    processors make them quiet when they widen them, so that another reader would not give them back.
    """
    if values.dtype != np.float32 or values.size == 0:
        return None
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        half = values.astype("<f2")
    # Most arrays end here, without a look at NaNs.
    if not np.array_equal(half.astype(np.float32).view(np.uint32), values.view(np.uint32)):
        return None
    return None if _is_signalling(values.view(np.uint32)).any() else half


def widened(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Stored values as an array of `dtype` in native byte order, bit for bit: `values` itself if they are that.

    float16 to float32 keeps the bits of every NaN; the processor's conversion (NumPy's, in some versions) would make
    signalling ones quiet.
    """
    result = values.astype(dtype, copy=False)
    if dtype == np.float32 and values.dtype.itemsize == 2 and (is_nan := np.isnan(values)).any():
        bits = values[is_nan].view("<u2").astype(np.uint32)
        result[is_nan] = ((bits & 0x8000) << 16 | 0x7F800000 | (bits & 0x3FF) << 13).view(np.float32)
    return result


def _is_signalling(bits: np.ndarray) -> np.ndarray:
    # Of float32: a NaN (fraction not 0 under the highest exponent) whose highest fraction bit is 0.
    magnitude = bits & 0x7FFFFFFF
    return (magnitude > 0x7F800000) & (magnitude < 0x7FC00000)


def read_bitmap(data, size: int) -> tuple[np.ndarray, memoryview]:
    """bool (size,) of a bitmap at the front of `data`, and what follows it. FormatError for one that is cut short."""
    bitmap = np.frombuffer(data[:-(-size // 8)], np.uint8)
    if bitmap.size != -(-size // 8):
        raise FormatError(f"bitmap has {bitmap.size} bytes, {size} values take {-(-size // 8)}")
    if size % 8 and bitmap[-1] & (0xFF >> size % 8):
        raise FormatError(f"padding bits of the bitmap are not zero: last byte is {bitmap[-1]:#04x}")
    return np.unpackbits(bitmap, count=size).view(bool), data[bitmap.size:]


def spread(present: np.ndarray, values, stored: np.dtype) -> np.ndarray:
    """An array of dtype `stored`, shape of the mask, 0 but where `present`: there the values of these bytes."""
    nbytes = int(np.count_nonzero(present)) * stored.itemsize
    if len(values) != nbytes:
        raise FormatError(f"{len(values)} bytes follow the bitmap, its values take {nbytes}")
    flat = np.zeros(present.shape, stored)
    flat[present] = np.frombuffer(values, stored)
    return flat
