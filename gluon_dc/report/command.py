"""What the scripts in tools/ share."""

import sys


def run_command(program, action, args) -> int:
    """Call action(args) and return its exit code (None is 0); bad input becomes one line on stderr and exit code 1.

    Bad input is what raises ValueError (FormatError among them), OSError or MemoryError. Ctrl-C
    is passed on: each script says itself what it left behind.
    """
    try:
        return action(args) or 0
    except (ValueError, OSError, MemoryError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"{program}: error: {message}", file=sys.stderr)
        return 1
