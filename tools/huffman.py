"""Huffman coding by itself: encode an array or a .gdc file, decode it again, check what the streams take.

Arrays are .npy files. An integer array holds symbols 0..255, in any shape: every symbol becomes one codeword, and
`decode` gives back an equal array of the same dtype. A float array is first shared (k-means with 2**BITS - 1
centroids over its values other than zero, paper section 3) and its codes and gaps are coded; `decode` gives back the
shared float32 array, which equals the input only where that had no more distinct values.

The file that `encode` writes is an ordinary .gdc with one tensor: an array of symbols travels as codes into a
codebook of the values that occur, in dense mode. A .gdc given to `encode` is re-coded with Huffman codes, and with
fixed-width codes by `decode x.gdc y.gdc`; its decoded weights stay bit for bit.
"""

import io
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("huffman.py")

import numpy as np  # noqa: E402

from gluon_dc.coding import CodedTensor, CompressedModel, load, pack, save, share  # noqa: E402
from gluon_dc.coding.errors import located  # noqa: E402
from gluon_dc.coding.files import write_atomically  # noqa: E402
from gluon_dc.report.command import NOTHING_WRITTEN, command_parser, run_command  # noqa: E402
from gluon_dc.report.npfiles import read_npy  # noqa: E402
from gluon_dc.report.outputs import check_outputs  # noqa: E402
from gluon_dc.report.streams import (  # noqa: E402
    REFERENCE_LIMIT, check_reference, coded_tensors, model_streams, packed_tensors, recode,
)
from gluon_dc.report.tables import count, decimal, format_table  # noqa: E402

ARRAY_NAME = "array"
DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
HEADINGS = ["tensor", "stream", "symbols", "used", "entropy\nbits", "mean code\nbits", "fixed\nbits", "stream\nbytes",
            "table\nbytes", "fixed-width\nbytes", "entropy bound\nbytes", "above the\nbound %"]


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    args = parse_args(argv)
    return run_command("huffman.py", args.action, args, interrupted=NOTHING_WRITTEN)


def parse_args(argv):
    """Return the parsed arguments; action is the function of the subcommand."""
    parser = command_parser("huffman.py", __doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    encode = commands.add_parser("encode", help="code an array (.npy) or re-code a .gdc with Huffman codes")
    encode.add_argument("input", metavar="IN", help="IN.npy or IN.gdc")
    encode.add_argument("output", metavar="OUT", help="the .gdc file to write")
    encode.set_defaults(action=encode_file)
    decode = commands.add_parser("decode", help="give back the array, or re-code a .gdc at fixed width")
    decode.add_argument("input", metavar="IN", help="a .gdc file")
    decode.add_argument("output", metavar="OUT", help="OUT.npy for the array of a file with one tensor, or OUT.gdc")
    decode.set_defaults(action=decode_file)
    check = commands.add_parser("check", help="decode every stream, and print its size beside the entropy bound")
    check.add_argument("input", metavar="FILE", help="a .gdc, or a .npy that is encoded in memory first")
    check.add_argument("--json", action="store_true", help="print JSON instead of a table")
    check.set_defaults(action=check_file)
    for command in (encode, check):
        command.add_argument("--bits", type=int, choices=range(1, 9), default=5, metavar="1..8",
                             help="bits of a code for sharing a float array (default: %(default)s)")
    return parser.parse_args(argv)


def encode_file(args):
    """Write OUT, a .gdc with Huffman codes, from IN.npy or IN.gdc, and print the sizes."""
    if Path(args.output).suffix == ".npy":
        raise ValueError(f"{args.output}: encode writes a .gdc file: give OUT that ending, or none")
    check_outputs([("OUT", args.output)], [("IN", args.input)])
    model = open_model(args.input, args.bits)
    save(model, args.output)
    fixed = sum(stream.fixed_nbytes for stream in model_streams(model))
    streams = sum(stream.nbytes + stream.table_nbytes for stream in model_streams(model))
    print(f"{args.output}: {count(model.nbytes)} bytes; its streams and tables take {count(streams)}, at fixed width "
          f"{count(fixed)}")


def decode_file(args):
    """Write OUT.npy, the one array of IN, or OUT.gdc, IN re-coded at fixed width."""
    check_outputs([("OUT", args.output)], [("IN", args.input)])
    model = load(args.input)
    if Path(args.output).suffix == ".gdc":
        save(recode(model, "fixed"), args.output)
    else:
        array = decoded_array(model, args.input)
        content = io.BytesIO()
        np.lib.format.write_array(content, array, allow_pickle=False)
        write_atomically(args.output, lambda file: file.write(content.getbuffer()))
    print(f"{args.output}: {count(Path(args.output).stat().st_size)} bytes")


def check_file(args):
    """Print what each stream takes; every stream was decoded, short ones by both decoders."""
    model = load(args.input) if is_gdc(args.input) else open_model(args.input, args.bits)
    streams = model_streams(model)
    twice = sum(check_reference(name, packed) for name, packed in packed_tensors(model))
    model.decode()
    by_context = len(coded_tensors(model)) - len(packed_tensors(model))
    if args.json:
        print(json.dumps({
            "file": args.input, "nbytes": model.nbytes, "tensors_decoded": len(coded_tensors(model)),
            "tensors_decoded_by_reference": twice, "streams": [stream.to_dict() for stream in streams],
        }, indent=1))
        return
    rows = [row(stream.to_dict()) for stream in streams]
    print(format_table(HEADINGS, rows, f"{args.input}: streams", text_columns=2))
    print(f"Checksums hold. All {len(coded_tensors(model))} coded tensors decode; {twice} of at most "
          f"{REFERENCE_LIMIT:,} entries by the reference decoder too, with the same symbols.")
    if by_context:
        print(f"{by_context} of them are of the context coder, which has no codes of its own for symbols: "
              "tools/show.py tells their bytes, and `encode` makes Huffman codes of them.")


def row(stream):
    """Return the cells of one stream (Stream.to_dict())."""
    return [
        stream["tensor"], stream["stream"], count(stream["symbols"]), f"{stream['used']}/{stream['alphabet']}",
        decimal(stream["entropy_bits_per_symbol"], 3), decimal(stream["mean_code_bits"], 3), str(stream["fixed_bits"]),
        count(stream["nbytes"]), count(stream["table_nbytes"]), count(stream["fixed_nbytes"]),
        f"{stream['bound_nbytes']:,.1f}", decimal(stream["percent_above_bound"], 2),
    ]


def open_model(path, bits):
    """Return a Huffman-coded CompressedModel from a .gdc file or a .npy array."""
    if is_gdc(path):
        return recode(load(path), "huffman")
    array = read_npy(path)
    if array.dtype.kind == "f":
        with located(path):
            return CompressedModel({ARRAY_NAME: pack(share(array, bits))})
    return symbols_model(array, path)


def symbols_model(array, path):
    """Return a CompressedModel of an integer array of symbols 0..255: codes into the values that occur, dense mode."""
    if array.dtype.name not in DTYPES:
        raise ValueError(f"{path}: dtype {array.dtype}, expected integers 0..255 or floats: convert it with .astype")
    outside = array.size - np.count_nonzero((array >= 0) & (array <= 255))
    if outside:
        raise ValueError(
            f"{path}: {outside:,} of {array.size:,} symbols are outside 0..255 (smallest {array.min()}, largest "
            f"{array.max()}): shift or split them, or give floats to have them shared"
        )
    symbols = array.astype(np.uint8)
    # Code 0 must be the value 0, so it is in the codebook even where the symbol 0 does not occur.
    values = np.union1d(symbols, np.zeros(1, np.uint8))
    codes = np.searchsorted(values, symbols).astype(np.uint8)
    packed = pack(CodedTensor(values.astype(np.float32), codes), rel_bits=0)
    return CompressedModel({ARRAY_NAME: packed}, metadata={"dtype": array.dtype.name})


def decoded_array(model, path):
    """Return the one array of a model, in the dtype that its metadata names."""
    if len(model) != 1:
        raise ValueError(f"{path} holds {len(model)} tensors, expected 1 for a .npy: give OUT.gdc to re-code them all")
    (array,) = model.decode().values()
    dtype = model.metadata.get("dtype", array.dtype.name)
    if dtype not in (*DTYPES, array.dtype.name):
        raise ValueError(f"{path}: metadata names the dtype {dtype!r:.40}, expected one of {', '.join(DTYPES)}")
    return array.astype(dtype)


def is_gdc(path):
    """True for a path that ends in .gdc."""
    return Path(path).suffix == ".gdc"


if __name__ == "__main__":
    sys.exit(main())
