"""Other people's compressors, each as a pair of functions, for the benchmark that sets ours beside them.

What is not installed is left out by name, never an error: `requirements-benchmarks.txt` lists the packages.
"""

import bz2
import contextlib
import importlib
import io
import lzma
import tempfile
import zlib
from dataclasses import dataclass
from typing import Callable

import numpy as np

from ..coding import huffman


@dataclass(frozen=True)
class Coder:
    """A way to code data and get it back: encode() gives what decode(...) turns into what `same` says True to.

    nbytes: the bytes of what encode() gave. slow: it is given only the first part of the data. missing: the package
    that it needs and that is not installed.
    """

    name: str
    encode: Callable | None = None
    decode: Callable | None = None
    same: Callable | None = None
    slow: bool = False
    nbytes: Callable = len
    missing: str | None = None


def byte_coders(symbols: list[np.ndarray]) -> list[Coder]:
    """General compressors on the symbols of uint8 arrays, one symbol a byte, all arrays one after the other."""
    data = b"".join(array.tobytes() for array in symbols)
    methods = {
        "zlib -6": (lambda: zlib.compress(data, 6), zlib.decompress, False),
        "bzip2 -9": (lambda: bz2.compress(data, 9), bz2.decompress, True),
        "xz -6": (lambda: lzma.compress(data, preset=6), lzma.decompress, True),
    }
    coders = [Coder(name, encode, decode, data.__eq__, slow) for name, (encode, decode, slow) in methods.items()]
    return coders + _zstd_coders(data) + _brotli_coders(data)


def _zstd_coders(data: bytes) -> list[Coder]:
    zstandard, names = optional("zstandard"), {"zstd -1": 1, "zstd -19": 19}
    if zstandard is None:
        return [Coder(name, missing="zstandard") for name in names]
    return [Coder(name, lambda level=level: zstandard.ZstdCompressor(level).compress(data),
                  lambda stream: zstandard.ZstdDecompressor().decompress(stream), data.__eq__, level > 9)
            for name, level in names.items()]


def _brotli_coders(data: bytes) -> list[Coder]:
    brotli, names = optional("brotli"), {"brotli -5": 5, "brotli -11": 11}
    if brotli is None:
        return [Coder(name, missing="brotli") for name in names]
    return [Coder(name, lambda level=level: brotli.compress(data, quality=level, lgwin=24), brotli.decompress,
                  data.__eq__, level > 9) for name, level in names.items()]


def constriction_coders(symbols: list[np.ndarray]) -> list[Coder]:
    """constriction's Huffman, ANS and range coder, each array under the frequencies of its own symbols.

    The frequencies themselves are not counted in the bytes. Its Huffman coder is called for each symbol from Python.
    """
    constriction, names = optional("constriction"), ("constriction ANS", "constriction range", "constriction Huffman")
    if constriction is None:
        return [Coder(name, missing="constriction") for name in names]
    arrays = [array.reshape(-1) for array in symbols if array.size]
    shares = [(huffman.count_symbols(array, 256) / array.size).astype(np.float32) for array in arrays]
    # A symbol that is sure takes no bits in anyone's coder, and constriction's models want at least two.
    coded = [(array, share) for array, share in zip(arrays, shares) if np.count_nonzero(share) > 1]
    methods = (_ans(constriction), _range(constriction), _huffman(constriction))
    return [_per_array(name, coded, *method, slow=name.endswith("Huffman")) for name, method in zip(names, methods)]


def _per_array(name: str, coded: list, encode, decode, slow: bool) -> Coder:
    sizes = []

    def encode_all() -> bytes:
        words = [encode(array, share) for array, share in coded]
        sizes[:] = [part.size for part in words]
        return b"".join(part.tobytes() for part in words)

    def decode_all(stream) -> list[np.ndarray]:
        parts = np.split(np.frombuffer(stream, np.uint32), np.cumsum(sizes)[:-1]) if coded else []
        return [decode(part, share, array.size) for part, (array, share) in zip(parts, coded)]
    return Coder(name, encode_all, decode_all, lambda found: all(
        np.array_equal(got, array) for got, (array, _) in zip(found, coded)), slow)


def _ans(constriction):
    def encode(array, share):
        coder = constriction.stream.stack.AnsCoder()
        coder.encode_reverse(array.astype(np.int32), constriction.stream.model.Categorical(share, perfect=False))
        return coder.get_compressed()

    def decode(words, share, n):
        coder = constriction.stream.stack.AnsCoder(words)
        return coder.decode(constriction.stream.model.Categorical(share, perfect=False), n)
    return encode, decode


def _range(constriction):
    def encode(array, share):
        coder = constriction.stream.queue.RangeEncoder()
        coder.encode(array.astype(np.int32), constriction.stream.model.Categorical(share, perfect=False))
        return coder.get_compressed()

    def decode(words, share, n):
        coder = constriction.stream.queue.RangeDecoder(words)
        return coder.decode(constriction.stream.model.Categorical(share, perfect=False), n)
    return encode, decode


def _huffman(constriction):
    symbol = constriction.symbol

    def encode(array, share):
        coder, tree = symbol.QueueEncoder(), symbol.huffman.EncoderHuffmanTree(share)
        for number in array.tolist():
            coder.encode_symbol(number, tree)
        return coder.get_compressed()[0]

    def decode(words, share, n):
        coder, tree = symbol.QueueDecoder(words), symbol.huffman.DecoderHuffmanTree(share)
        return np.array([coder.decode_symbol(tree) for _ in range(n)], np.uint8)
    return encode, decode


def nncodec_coders(tensors: list) -> list[Coder]:
    """NNCodec (ISO/IEC 15938-17) without loss, CodedTensors as whole numbers: codes' ranks in the sorted codebook.

    Rank 0 is the value 0, negative values have negative ranks. NNCodec writes its stream to a file as well.
    """
    name = "NNCodec, codes as integers"
    nncodec = optional("nncodec.nn")
    if nncodec is None:
        return [Coder(name, missing="nncodec")]

    def numbers() -> dict:
        return {f"{i}.weight": signed_ranks(tensor) for i, tensor in enumerate(tensors) if tensor.size}

    def encode() -> bytes:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            return bytes(nncodec.encode(numbers(), {"verbose": False, "results": folder}))

    def decode(stream) -> dict:
        with contextlib.redirect_stdout(io.StringIO()):
            return nncodec.decode(bytearray(stream))
    return [Coder(name, encode, decode, lambda found: all(
        np.array_equal(found[key], array) for key, array in numbers().items()), slow=True)]


def signed_ranks(tensor) -> np.ndarray:
    """int32, a CodedTensor's shape: each code's place in the sorted codebook, counted from that of code 0."""
    order = np.argsort(tensor.codebook, kind="stable")
    ranks = np.empty(order.size, np.int32)
    ranks[order] = np.arange(order.size)
    return (ranks - ranks[0])[tensor.codes]


def optional(name: str):
    """The module of that name, or None where it is not installed or cannot be loaded."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError):
        return None
