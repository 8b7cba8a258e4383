"""Sizes and speeds of our coders beside other people's, on the same data: rows for `benchmarks/coding.py`."""

import math
import time
from dataclasses import dataclass

import numpy as np

from ..coding import CodedTensor, cluster, huffman, pack, relative, share_as, unpack
from ..coding.chunked import decode_chunks, encode_chunks
from ..coding.context import EFFORTS, decode_codes, encode_codes
from .other_coders import Coder, byte_coders, constriction_coders, nncodec_coders

# A call that takes longer than this, in seconds, is timed once.
LONG_CALL = 2.0
KINDS = ("entries", "gaps", "weights")


def coder_rows(tensors: list[CodedTensor], slow_items: int, repeats: int, advance=None) -> list[dict]:
    """One row for each coder and kind of data, in order, each from data to bytes to data, which is compared.

    Kinds: "entries" and "gaps" are the symbols of each tensor's streams with the gap width that takes the fewest bytes
    (a tensor in dense mode has no gaps), "weights" all codes of the tensors, zeros and all. An item is a symbol or a
    weight. Codebooks are in nobody's bytes. Slow coders are given the first `slow_items` items, in whole rows.

    Keys of a row: data, coder, and either not_installed (the package) or items, nbytes, bits_per_item,
    encode_seconds, decode_seconds (the least of up to `repeats` calls), encode_m_items_s and decode_m_items_s
    (millions of items a second). advance(), if given, is called after each row.
    """
    rows = []
    for kind in KINDS:
        whole = data_coders(kind, tensors)
        weights, items = (sum(array.size for array in arrays) for arrays in ([t.codes for t in tensors], whole.symbols))
        part = data_coders(kind, first_items(tensors, -(-slow_items * weights // max(1, items))))
        rows.append(_entropy_row(kind, whole.symbols))
        for coder, of_part in zip(whole.coders, part.coders):
            chosen, symbols = (of_part, part.symbols) if coder.slow else (coder, whole.symbols)
            items = sum(array.size for array in symbols)
            rows.append({"data": kind, "coder": coder.name, **measured(chosen, items, repeats)})
            if advance:
                advance()
    return rows


@dataclass(frozen=True)
class DataCoders:
    """One kind of data, as uint8 arrays of symbols, and all coders for it, always the same ones in the same order."""

    symbols: list[np.ndarray]
    coders: list[Coder]


def data_coders(kind: str, tensors: list[CodedTensor]) -> DataCoders:
    """The symbols of one of KINDS and their coders."""
    if kind == "weights":
        symbols = [tensor.codes.reshape(-1) for tensor in tensors]
        ours = [_packing(tensors), *(_context_coder(tensors, effort) for effort in EFFORTS)]
        others = nncodec_coders(tensors)
    else:
        symbols = [array for tensor in tensors if (array := _stream_symbols(tensor, kind)).size]
        ours, others = _huffman_coders(symbols), []
    return DataCoders(symbols, ours + constriction_coders(symbols) + others + byte_coders(symbols))


def first_items(tensors: list[CodedTensor], items: int) -> list[CodedTensor]:
    """The first tensors of about so many weights in all: whole ones, and then leading rows of the next."""
    first = []
    for tensor in tensors:
        rows = tensor.shape[0] if tensor.shape else 1
        taken = min(rows, -(-items * rows // max(1, tensor.size)))
        first.append(tensor if taken == rows else CodedTensor(tensor.codebook, tensor.codes[:taken]))
        items -= first[-1].size
        if items <= 0:
            break
    return first


def drawn_layer(weights: int, density: float, centroids: int, seed: int) -> list[CodedTensor]:
    """One layer: Laplace-distributed weights, a share of them kept at random positions; rows of up to 9,216."""
    rng = np.random.default_rng(seed)
    values = rng.laplace(size=weights).astype(np.float32)
    values[rng.random(weights, np.float32) >= density] = 0
    columns = max(1, min(9216, weights))
    coded = share_as(values, cluster(values[values != 0], centroids, "optimal"))
    return [CodedTensor(coded.codebook, coded.codes[:weights // columns * columns].reshape(-1, columns))]


def measured(coder: Coder, items: int, repeats: int) -> dict:
    """The numbers of a row. AssertionError where decoding does not give back what was coded."""
    if coder.missing:
        return {"not_installed": coder.missing}
    encode_seconds, stream = _best_seconds(coder.encode, repeats)
    decode_seconds, found = _best_seconds(lambda: coder.decode(stream), repeats)
    if not coder.same(found):
        raise AssertionError(f"{coder.name} did not give back what it was given")
    nbytes = coder.nbytes(stream)
    return {"items": items, "nbytes": nbytes, "bits_per_item": 8 * nbytes / max(1, items),
            "encode_seconds": encode_seconds, "decode_seconds": decode_seconds,
            "encode_m_items_s": items / encode_seconds / 1e6, "decode_m_items_s": items / decode_seconds / 1e6}


def _best_seconds(call, repeats: int):
    # The least time of the calls, and the last one's result.
    least, calls = math.inf, 0
    while calls < repeats and not LONG_CALL < least < math.inf:
        begin = time.perf_counter()
        result = call()
        least, calls = min(least, time.perf_counter() - begin), calls + 1
    return least, result


def _entropy_row(kind: str, symbols: list[np.ndarray]) -> dict:
    # What no code of symbols one by one goes below, each array with the frequencies of its own.
    items = sum(array.size for array in symbols)
    bits = sum(huffman.entropy_bits(huffman.count_symbols(array, 256)) for array in symbols)
    return {"data": kind, "coder": "(zero-order entropy)", "items": items, "nbytes": math.ceil(bits / 8),
            "bits_per_item": bits / max(1, items)}


def _stream_symbols(tensor: CodedTensor, kind: str) -> np.ndarray:
    rel_bits = pack(tensor).rel_bits
    codes, gaps = relative.encode_gaps(tensor.codes.reshape(-1), rel_bits)
    return codes if kind == "entries" else gaps if rel_bits else gaps[:0]


def _huffman_coders(symbols: list[np.ndarray]) -> list[Coder]:
    lengths = [huffman.code_lengths(huffman.count_symbols(array, 256)) for array in symbols]

    def coder(name, encode, decode):
        return Coder(
            name, lambda: [encode(array, code) for array, code in zip(symbols, lengths)],
            lambda streams: [decode(stream, code, array.size)
                             for stream, code, array in zip(streams, lengths, symbols)],
            lambda found: all(map(np.array_equal, found, symbols)), nbytes=lambda streams: sum(map(len, streams)))
    return [coder("Huffman, one stream", huffman.encode, huffman.decode),
            coder("Huffman, chunks", encode_chunks, decode_chunks)]


def _packing(tensors: list[CodedTensor]) -> Coder:
    return Coder("gaps and Huffman (pack)", lambda: [pack(tensor) for tensor in tensors],
                 lambda packed: [unpack(tensor) for tensor in packed], lambda found: found == tensors,
                 nbytes=lambda packed: sum(tensor.nbytes - tensor.part_nbytes()["codebook"] for tensor in packed))


def _context_coder(tensors: list[CodedTensor], effort: str) -> Coder:
    specs = [(tensor.shape, tensor.codebook) for tensor in tensors]
    return Coder(f"context, {effort}", lambda: encode_codes(tensors, effort),
                 lambda stream: decode_codes(stream, specs, effort),
                 lambda found: all(np.array_equal(got, tensor.codes) for got, tensor in zip(found, tensors)),
                 slow=effort == "best")
