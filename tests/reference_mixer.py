"""The slow half of `reference_best` that knows nothing of weights: tables, range decoder, adaptive states, mixer.

Written from docs/context_coder.md and docs/format.md alone; the first weights are read from the page's tables.
"""
import re
from decimal import Decimal, getcontext
from pathlib import Path

getcontext().prec = 60
PAGE = (Path(__file__).resolve().parents[1] / "docs" / "context_coder.md").read_text()


def first_weights(what):
    """Rows of a table of "First weights": for each input a number for each of its levels."""
    table = re.search(rf"{what}, D = .*?\n\n(.*?)\n\n", PAGE, re.DOTALL)[1]
    return [[int(cell) for cell in line.split("|")[2:-1] if cell.strip()] for line in table.split("\n")[2:]]


def clip(x, low, high=None):
    return min(max(x, low), high) if high is not None else min(max(x, -low), low)


def _squash(x):
    return int(clip((65536 / (1 + (Decimal(-x) / 256).exp()) + Decimal("0.5")) // 1, 1, 65535))


SQUASH = [_squash(x) for x in range(-2839, 2840)]
EXP = [int(2**30 * (Decimal(-i) / 64).exp()) for i in range(1024)] + [0]
LOG = [0] + [(i**256).bit_length() - 1 for i in range(1, 4096)]


def squash(x):
    return SQUASH[x + 2839]


def _stretch_table():
    table, x = [], -2839
    for p in range(65536):
        while x < 2839 and squash(x) + squash(x + 1) <= 2 * p:
            x += 1
        table.append(x)
    return table


STRETCH = _stretch_table()


def log(n):
    return LOG[n] if n < 4096 else 1024 + log(n >> 4)


def exp(i):
    return EXP[min(i, 1024)]


class RangeDecoder:
    def __init__(self, stream):
        self.stream, self.width, self.position, self.value = stream, 2**32, 0, 0
        for _ in range(4):
            self._take()

    def _take(self):
        byte = self.stream[self.position] if self.position < len(self.stream) else 0
        self.value, self.position = self.value << 8 | byte, self.position + 1

    def decide(self, p):
        bound = (self.width >> 16) * p
        bit = int(self.value < bound)
        self.width, self.value = (bound, self.value) if bit else (self.width - bound, self.value - bound)
        while self.width < 2**24:
            self.width <<= 8
            self._take()
        return bit

    def number(self, bits):
        return sum(self.decide(32768) << place for place in reversed(range(bits)))


class Adaptive:
    """Adaptive states by context."""

    def __init__(self, limit):
        self.states, self.limit = {}, limit

    def decide(self, coder, context):
        c, n = self.states.get(context, (2**21, 0))
        b = coder.decide(c >> 6 | 1)
        self.states[context] = c + ((b * 2**22 - c) * (131072 // (2 * n + 3)) >> 16), min(n + 1, self.limit)
        return b


class Mixer:
    def __init__(self, first):
        self.first = first
        self.slots, self.w, self.N, self.v, self.A = {}, {}, {}, {}, {}

    def decide(self, coder, d, contexts, s):
        slots = [(number, context & 65535) for number, context in enumerate(contexts)]
        for slot in slots:
            self.slots.setdefault(slot, (squash(clip(d[0], 2839)) << 6, 0))
        x = [*d, *(STRETCH[self.slots[slot][0] >> 6] for slot in slots), 256]
        levels = [0] * len(d) + [min(self.slots[slot][1].bit_length(), 7) for slot in slots] + [0]
        places = [[(k, s[k], j, level) for j, level in enumerate(levels)] for k in range(3)]
        y_k = [clip(sum(self.w.setdefault(place, 256 * self.first[place[2]][place[3]]) * x_j
                        for place, x_j in zip(row, x)) >> 16, 2839) for row in places]
        v = self.v.setdefault(s[3], [21845] * 3)
        y = clip(sum(v[k] * y_k[k] for k in range(3)) >> 16, 2839)
        i, f, q = y + 2944 >> 7, y + 2944 & 127, squash(y)
        tables = [self.A.setdefault((k, s[4 + k]), [squash(clip(128 * (step - 23), 2839)) << 6 for step in range(47)])
                  for k in (0, 1)]
        a = [table[i] * (128 - f) + table[i + 1] * f >> 13 for table in tables]
        b = coder.decide(clip(2 * q + a[0] + a[1] + 2 >> 2, 1, 65535))
        for table in tables:
            table[i + (f >> 6)] += (b * 2**22 - table[i + (f >> 6)]) * 800 >> 16
        for k, row in enumerate(places):
            seen = self.N.get((k, s[k]), 0)
            e = (65536 * b - squash(y_k[k])) * (60 + 300000 // (200 + seen))
            self.N[k, s[k]] = min(seen + 1, 4095)
            for place, x_j in zip(row, x):
                self.w[place] = clip(self.w[place] + (x_j * e + 2**23 >> 24), 2**20)
        v[:] = [clip(v[k] + (y_k[k] * (65536 * b - q) * 60 + 2**23 >> 24), 2**20) for k in range(3)]
        for slot in slots:
            c, n = self.slots[slot]
            self.slots[slot] = c + ((b * 2**22 - c) * (131072 // (2 * n + 5)) >> 16), min(n + 1, 1000)
        return b
