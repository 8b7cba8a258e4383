"""A slow decoder of context-coded streams of effort best, written from docs/context_coder.md and docs/format.md alone.

Names are those of the text. Nothing of gluon_dc is imported; it takes about a second for 2,000 weights.
"""
import math

from reference_mixer import STRETCH, Adaptive, Mixer, RangeDecoder, clip, exp, first_weights, log


class Codebook:
    def __init__(self, values):
        top = max(abs(value) for value in values[1:])
        scale = 16 - math.frexp(top)[1]
        self.size = [0] + [math.floor(math.ldexp(abs(value), scale)) for value in values[1:]]
        self.first_mean = sum(self.size) // (len(values) - 1)
        ranked = sorted(range(1, len(values)), key=lambda code: (values[code], code))
        negative = [code for code in ranked if values[code] < 0]
        self.codes = [negative[::-1], ranked[len(negative):]]
        self.low, self.edges, self.level = [0, 0], [[], []], [0] * len(values)
        for g, codes in enumerate(self.codes):
            sizes = [self.size[code] for code in codes]
            if codes:
                self.low[g] = sizes[0]
                self.edges[g] = [0] + [(a + b) // 2 - sizes[0] for a, b in zip(sizes, sizes[1:])] + [2**24]
            for m, code in enumerate(codes):
                self.level[code] = (1 + 4 * m // len(codes)) * (2 * g - 1)


def F(n, expected, prior):
    return min(((min(n, 2**26) << 36) + (prior << 21)) // (expected + 2**21), 2**22)


def stretched(d):
    d = clip(d, 16, 1032192)
    return (log(d) - 5120) * 11357 >> 14 if d < 4096 else STRETCH[d >> 4]


def coarse(x):
    return clip((x + 1536) // 96, 0, 31)


class Decoder:
    """What the tensors of a stream share."""

    def __init__(self, stream):
        self.coder, self.marks, self.units = RangeDecoder(stream), Adaptive(250), []
        self.flags, self.values = Mixer(first_weights("Flags")), Mixer(first_weights("Signs and magnitudes"))

    def tensor(self, shape, codebook):
        """Codes of a tensor, a list in C order."""
        size = math.prod(shape)
        if not size or len(codebook) == 1 or not self.coder.decide(63000):
            return [0] * size
        period = 1
        if len(shape) == 2 and shape[1] <= 2**20 and any(shape[1] % p**2 == 0 for p in range(2, 33)):
            if self.coder.decide(32768):
                period = 1 + self.coder.number(5)
                assert period > 1 and shape[1] % period**2 == 0
        codes = Tensor(self, shape, period, Codebook(codebook)).decode()
        if len(shape) > 1:
            row = size // shape[0]
            kept = [sum(code != 0 for code in codes[at:at + row]) for at in range(0, size, row)]
            self.units = kept if shape[0] <= 65536 else []
        return codes


class Tensor:
    def __init__(self, stream, shape, period, codebook):
        self.stream, self.book, self.n = stream, codebook, math.prod(shape)
        if len(shape) < 2 or self.n // shape[0] > 2**20:
            self.inputs, self.height, self.width, self.kind = min(self.n, 4096), 1, 1, 0
        elif len(shape) == 2:
            self.inputs, self.height, self.width = shape[1] // period**2, period, period
        else:
            self.inputs, self.height, self.width = shape[1], math.prod(shape[2:-1]), shape[-1]
        self.area = self.height * self.width
        if len(shape) > 1 and self.n // shape[0] <= 2**20:
            self.kind = 1 if self.area == 1 else 2 if self.area <= 49 else 3
        self.row_size = self.inputs * self.area
        units = stream.units
        self.span = self.row_size // len(units) if units and self.row_size % len(units) == 0 else 0
        self.T, self.U = max(1, sum(units)), max(1, sum(u > 0 for u in units))
        self.codes, self.levels = [0] * self.n, {}
        self.seen = self.total = self.sum = 0
        self.row_prior = 65536
        self.kept, self.sums, self.signs = ([0] * self.row_size for _ in range(3))
        self.seen_in, self.kept_in, self.sums_in = ([0] * self.inputs for _ in range(3))
        self.seen_at, self.kept_at = [0] * self.area, [0] * self.area

    def unit_of(self, column):
        return self.stream.units[column // self.span]

    def decode(self):
        coder, live, mark = self.stream.coder, [1] * self.row_size, 1
        mark_columns = mark_rows = 0
        if self.kind:
            mark_columns, mark_rows = coder.decide(32768), coder.decide(32768)
        if mark_columns:
            self.column_marks(live)
        self.columns = sum(live)
        for r in range(-(-self.n // self.row_size) if self.columns else 0):
            if mark_rows:
                mark = self.stream.marks.decide(coder, ("row", self.kind, mark))
            if mark:
                self.row_of(r, live)
        return self.codes

    def column_marks(self, live):
        for column in range(self.row_size):
            i, place = divmod(column, self.area)
            y, x = divmod(place, self.width)

            def mark_at(y, x):
                inside = 0 <= y < self.height and 0 <= x < self.width
                return live[i * self.area + y * self.width + x] if inside else 1
            near = [mark_at(y - 1, x - 1), mark_at(y - 1, x + 1), mark_at(y, x - 1), mark_at(y - 1, x)]
            if self.area == 1:
                near = live[column - 1] if column else 0
            unit = int(self.unit_of(column) > 0) if self.span else 2
            live[column] = self.stream.marks.decide(self.stream.coder, ("column", unit, self.kind, str(near)))

    def row_of(self, r, live):
        self.row = self.row_expected = self.row_sum = self.row_sign = 0
        density = (self.total * 2**20 + 2**17) // (self.seen + 1)
        self.inverse = 2**44 // (self.total * 2**20 // self.columns + 2**21)
        self.place_factor = [F(kept, density * seen, 65536) for kept, seen in zip(self.kept_at, self.seen_at)]
        again = True
        for column in range(min(self.row_size, self.n - r * self.row_size)):
            i, place = divmod(column, self.area)
            self.kernel = 0 if place == 0 else self.kernel
            if live[column]:
                if again or (r * self.row_size + column) % 8 == 0 or place == 0:
                    self.now_and_then(i)
                self.look(r, i, *divmod(place, self.width))
                code = self.weight(i, place, column)
                again = code != 0
                self.codes[r * self.row_size + column] = code
                self.levels[r, i, *divmod(place, self.width)] = self.book.level[code]
        self.row_prior = F(self.row, self.row_expected, 65536)

    def now_and_then(self, i):
        self.rate = (self.total * 2**20 + 2**17) // (self.seen + 1)
        self.row_factor = F(self.row, self.row_expected, 65536)
        self.row_factor_2 = F(self.row, self.row_expected, self.row_prior)
        self.in_factor = F(self.kept_in[i], self.rate * self.seen_in[i], 65536)

    def look(self, r, i, y, x):
        def at(*where):
            return self.levels.get(where, 0)
        self.B, self.B2, self.B3 = (at(r - back, i, y, x) for back in (1, 2, 3))
        if self.area > 1:
            def here(up, left):
                return at(r, i, y - up, x - left)
            self.H, self.H2 = at(r, i - 1, y, x), at(r, i - 2, y, x)
            more = here(1, 2), here(1, -2), here(2, 1), here(2, -1)
        else:
            def here(up, left):
                return at(r - up, i - left, y, x)
            self.H, self.H2, more = at(r - 3, i, y, x), 0, ()
        self.W, self.WW, self.N, self.NN = here(0, 1), here(0, 2), here(1, 0), here(2, 0)
        self.NW, self.NE = here(1, 1), here(1, -1)
        self.spread = sum(level != 0 for level in (self.WW, self.NN, *more))
        self.spread += 3 * ((self.W != 0) + (self.N != 0)) + 2 * ((self.NW != 0) + (self.NE != 0))
        self.spot = min(y * self.width + x, 63) if self.kind < 3 else min((y >> 2) * 8 + (x >> 2), 63)

    def around(self, i, place, column_2):
        if self.area == 1:
            return column_2
        y, x = divmod(place, self.width)
        n = 0
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                if 0 <= y + down < self.height and 0 <= x + right < self.width:
                    column = i * self.area + (y + down) * self.width + x + right
                    n += (4 >> abs(down) + abs(right)) * self.kept[column]
        return F(n, 16 * (self.total * 2**20 // self.columns), 65536)

    def C(self, n, prior):
        return min(((min(n, 2**22) << 16) + 2 * prior) * self.inverse >> 24, 2**22)

    def weight(self, i, place, column):
        kept, base, k, unit = self.kept[column], 65536, self.kind, 0
        if self.span:
            u = self.unit_of(column)
            base = min((2 * ((u * self.U << 16) // self.T) + 65536) // 3, 2**22)
            unit = 1 + min(log(u + 1) >> 7, 14)
        col, col_2 = (self.C(kept, prior) for prior in (65536, base))
        dense, dense_2 = self.rate * self.row_factor >> 16, self.rate * self.row_factor_2 >> 16
        d = [stretched(one) for one in (
            dense_2 * col_2 >> 16, dense, self.rate * col >> 16, dense * self.in_factor >> 16,
            dense * self.place_factor[place] >> 16, dense * self.around(i, place, col_2) >> 16, dense_2 * col >> 16)]
        w, n, b, b2, b3, h, h2, nw, ne, ww, nn = (int(level != 0) for level in (
            self.W, self.N, self.B, self.B2, self.B3, self.H, self.H2, self.NW, self.NE, self.WW, self.NN))
        corner, near, both = w + 2 * n, coarse(d[5]), coarse(d[6])
        touching = corner + 4 * nw + 8 * ne
        contexts = [((both * 4 + corner) * 2 + b) * 4 + k, (touching * 64 + self.spot) * 4 + k,
                    ((((b * 2 + b2) * 2 + b3) * 2 + h) * 2 + h2) * 16 + corner * 4 + k,
                    (min(self.kernel, 15) * 64 + self.spot) * 4 + k,
                    (((self.W + 4) * 9 + self.N + 4) * 9 + self.H + 4) * 4 + k,
                    (((touching * 2 + ww) * 2 + nn) * 2 + h) * 32 + both, (unit * 32 + both) * 4 + k,
                    (self.spread * 32 + near) * 4 + k]
        s = [(k * 4 + corner) * 4 + 2 * b + h, both, self.spot * 4 + k, k, touching * 4 + k, coarse(d[1])]
        flag = self.stream.flags.decide(self.stream.coder, d, contexts, s)
        self.seen, self.row_expected = self.seen + 1, self.row_expected + min(self.rate * col >> 16, 2**20)
        self.seen_in[i] += 1
        self.seen_at[place] += 1
        return self.value(i, place, column) if flag else 0

    def value(self, i, place, column):
        mean = max((self.sum + self.book.first_mean) // (self.total + 1), 1)
        in_row = (self.row_sum + 2 * mean) // (self.row + 2)
        in_col = (self.sums[column] + 2 * mean) // (self.kept[column] + 2)
        in_in = (self.sums_in[i] + 2 * mean) // (self.kept_in[i] + 2)
        m = [in_row * in_in // mean, in_row, in_row * in_col // mean, mean]
        q = [clip(8 + (log(a + 1) - log(mean + 1) >> 6), 0, 15) for a in (in_row, in_col, m[0])]
        q.append(7 * (clip(self.row_sign, 3) + 3) + clip(self.signs[column], 3) + 3)
        g = int(len(self.book.codes[1]) > 0)
        if all(self.book.codes):
            g = self.value_bit([0] * 4, 0, 0, 0, q)
        code = self.book.codes[g][self.magnitude(g, m, q)]
        size, sign = self.book.size[code], 2 * g - 1
        self.total, self.sum, self.kernel = self.total + 1, self.sum + size, self.kernel + 1
        self.row, self.row_sum, self.row_sign = self.row + 1, self.row_sum + size, self.row_sign + sign
        for counts, at, more in ((self.kept, column, 1), (self.sums, column, size), (self.signs, column, sign),
                                 (self.kept_in, i, 1), (self.sums_in, i, size), (self.kept_at, place, 1)):
            counts[at] += more
        return code

    def magnitude(self, g, m, q):
        K, t, edge, low = len(self.book.codes[g]), 1, self.book.edges[g], self.book.low[g]
        D = (K - 1).bit_length()
        for z in range(D):
            h = D - z - 1
            first = (t << (h + 1)) - 2**D
            middle, bit = first + 2**h, 0
            if middle < K:
                upper, whole = (edge[end] - edge[first] for end in (middle, min(middle + 2**h, K)))
                d = [self.upper_half(upper, whole, max(m_j - low, 1)) for m_j in m]
                deep = z - 4
                node = t if z < 4 else ((t >> deep) << 4) - 240 + (t & 2**deep - 1) + 2**deep
                bit = self.value_bit(d, 272 * g + node, z + 1, 16 * g + t if z < 4 else 32 + z, q)
            t = 2 * t + bit
        return t - 2**D

    @staticmethod
    def upper_half(upper, whole, M):
        end = exp((whole << 6) // M)
        if exp(0) - end < 1024:
            return 0
        part = exp((upper << 6) // M) - end
        return STRETCH[clip((part << 16) // (exp(0) - end), 64, 65472)]

    def value_bit(self, d, node, step, top, q):
        k = self.kind
        contexts = [one * 544 + node for one in (
            k, q[1], q[2], (self.W + 4) // 2 * 5 + (self.N + 4) // 2, (self.B + 4) * 5 + (self.B2 + 4) // 2,
            (self.H + 4) * 5 + (self.H2 + 4) // 2, self.spot, q[3], q[0] // 2 * 8 + q[1] // 2)]
        s = [step * 4 + k, top, (self.W + 4) * 9 + self.N + 4, step, node, step * 16 + q[2]]
        return self.stream.values.decide(self.stream.coder, d, contexts, s)


def decode_best(stream, specs):
    """Codes of each (shape, codebook as floats) of specs, as lists in C order."""
    decoder = Decoder(stream)
    return [decoder.tensor(shape, codebook) for shape, codebook in specs]
