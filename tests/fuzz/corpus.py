"""The corpus: small inputs of each target, lines of hex in corpus/TARGET.hex, and real files made on the spot."""

import gzip
import itertools
import struct
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from unittest.mock import patch

import numpy as np

from gluon_dc.coding import (CodedTensor, CompressedModel, byte_coder, chunked, context, huffman, pack, squeezed,
                             tensor, version2_writer)
from gluon_dc.coding.context_tensor import pack_groups
from gluon_dc.models.net_format import write_net

from .coder_targets import context_parameters, short_chunks
from .graph_seeds import choice_seeds, graph_seeds
from .targets import NET_SHAPES

FOLDER = Path(__file__).parent / "corpus"
MAX_INPUT_NBYTES = 512
MAX_INPUTS = 60


def read_corpus(name: str) -> list[bytes]:
    """The inputs kept for a target, none where there are none."""
    path = FOLDER / f"{name}.hex"
    return [bytes.fromhex(line) for line in path.read_text().split("\n")] if path.is_file() else []


def write_corpus(name: str, inputs) -> Path:
    """Keep the inputs, without doubles, the short ones first. Returns the file."""
    path = FOLDER / f"{name}.hex"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(one.hex() for one in sorted(set(inputs), key=lambda one: (len(one), one))))
    return path


@lru_cache
def inputs_of(name: str) -> tuple[bytes, ...]:
    """Seeds and corpus of a target together, without doubles, in a fixed order."""
    return tuple(dict.fromkeys(SEEDS[name]() + read_corpus(name)))


def coded(shape, k: int, density: float, seed: int = 0) -> CodedTensor:
    """A weight with codes drawn at random; codebook values that float16 holds."""
    rng = np.random.default_rng(seed)
    kept = (rng.random(shape) < density) & (k > 1)
    codes = np.where(kept, np.minimum(rng.geometric(0.4, shape), max(1, k - 1)), 0)
    signs = np.where(np.arange(k) % 2, 1, -1)
    return CodedTensor((signs * np.arange(k) / 8).astype(np.float32) + np.float32(0), np.asarray(codes, np.uint8))


def _gdc_seeds() -> list[bytes]:
    models = [CompressedModel({}), CompressedModel({}, "{}" * 40, {"a": [1, {"b": None}], "c": 0.5})]
    for coder, rel_bits in (("fixed", 2), ("fixed", 0), ("huffman", 0), ("huffman", 3), ("huffman", None)):
        weight = pack(coded((6, 9), 6, 0.3 if rel_bits else 0.8), coder, rel_bits)
        models.append(CompressedModel({"0.weight": weight, "0.bias": np.array([0.1, 0, 0, 0, 0, 2], np.float32)}))
    thirds = CodedTensor(np.array([0, 1 / 3, -1 / 7], np.float32), coded((4, 2, 3, 3), 3, 0.5).codes)
    models.append(CompressedModel({"c.weight": pack(thirds), "d.weight": pack(coded((2, 0), 2, 1)),
                                   "e": pack(coded((), 1, 0)), "f": pack(coded((9,), 256, 0.9))}))
    arrays = {dtype: np.array([[0, 3], [1, 0]], dtype)
              for dtype in ("float32", "float16", "float64", "int8", "uint8", "int32", "int64")}
    models.append(CompressedModel({**arrays, "x.running_mean": np.zeros(40, np.float32), "x.running_var": np.ones(3)}))
    return [model.dumps() for model in models] + _version2_seeds(models)


def _version2_seeds(models) -> list[bytes]:
    # Each model of version 1 with the adaptive coders; grouped and single context tensors, chunks, large arrays.
    rng = np.random.default_rng(3)
    mask = np.where(rng.random((20, 20)) < 0.1, rng.normal(size=(20, 20)), 0).astype(np.float32)
    models = [replace(model, effort=effort) for model, effort in zip(models[1:], itertools.cycle(context.EFFORTS))]
    for effort in context.EFFORTS:
        weights = pack_groups({"0.weight": coded((6, 9), 12, 0.2), "2.weight": coded((4, 6), 7, 0.5, 1)}, effort)
        alone = pack_groups({"4.weight": coded((3, 2, 3, 3), 20, 0.4, 2)}, effort)
        biases = {"0.bias": np.arange(6, dtype=np.float32) / 8, "2.bias": rng.normal(size=4).astype(np.float16)}
        models.append(CompressedModel({**weights, **biases, **alone}, "{}" * 20, {"seed": 1}, effort))
        models.append(CompressedModel({"kept": mask, "same": np.ones(50), **biases}, effort=effort))
    with patch.object(tensor, "CHUNKED_ENTRIES", 1):
        chunks = pack(coded((20, 20), 9, 0.3, 5))
    models.append(CompressedModel({"0.weight": chunks, "1.weight": pack(coded((3, 5), 9, 0.9, 5), rel_bits=0)}))
    as_written = [model.dumps() for model in models]
    with stored_plainly():
        plainly = [model.dumps() for model in models[-5:]]
    with in_sections():
        return as_written + plainly + [model.dumps() for model in models[-5:]]


@contextmanager
def stored_plainly():
    """Within the block nothing in headers is deflated or coded: an edit changes a name or shape, not a stream."""
    with patch.object(squeezed, "_deflate", lambda data, dictionary: data), \
            patch.object(squeezed.byte_coder, "encode_bytes", lambda data, width: data):
        yield


@contextmanager
def in_sections():
    """Within the block small files, too, have sections with checksums."""
    with patch.object(version2_writer, "MAX_COMPACT_NBYTES", 0):
        yield


def _huffman_seeds(encode=huffman.encode) -> list[bytes]:
    seeds = []
    for n_symbols, rate, count in ((2, 0.5, 9), (5, 0.5, 40), (16, 0.3, 700), (256, 0.1, 300), (3, 1, 7), (17, 0.4, 0)):
        symbols = (np.random.default_rng(n_symbols).geometric(rate, count) - 1).clip(0, n_symbols - 1).astype(np.uint8)
        lengths = huffman.code_lengths(huffman.count_symbols(symbols, n_symbols))
        seeds.append(_parameters(n_symbols, count) + huffman.pack_lengths(lengths) + encode(symbols, lengths))
    return seeds


def _chunked_seeds() -> list[bytes]:
    with short_chunks():
        return _huffman_seeds(chunked.encode_chunks)


def _parameters(n_symbols: int, count: int) -> bytes:
    # What stands before a stream; see targets._head.
    return bytes([n_symbols - 1]) + count.to_bytes(2, "little")


def _context_seeds() -> list[bytes]:
    seeds = []
    for effort in (0, 1):
        for kinds in ((0x38,), (0x38, 0x01), (0x9A, 0x03, 0x44, 0xFC)):
            specs = b"".join(bytes([5 + kind % 7, 9 + kind % 5, (7 * kind) % 30 + 1, kind]) for kind in kinds)
            head = bytes([effort << 7 | len(kinds) - 1]) + specs
            tensors = []
            for number, (shape, codebook) in enumerate(context_parameters(head)[1]):
                tensors.append(CodedTensor(codebook, coded(shape, codebook.size, 0.3, number).codes))
            seeds.append(head + context.encode_codes(tensors, context.EFFORTS[effort]))
    return seeds


def _byte_seeds() -> list[bytes]:
    floats = np.random.default_rng(0).normal(size=24)
    numbers = [b"a text of some words, a text", floats.astype("<f2").tobytes(), np.sort(floats).astype("<f4").tobytes(),
               floats.astype("<f8").tobytes(), np.sort(floats).astype("<f2").tobytes(), b""]
    powers = (0, 1, 2, 3, 1, 2)
    return [bytes([power]) + len(data).to_bytes(2, "little") + byte_coder.encode_bytes(data, 2**power)
            for power, data in zip(powers, numbers)]


def _gap_seeds() -> list[bytes]:
    return [_parameters(1, 60) + bytes([1, 3, 0, 15, 2, 0]), _parameters(1, 10) + bytes([1, 0] * 10), _parameters(1, 0)]


def _net_seeds() -> list[bytes]:
    weights = {name: coded(shape, 16 if len(shape) == 2 else 256, 0.4, 1) for name, shape in NET_SHAPES.items()}
    biases = {name: np.arange(shape[0], dtype=np.float32) for name, shape in NET_SHAPES.items()}
    empty = {name: coded(shape, 1, 0) for name, shape in NET_SHAPES.items()}
    return [write_net(weights, biases), write_net(empty, biases)]


def _idx_seeds() -> list[bytes]:
    plain = [struct.pack(">HBB", 0, code, 2) + struct.pack(">II", 2, 3) + bytes(6 * itemsize)
             for code, itemsize in ((8, 1), (9, 1), (11, 2), (12, 4), (13, 4), (14, 8))]
    plain += [struct.pack(">HBBI", 0, 8, 1, 5) + b"\1\2\3\4\5", struct.pack(">HBB", 0, 8, 0) + b"\7",
              struct.pack(">HBBIII", 0, 8, 3, 0, 28, 28)]
    return plain + [gzip.compress(data, 9, mtime=0) for data in (plain[0], plain[6])]


def _amat_seeds() -> list[bytes]:
    row = b" ".join([b"0"] * 700 + [b"0.5"] * 80 + [b"1"] * 4 + [b"7"])
    return [row, row + b"\n\n" + row.replace(b"0.5", b"1e-3") + b"\n"]


def _record_seeds() -> list[bytes]:
    def part(kind, data):
        return struct.pack("<II", 0xCED7230A, kind << 29 | len(data)) + data + bytes(-len(data) % 4)

    one_label = struct.pack("<IfQQ", 0, 3.0, 1, 0) + b"P5 1 1 255 \x80 and more"
    two_labels = struct.pack("<IfQQ2f", 2, 0.0, 1, 0, 1.0, 2.0) + b"\x89PNG\r\n\x1a\n and more of it"
    in_parts = part(1, one_label) + part(2, b"ab") + part(3, b"c")
    return [part(0, one_label), part(0, two_labels) + part(0, one_label), in_parts]


SEEDS = {"loads": _gdc_seeds, "huffman": _huffman_seeds, "chunked": _chunked_seeds, "context": _context_seeds,
         "bytes": _byte_seeds, "gaps": _gap_seeds, "net": _net_seeds, "idx": _idx_seeds,
         "amat": _amat_seeds, "records": _record_seeds, "graph": graph_seeds, "choices": choice_seeds}
