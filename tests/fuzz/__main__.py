"""Fuzz one reader: python -m tests.fuzz --target loads --seconds 1800. See docs/fuzzing.md."""

import argparse
import faulthandler
import os
import sys
import tempfile
from pathlib import Path

NAMES = ("loads", "huffman", "chunked", "context", "bytes", "gaps", "net", "idx", "amat", "records", "graph",
         "choices")
MODES = ("guided", "pure", "checked", "compiled")


def parse_args(argv):
    """The options; see --help."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Fuzz one reader of the library.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--target", choices=NAMES, required=True, help="the reader")
    parser.add_argument("--mode", choices=MODES, default="guided",
                        help="guided: by coverage (atheris), compiled kernels, for all but coders; pure: by coverage, "
                             "kernels as Python (NUMBA_DISABLE_JIT=1), for coders; checked: random mutations, compiled "
                             "kernels that check bounds (NUMBA_BOUNDSCHECK=1); compiled: likewise, as they are shipped")
    parser.add_argument("--seconds", type=int, default=60, help="how long")
    parser.add_argument("--runs", type=int, default=-1, help="inputs to try at most, -1 for no limit")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "gluon_dc_fuzz",
                        help="gets the growing corpus and what is found")
    parser.add_argument("--replay", type=Path, nargs="+", metavar="FILE", help="only run these inputs, and show errors")
    parser.add_argument("--keep", action="store_true",
                        help="only pick from FOLDER/TARGET what adds to tests/fuzz/corpus, and write it there")
    return parser.parse_args(argv)


def prepare(mode: str) -> None:
    """Set what numba reads at its import. Bounds checks get a cache of their own: numba's does not tell them apart."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    if mode == "pure":
        os.environ["NUMBA_DISABLE_JIT"] = "1"
    elif mode == "checked":
        os.environ["NUMBA_BOUNDSCHECK"] = "1"
        os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / "gluon_dc_fuzz_checked_cache")


def main(argv=None) -> int:
    """Exit code 0 where nothing was found, 1 where something was, 2 for wrong arguments."""
    args = parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    prepare(args.mode)
    if args.replay:
        from .randomly import replay
        return replay(args.target, args.replay)
    if args.keep:
        from .keep import keep
        return keep(args.target, args.folder / args.target)
    if args.mode in ("guided", "pure"):
        try:
            import atheris  # noqa: F401
        except ModuleNotFoundError:
            print(f"python -m tests.fuzz: error: --mode {args.mode} needs atheris (pip install atheris==3.0.0); --mode "
                  "checked does not", file=sys.stderr)
            return 2
        from .guided import run_guided
        run_guided(args.target, args.folder, args.seconds, args.seed, args.runs)
    from .randomly import run_random
    return run_random(args.target, args.folder, args.seconds, args.seed, args.runs)


if __name__ == "__main__":
    faulthandler.enable()
    sys.exit(main())
