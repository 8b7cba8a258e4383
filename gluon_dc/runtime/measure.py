"""How long each form of a layer takes here: timed in turns, on the user's machine, in a few milliseconds."""

import time

import numpy as np

# A layer whose dense weights take more finds them in memory, not in a cache, when its turn comes again in a net.
COLD_NBYTES = 2**22
ROUNDS = 9
_LEAST_ROUNDS = 3
_LEAST_SECONDS = 3e-5  # of one timing: shorter calls are repeated
_BUDGET_SECONDS = 0.2  # of all timings of a layer, where they are long
_HOPELESS = 1.5  # times as slow as the fastest: timed no further
_FLUSH_NBYTES = 2**26


def least_seconds(calls, inputs=(), cold=False) -> dict:
    """{name: least seconds of a call} of {name: function without arguments}, all timed in turns.

    The least, as whatever else the machine does can only add to a time.

    Each is called once untimed, to compile and to warm up. cold: what the functions read is driven out of the caches
    before each call, but for the arrays `inputs` (which the layer before has just written). Those that turn out much
    slower than the fastest are timed less often.
    """
    calls = dict(calls)
    repeats = {name: _repeats(call, cold) for name, call in calls.items()}
    flush = np.ones(_FLUSH_NBYTES // 4, np.float32) if cold else None
    seconds, begun = {name: [] for name in calls}, time.perf_counter()
    alive = list(calls)
    for number in range(ROUNDS):
        if number >= _LEAST_ROUNDS and time.perf_counter() - begun > _BUDGET_SECONDS:
            break
        for name in alive[number % len(alive):] + alive[:number % len(alive)]:
            if cold:
                _cool(flush, inputs)
            seconds[name].append(_timed(calls[name], repeats[name]))
        if number + 1 >= _LEAST_ROUNDS:
            best = {name: min(seconds[name]) for name in alive}
            alive = [name for name in alive if best[name] <= _HOPELESS * min(best.values())]
    return {name: min(found) for name, found in seconds.items()}


def _repeats(call, cold):
    call()
    taken = _timed(call, 1)
    return 1 if cold else int(np.clip(np.ceil(_LEAST_SECONDS / max(taken, 1e-9)), 1, 100))


def _timed(call, repeats):
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - begin) / repeats


def _cool(flush, inputs):
    # Reading is enough: what was there has to make room.
    flush.max()
    for array in inputs:
        array.max()


def fastest(seconds, nbytes, margin=0.03, slack=5e-7) -> str:
    """The name of least time; among those hardly slower the one of fewest resident bytes, then by name.

    seconds, nbytes: {name: number}. Hardly slower: by less than the share `margin`, or by less than `slack` seconds.
    """
    least = min(seconds.values())
    return min((name for name in seconds if seconds[name] <= max((1 + margin) * least, least + slack)),
               key=lambda name: (nbytes[name], name))
