"""Is mobile processing viable? Sizes, on-chip memories, operations, and estimated time and energy of compressed nets.

    mobile.py lenet-5.gdc squeezenet.gdc alexnet.gdc vgg16.gdc
    mobile.py squeezenet.gdc --bandwidth 25.6 --dense-gops 100 --memory 512K 4M --json mobile.json

The files need a graph (compress.py --graph, add_graph.py). Nothing is run and nothing measured: counts come from the
graphs and the weights, time and energy are estimates by the formulas that the table prints (docs/energy.md). Weights in
memory are those of this package's session (forms by rule), or with --fixed-width of codes and gaps as they are, which
special hardware walks. MXNet is not needed; tools/report.py draws the JSON.
"""

import argparse
import json
import re
import sys
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_dc import ctrl_c  # noqa: E402

if __name__ == "__main__":
    ctrl_c.end_at_once("mobile.py")

from gluon_dc.coding import load, write_atomically  # noqa: E402
from gluon_dc.report.command import (  # noqa: E402
    NOTHING_WRITTEN, check_json, command_parser, number_between, run_command,
)
from gluon_dc.report.energy import MAX_PJ, Costs  # noqa: E402
from gluon_dc.report.mobile import LIMITS, MAX_MEMORIES, MEMORY_END, Device  # noqa: E402
from gluon_dc.report.mobile_report import check_mobile, mobile_tables  # noqa: E402
from gluon_dc.report.results import Run  # noqa: E402
from gluon_dc.training.net_options import add_input_shape  # noqa: E402


def main(argv=None):
    """Run the command; return its exit code: 0, 1 for bad input, 2 for bad usage, 130 for Ctrl-C."""
    return run_command("mobile.py", mobile, parse_args(argv), interrupted=NOTHING_WRITTEN)


def parse_args(argv):
    """Return the parsed arguments."""
    parser = command_parser("mobile.py", __doc__)
    parser.add_argument("files", nargs="+", metavar="FILE.gdc", help="compressed nets with their graphs")
    add_input_shape(parser, "as noted in each graph")
    parser.add_argument("--fixed-width", action="store_true", help="weights in memory as codes and gaps of fixed "
                        "width, in place of the forms that this package runs")
    device = Device()
    parser.add_argument("--bandwidth", type=number_between(*LIMITS["bandwidth_gb_s"]), metavar="GB/S",
                        default=device.bandwidth_gb_s,
                        help="of DRAM (default: %(default)s, 32 bits of LPDDR4-3200)")
    parser.add_argument("--dense-gops", type=number_between(*LIMITS["dense_gop_s"]), metavar="N",
                        default=device.dense_gop_s,
                        help="float32 operations of dense layers, 1e9 a second (default: %(default)s, one core with "
                        "two 128-bit multiply-add units at 2.5 GHz)")
    parser.add_argument("--sparse-share", type=number_between(*LIMITS["sparse_share"]), metavar="SHARE",
                        default=device.sparse_share,
                        help="of that rate that layers reach which skip zeros (default: %(default)s)")
    parser.add_argument("--memory", type=memory, nargs="+", metavar="SIZE", default=list(device.memory_nbytes),
                        help="on-chip memories to try, such as 256K or 2M (default: 256K 2M 8M)")
    for field in fields(Costs):
        parser.add_argument(f"--{field.name.replace('_', '-')}-pj", type=number_between(0, MAX_PJ), metavar="PJ",
                            default=field.default, help="energy of one on 32 bits (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="also write counts and estimates there, for tools/report.py "
                        "(default: no file)")
    args = parser.parse_args(argv)
    if len(args.memory) > MAX_MEMORIES:
        parser.error(f"argument --memory: expected 1 to {MAX_MEMORIES} sizes, got {len(args.memory)}")
    args.device = Device(args.bandwidth, args.dense_gops, args.sparse_share, tuple(args.memory))
    args.costs = Costs(**{field.name: getattr(args, f"{field.name}_pj") for field in fields(Costs)})
    check_json(parser, args.json, args.files)
    return args


def memory(text):
    """Bytes of "256K", "2M" or a plain number, for argparse."""
    found = re.fullmatch(r"([1-9]\d{0,8})([KM]?)", text.upper())
    nbytes = int(found[1]) * {"": 1, "K": 2**10, "M": 2**20}[found[2]] if found else MEMORY_END
    if nbytes >= MEMORY_END:
        raise argparse.ArgumentTypeError(f"expected a size such as 256K, 2M or 65536; got {text!r}")
    return nbytes


def mobile(args):
    """Print the tables; write the JSON."""
    nets = [net_record(path, args) for path in progress(args.files)]
    report = check_mobile({"format": 1, "mobile": {
        "device": {**vars(args.device), "memory_nbytes": list(args.device.memory_nbytes)}, "costs": vars(args.costs),
        "nets": nets}}, ", ".join(args.files))
    if args.json:
        text = json.dumps({"format": 1, "mobile": report.to_dict()}, indent=1)
        write_atomically(args.json, lambda file: file.write(f"{text}\n".encode()))
    print("\n\n".join(map(str, mobile_tables(report))))


def net_record(path, args):
    """The counts of a file as JSON types."""
    from gluon_dc.coding.errors import located
    from gluon_dc.runtime.session import session
    from gluon_dc.runtime.work import net_work
    model = load(path)
    run = Run(Path(path), model, None, None)
    with located(str(path)):
        rows = ()
        if model.graph is not None and not args.fixed_width:
            rows = session(model, input_shape=args.input_shape, measure=False).layers
        work = net_work(model, args.input_shape, rows)
    name = run.network or Path(path).name
    return {"network": name, "weights": run.weights or "", "file": str(path), **work.to_dict()}


def progress(files):
    """The files, with a bar on a terminal where they take long."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:  # a bar is all that is missed
        return files
    return tqdm(files, unit="net", delay=2, leave=False, disable=None)


if __name__ == "__main__":
    sys.exit(main())
