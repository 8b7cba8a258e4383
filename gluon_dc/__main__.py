"""``python -m gluon_dc``: look at a .gdc file, and run it, where there is no MXNet."""
import argparse
import sys

_PROGRAM = "python -m gluon_dc"


def main(argv=None):
    """Entry point; returns the exit status."""
    try:
        # Modules are imported within: Ctrl-C meanwhile (a second, or a minute where kernels are compiled) is one line.
        return _run(argv)
    except KeyboardInterrupt:
        print(f"{_PROGRAM}: interrupted", file=sys.stderr)
        return 130


def _run(argv):
    from .report.command import run_command
    parser = argparse.ArgumentParser(prog=_PROGRAM, description=__doc__.partition(": ")[2])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("info", "print the size report of a file"),
                       ("digest", "print the SHA-256 of the decoded weights: equal on every machine "
                                  "that decodes the same")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("file", help="a .gdc file")
    text = "say what is in photographs, by a file with a graph; needs Pillow"
    _add_classify(commands.add_parser("classify", help=text, description=text))
    arguments = parser.parse_args(argv)
    return run_command(parser.prog, _COMMANDS[arguments.command], arguments)


def _info(arguments):
    from .coding import load
    from .report import size_report
    print(size_report(load(arguments.file)))


def _digest(arguments):
    from .coding import load, weights_digest
    print(weights_digest(load(arguments.file).decode()))


def _add_classify(parser):
    from .classify import add_options
    add_options(parser)


def _classify(arguments):
    from .classify import classify
    return classify(arguments)


_COMMANDS = {"info": _info, "digest": _digest, "classify": _classify}


if __name__ == "__main__":
    sys.exit(main())
