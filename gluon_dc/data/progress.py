"""A progress bar on stderr for what takes longer than two seconds, where tqdm is installed."""

from contextlib import contextmanager

DELAY_S = 2.0


def progress_bar(iterable, total, what, unit="it"):
    """The iterable, with a bar once it has taken two seconds on a terminal; without tqdm, the iterable itself."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:  # a bar is all that is missed
        return iterable
    return tqdm(iterable, total=total, desc=what, unit=unit, delay=DELAY_S, leave=False, disable=None)


@contextmanager
def progress_steps(total, what, unit="it"):
    """Context that gives a function to call with the number of steps done, and shows the same bar."""
    bar = progress_bar(None, total, what, unit)
    if bar is None:
        yield lambda n: None
        return
    with bar:
        yield bar.update
