"""Reader and writer of .net, the format in which the authors of Deep Compression released their networks.

All little-endian. First a uint32 for each layer, its number of entries; then for each layer, in the network's order:

    float32 codebook[2**bits]       bits: 8 for convolutions, 4 for fully connected layers
    float32 bias[outputs]
    codes                           one for each entry: a byte, or 4 bits, two to a byte, low nibble first
    gaps                            4 bits for each entry, two to a byte, low nibble first

Entry i stands at cumsum(gap + 1)[i] - 1 of the flattened weight (outputs, inputs, height, width). An entry of code 0,
whose value is 0.0, is a filler: it skips 15 zeros and stands on one. Weights without an entry are 0.0. An odd number
of nibbles leaves the last byte's upper half 0. Nothing in the file says which network it is: the reader must know.
Source: github.com/songhan/SqueezeNet-Deep-Compression, decode.py, and the files beside it.
"""

import math
import os

import numpy as np

from ..coding import CodedTensor, FormatError, decode_gaps, encode_gaps
from ..coding.errors import located

GAP_BITS = 4
CONVOLUTION_BITS, DENSE_BITS = 8, 4
COUNT_NBYTES = 4
MAX_NBYTES = 2**31


def layer_bits(shape) -> int:
    """Bits of a code in the authors' files: 4 for a fully connected weight (2 dimensions), 8 for a convolution's."""
    return DENSE_BITS if len(shape) == 2 else CONVOLUTION_BITS


def read_net(source, shapes):
    """Read a .net file of a network whose weights have the given shapes.

    source: a path, or the bytes. shapes: {weight name: shape} in the network's order, (out, in, kh, kw) or (out, in).
    Returns {weight name: CodedTensor}, each with all of the file's codebook in its order, used or not (a 0.0 that is
    not its first entry changes places with that), so that `write_net` gives the bytes of the authors' files back; and
    {weight name: bias float32 (out,)}.
    Raises FormatError, naming layer and byte, for bytes that are not such a file of such a network; nothing is
    allocated by what the file declares before it is checked. OSError when it cannot be read.
    """
    shapes = _checked_shapes(shapes)
    data, where = _bytes_of(source)
    reader = _Reader(data, where)
    counts = np.frombuffer(reader.take(COUNT_NBYTES * len(shapes), "the entry counts"), "<u4")
    for (name, shape), count in zip(shapes.items(), counts.tolist()):
        if count > math.prod(shape):
            raise FormatError(f"{where}, entry count of layer {name!r}: {count} entries for {math.prod(shape)} weights "
                              f"of shape {shape}: the file is damaged or of another network than the {len(shapes)} "
                              "layers given")
    _check_size(reader, shapes, counts)
    coded, biases = {}, {}
    for (name, shape), count in zip(shapes.items(), counts.tolist()):
        coded[name], biases[name] = _read_layer(reader, name, shape, count)
    return coded, biases


def write_net(coded, biases) -> bytes:
    """The bytes of a .net file; `read_net` gives back the same codes and biases, bit for bit.

    coded: {weight name: CodedTensor} in the network's order; codebooks of at most 256 entries for convolutions and 16
    for 2-D weights; shorter ones are filled up with 0.0. biases: {weight name: float32 (out,)}, the same names.
    Raises ValueError for a codebook that is too long, a bias of another shape, or another set of names.
    """
    if list(coded) != list(biases):
        raise ValueError(f"expected a bias for each weight, got {len(coded)} weights and {len(biases)} biases: "
                         f"{', '.join(sorted(set(coded) ^ set(biases))[:3])} (the format has no layers without bias)")
    counts, layers = [], []
    for name, tensor in coded.items():
        count, layer = _write_layer(name, tensor, biases[name])
        counts.append(count)
        layers.append(layer)
    return np.array(counts, "<u4").tobytes() + b"".join(layers)


class _Reader:
    """Takes bytes from front to back and never reads past the end."""

    def __init__(self, data, where):
        self.data, self.where, self.position = data, where, 0

    def take(self, nbytes, what):
        left = len(self.data) - self.position
        if nbytes > left:
            raise FormatError(f"{self.where}: {what} at byte {self.position} takes {nbytes} bytes, {left} are left: "
                              "the file is cut short or of another network")
        self.position += nbytes
        return self.data[self.position - nbytes:self.position]


def _checked_shapes(shapes):
    shapes = {name: tuple(int(extent) for extent in shape) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        if len(shape) < 2 or min(shape) < 1:
            raise ValueError(f"{name}: shape {shape}, expected (outputs, inputs, ...) with all sizes known: run one "
                             "forward pass first")
    if not shapes:
        raise ValueError("no layers given: expected {weight name: shape} in the network's order")
    return shapes


def _bytes_of(source):
    if isinstance(source, (bytes, bytearray, memoryview)):
        return memoryview(source).cast("B"), "<bytes>"
    where = os.fspath(source)
    with open(source, "rb") as file:
        data = file.read(MAX_NBYTES + 1)
    if len(data) > MAX_NBYTES:
        raise FormatError(f"{where}: more than {MAX_NBYTES:,} bytes: no .net file")
    return memoryview(data), where


def _layer_nbytes(shape, count):
    bits = layer_bits(shape)
    return 4 * 2**bits + 4 * shape[0] + _packed_nbytes(count, bits) + _packed_nbytes(count, GAP_BITS)


def _packed_nbytes(count, bits):
    return -(-count * bits // 8)


def _check_size(reader, shapes, counts):
    expected = reader.position + sum(map(_layer_nbytes, shapes.values(), counts.tolist()))
    if expected != len(reader.data):
        fault = "cut short" if expected > len(reader.data) else "followed by trailing bytes"
        raise FormatError(f"{reader.where}: {fault}, or of another network: {len(shapes)} layers with these entry "
                          f"counts take {expected} bytes, the file has {len(reader.data)}")


def _read_layer(reader, name, shape, count):
    bits, start = layer_bits(shape), reader.position
    codebook = np.frombuffer(reader.take(4 * 2**bits, f"codebook of layer {name!r}"), "<f4").astype(np.float32)
    bias = np.frombuffer(reader.take(4 * shape[0], f"bias of layer {name!r}"), "<f4").astype(np.float32)
    if not np.isfinite(bias).all():
        raise FormatError(f"{reader.where}, layer {name!r}: bias at byte {start + codebook.nbytes} holds NaN or "
                          "infinity")
    stream = reader.take(_packed_nbytes(count, bits), f"codes of layer {name!r}")
    entry_codes = _unpack_nibbles(stream, count, reader, name) if bits == 4 else np.frombuffer(stream, np.uint8)
    gaps = _unpack_nibbles(reader.take(_packed_nbytes(count, GAP_BITS), f"gaps of layer {name!r}"), count, reader, name)
    with located(f"{reader.where}, layer {name!r} of shape {shape} at bytes {start}..{reader.position - 1}"):
        codebook, new_of_old = _zero_first(codebook)
        codes = decode_gaps(new_of_old[entry_codes], gaps, math.prod(shape))
        return CodedTensor(codebook, codes.reshape(shape)), bias


def _zero_first(codebook):
    # Ours is the stricter form: code 0, and no other that occurs, is the value 0.0. The codebook, and new codes by old.
    zeros = np.flatnonzero(codebook == 0)
    if not zeros.size:
        raise ValueError("no entry of the codebook is 0.0, the value of weights without an entry: the file is damaged, "
                         "or of another network")
    new_of_old = np.arange(codebook.size, dtype=np.uint8)
    new_of_old[0], new_of_old[zeros] = zeros[0], 0
    codebook[zeros[0]], codebook[0] = codebook[0], 0.0
    return codebook, new_of_old


def _unpack_nibbles(stream, count, reader, name):
    packed = np.frombuffer(stream, np.uint8)
    nibbles = np.empty(2 * packed.size, np.uint8)
    nibbles[0::2], nibbles[1::2] = packed & 15, packed >> 4
    if count % 2 and nibbles[-1]:
        raise FormatError(f"{reader.where}, layer {name!r}: the unused upper half of byte {reader.position - 1} is "
                          f"{nibbles[-1]}, expected 0")
    return nibbles[:count]


def _write_layer(name, tensor, bias):
    bits = layer_bits(tensor.shape)
    bias = np.asarray(bias, np.float32)
    if len(tensor.shape) < 2 or bias.shape != tensor.shape[:1]:
        raise ValueError(f"{name}: weight of shape {tensor.shape} with a bias of shape {bias.shape}, expected one bias "
                         "for each output of at least 2 dimensions")
    if tensor.codebook.size > 2**bits:
        raise ValueError(f"{name}: a codebook of {tensor.codebook.size} entries, the format holds {2**bits} for a "
                         f"weight of {len(tensor.shape)} dimensions: share it with fewer bits")
    codebook = np.zeros(2**bits, "<f4")
    codebook[:tensor.codebook.size] = tensor.codebook
    entry_codes, gaps = encode_gaps(tensor.codes.reshape(-1), GAP_BITS)
    stream = _pack_nibbles(entry_codes) if bits == 4 else entry_codes.tobytes()
    return entry_codes.size, codebook.tobytes() + bias.astype("<f4").tobytes() + stream + _pack_nibbles(gaps)


def _pack_nibbles(symbols):
    padded = np.concatenate([symbols, np.zeros(symbols.size % 2, np.uint8)])
    return (padded[0::2] | padded[1::2] << 4).tobytes()
