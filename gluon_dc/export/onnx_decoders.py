"""How a compact ONNX model makes its weights: functions of plain ONNX operators, and their arguments for a tensor.

A weight is a codebook (kept values, the most frequent first), the number of each kept weight's value in it, and the
gaps between kept weights; or, where most are kept, the numbers of all weights, zeros too. Numbers and gaps are packed
as in `packing`. All inputs are constants, so a runtime that folds constants (onnxruntime does) makes the weights once,
when it loads the model.
"""

import numpy as np

from ..coding import CodedTensor
from ..coding.huffman import count_symbols
from .onnx_builder import FUNCTIONS_DOMAIN, OPSET, Builder
from .packing import BYTE_RADIX, PER_WORD, Packed, numbers_nbytes, pack_gaps, pack_numbers, powers

# Unpacking takes 8 bytes a number; from so many weights on, those of nearly dense layers stay one byte each.
_MOST_NUMBERS = 2**24
# Beside so few weights the nodes that make them are larger.
_LEAST_SAVED_NBYTES = 400

# Name -> (inputs, lines "output = Operator(inputs) attribute=value"). Words in capitals are the constants below.
# The shape of every array follows from the inputs' shapes and sizes alone: onnxruntime from 1.27 on folds nothing whose
# size it does not know beforehand (so no NonZero and no Compress).
_FUNCTIONS = {  # each after those that it calls
    "Digits": ("words powers count", [
        "column = Reshape(words, COLUMN)", "quotients = Div(column, powers)", "radix = Gather(powers, ONE)",
        "table = Mod(quotients, radix)", "all = Reshape(table, FLAT)", "out = Slice(all, ZERO, count)"]),
    "Wide": ("words", ["out = Cast(words) to=7"]),
    "Places": ("bits count", [  # each 1 writes its place to the slot that is its rank; the 0 bits write to slot 0
        "column = Reshape(bits, COLUMN)", "table = BitShift(column, SHIFTS) direction=RIGHT",
        "few = Mod(table, TWO_BYTE)", "flat = Reshape(few, FLAT)", "flags = Cast(flat) to=6",
        "ranks = CumSum(flags, AXIS)", "slots = Mul(ranks, flags)", "nothing = Sub(flags, flags)",
        "ones = Add(nothing, ONE_INT)", "upto = CumSum(ones, AXIS)", "places = Sub(upto, ONE_INT)",
        "size = Add(count, ONE)", "empty = Expand(ZERO_INT, size)", "found = ScatterElements(empty, slots, places)",
        "kept = Slice(found, ONE, TO_THE_END)", "out = Cast(kept) to=7"]),
    "Positions": ("bits words powers count", [  # m * quotients and rests, summed up, and a step for each
        "places = Places(bits, count)", "rest = Digits(words, powers, count)", "m = Gather(powers, ONE)",
        "less = Sub(ONE, m)", "steps = Add(rest, less)", "sums = CumSum(steps, AXIS)", "coarse = Mul(places, m)",
        "sum = Add(coarse, sums)", "out = Sub(sum, less)"]),
    "Unary": ("bits count", [
        "places = Places(bits, count)", "last = Slice(places, ZERO, MINUS_ONE)",
        "before = Concat(MINUS_ONE, last) axis=0", "steps = Sub(places, before)", "out = Sub(steps, ONE)"]),
    "Rice": ("bits words powers count", [
        "rest = Digits(words, powers, count)", "quotients = Unary(bits, count)", "m = Gather(powers, ONE)",
        "coarse = Mul(quotients, m)", "out = Add(coarse, rest)"]),
    "Sparse": ("positions numbers codebook size shape", [
        "values = Gather(codebook, numbers)", "zeros = Expand(NOTHING, size)",
        "flat = ScatterElements(zeros, positions, values)", "out = Reshape(flat, shape)"]),
    "Full": ("numbers codebook shape", ["values = Gather(codebook, numbers)", "out = Reshape(values, shape)"]),
    "Bytes": ("codes codebook", ["wide = Cast(codes) to=6", "out = Gather(codebook, wide)"]),
}
_CONSTANTS = {
    "COLUMN": np.array([-1, 1]), "FLAT": np.array([-1]), "MINUS_ONE": np.array([-1]), "ZERO": np.array([0]),
    "ONE": np.array([1]), "TO_THE_END": np.array([2**63 - 1]), "AXIS": np.array(0), "NOTHING": np.zeros(1, np.float32),
    "SHIFTS": np.arange(7, -1, -1).astype(np.uint8), "TWO_BYTE": np.array([2], np.uint8),
    "ZERO_INT": np.array([0], np.int32), "ONE_INT": np.array([1], np.int32),
}


def coded_weight(builder: Builder, coded: CodedTensor, name: str) -> str | None:
    """Add what makes a coded weight in the shortest of its forms; the output's name, None where plain is shorter."""
    codes = coded.codes.reshape(-1)
    kept = np.flatnonzero(codes)
    if kept.size == 0:
        return builder.node("Expand", [builder.constant([0.0]), _sizes(builder, coded.shape)], name)
    gaps = pack_gaps(np.diff(kept, prepend=-1) - 1)
    numbers, values = _by_frequency(codes[kept], coded.codebook)
    nbytes = gaps.nbytes + numbers_nbytes(numbers)
    if 3 * kept.size > coded.size:
        all_numbers, all_values = _by_frequency(codes, coded.codebook)
        if numbers_nbytes(all_numbers) < nbytes:
            gaps, numbers, values, nbytes = None, all_numbers, all_values, numbers_nbytes(all_numbers)
    if nbytes + 4 * values.size + _LEAST_SAVED_NBYTES > 4 * coded.size:
        return None
    if gaps is None:
        return _full_weight(builder, coded, numbers, values, name)
    inputs = [_positions(builder, gaps), _numbers(builder, pack_numbers(numbers)), floats(builder, values)]
    return builder.call("Sparse", [*inputs, _sizes(builder, [coded.size]), _sizes(builder, coded.shape)], name)


def _full_weight(builder, coded, numbers, values, name):
    if coded.size > _MOST_NUMBERS:
        codes = builder.constant(coded.codes, np.uint8, "b")
        return builder.call("Bytes", [codes, floats(builder, coded.codebook)], name)
    numbers = _numbers(builder, pack_numbers(numbers))
    return builder.call("Full", [numbers, floats(builder, values), _sizes(builder, coded.shape)], name)


def _sizes(builder, sizes):
    return builder.constant(sizes, np.int64)


def floats(builder: Builder, array, name: str = "c") -> str:
    """A float32 constant; as float16 and a Cast where that gives back every bit and is smaller."""
    with np.errstate(over="ignore", invalid="ignore"):
        half = array.astype(np.float16)
    if array.size < 32 or half.astype(np.float32).tobytes() != array.tobytes():
        return builder.constant(array, wanted=name)
    return builder.node("Cast", [builder.constant(half, np.float16)], name, to=1)


def function_protos(names) -> list:
    """The onnx.FunctionProto of each function and of those that it calls, in a fixed order."""
    needed = set()
    for name in names:
        _collect(name, needed)
    return [_function(name) for name in _FUNCTIONS if name in needed]


def _by_frequency(codes, codebook):
    # (number of each code: 0 is the most frequent one's, uint8; their values).
    counts = count_symbols(codes, codebook.size)
    order = np.argsort(-counts, kind="stable")[:np.count_nonzero(counts)]
    number_of_code = np.zeros(codebook.size, np.uint8)
    number_of_code[order] = np.arange(order.size)
    return number_of_code[codes], codebook[order]


def _positions(builder, gaps: Packed):
    return _call(builder, "Places" if gaps.m == 1 else "Positions", gaps)


def _numbers(builder, packed: Packed):
    if packed.radix == BYTE_RADIX:
        return _call(builder, "Wide", packed)
    return _call(builder, "Digits" if packed.m is None else "Unary" if packed.m == 1 else "Rice", packed)


def _call(builder, function, packed):
    inputs = {"bits": (packed.bits, np.uint8, "b"), "words": (packed.words, packed.words.dtype, "w"),
              "count": ([packed.count], np.int64, "n")}
    if packed.radix in PER_WORD:
        inputs["powers"] = (powers(packed.radix), np.int64, "p")
    return builder.call(function, [builder.constant(*inputs[name]) for name in _FUNCTIONS[function][0].split()])


def _collect(name, needed):
    if name not in needed:
        needed.add(name)
        for line in _FUNCTIONS[name][1]:
            operator = _parsed(line)[1]
            if operator in _FUNCTIONS:
                _collect(operator, needed)


def _parsed(line):
    # "out = Cast(codes) to=6" -> ("out", "Cast", ["codes"], {"to": 6})
    output, _, call = line.partition(" = ")
    operator, _, rest = call.partition("(")
    inputs, _, attributes = rest.partition(")")
    pairs = [pair.split("=") for pair in attributes.split()]
    return output, operator, inputs.split(", "), {key: int(value) if value.isdigit() else value for key, value in pairs}


def _function(name):
    from onnx import helper, numpy_helper
    inputs, lines = _FUNCTIONS[name]
    calls = [_parsed(line) for line in lines]
    used = {word for _, _, words, _ in calls for word in words}
    nodes = [helper.make_node("Constant", [], [word], value=numpy_helper.from_array(array))
             for word, array in _CONSTANTS.items() if word in used]
    nodes += [helper.make_node(operator, words, [output], domain=FUNCTIONS_DOMAIN if operator in _FUNCTIONS else "",
                               **attributes)
              for output, operator, words, attributes in calls]
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(FUNCTIONS_DOMAIN, 1)]
    return helper.make_function(FUNCTIONS_DOMAIN, name, inputs.split(), ["out"], nodes, opsets)
