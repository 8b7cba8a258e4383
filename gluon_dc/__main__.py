"""``python -m gluon_dc``: look at a .gdc file where there is no MXNet."""
import argparse
import sys

from .coding import load, weights_digest


def main(argv=None):
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gluon_dc", description=__doc__.partition(": ")[2])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("info", "print the size report of a file"),
                       ("digest", "print the SHA-256 of the decoded weights: equal on every machine "
                                  "that decodes the same")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("file", help="a .gdc file")
    arguments = parser.parse_args(argv)
    try:
        model = load(arguments.file)
        print(_info(model) if arguments.command == "info" else weights_digest(model.decode()))
    except (OSError, ValueError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


def _info(model):
    from .report import size_report
    return size_report(model)


if __name__ == "__main__":
    sys.exit(main())
