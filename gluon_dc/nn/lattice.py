"""Search for the numbers of a layer on its grid: the nearest point of a lattice, found by keeping many ways open.

A row of weights is decided one after another, each error fed back into those still to come. Which of two numbers was
better shows only some decisions later, so the `width` cheapest beginnings are kept and each goes on with every number
near (K-best or list sphere decoding: Z. Guo, P. Nilsson, IEEE JSAC 24, 2006; with a width of 1 this is L. Babai's
nearest plane, 1986, which is what error feedback does: J. Chen et al., "The geometry of LLM quantization", 2025). The
order is that of sorted decomposition (D. Wuebben et al., Electronics Letters 37, 2001).
"""
import numpy as np
from numba import njit

# Above, the order by the diagonal alone: the sorting takes d**3 operations, one after another.
MAX_SORTED = 1536


def order_of(inputs):
    """In which order the weights of an output are decided: int64 (d,), from A (d, d).

    From the last on, whichever would cost least there, as all that come after it make up for its error.
    """
    diagonal = np.diag(inputs).copy()
    d = len(diagonal)
    if d > MAX_SORTED:
        return np.argsort(-diagonal, kind="stable")
    order, factor, least = np.empty(d, np.int64), np.zeros((d, d)), 1e-12 * max(diagonal.max(), 1e-300)
    for place in range(d):
        order[d - 1 - place] = chosen = int(np.argmin(diagonal))
        column = inputs[:, chosen] - factor[:, :place] @ factor[chosen, :place]
        factor[:, place] = column / np.sqrt(max(diagonal[chosen], least))
        diagonal = diagonal - factor[:, place] ** 2
        diagonal[order[d - 1 - place:]] = np.inf
    return order


@njit(cache=True, nogil=True)
def feed_back(target, inputs, outputs, columns, rows, step, bias_step, price, zero_bits, other_bits, code_bits, width,
              numbers, biases):
    """Decide all weights and biases of a group, row by row; `numbers` and `biases` are filled in, `target` is used up.

    target: float64 (out, d + 1), its columns in the order `columns` and then the bias. inputs, outputs: triangular
    factors of the inverse curvature, in the order of `columns` and `rows`. zero_bits, other_bits: float64 (out, d).
    code_bits: float64 (2 limit + 1,). width: int >= 1. numbers: int64 (out, d). biases: float64 (out,). A bias_step of
    0 leaves the bias at 0.
    """
    d = columns.size
    for a in range(rows.size):
        r = rows[a]
        biases[r] = _row(target[r], inputs, 1 / (outputs[a, a] * outputs[a, a]), columns, step, bias_step, price,
                         zero_bits[r], other_bits[r], code_bits, width, numbers[r])
        for j in range(d):
            target[r, j] -= numbers[r, columns[j]] * step
        target[r, d] -= biases[r] * bias_step
        for b in range(a + 1, rows.size):
            u = outputs[a, b] / outputs[a, a]
            for i in range(d + 1):
                target[rows[b], i] -= u * target[r, i]


@njit(cache=True, nogil=True)
def improve(target, inputs, curvature, columns, rows, step, bias_step, price, zero_bits, other_bits, code_bits, width,
            numbers, biases):
    """Decide each row once more, now that all the others stand; arguments as `feed_back` takes them.

    curvature: G, float64 (out, out).
    """
    d = columns.size
    goal = np.empty(d + 1)
    for r in range(rows.size):  # what is still wrong
        for j in range(d):
            target[r, j] -= numbers[r, columns[j]] * step
        target[r, d] -= biases[r] * bias_step
    for r in rows:
        for j in range(d):
            target[r, j] += numbers[r, columns[j]] * step
        target[r, d] += biases[r] * bias_step
        goal[:] = target[r]
        for s in range(rows.size):
            u = curvature[r, s] / curvature[r, r]
            if s != r and u != 0:
                for i in range(d + 1):
                    goal[i] += u * target[s, i]
        biases[r] = _row(goal, inputs, curvature[r, r], columns, step, bias_step, price, zero_bits[r], other_bits[r],
                         code_bits, width, numbers[r])
        for j in range(d):
            target[r, j] -= numbers[r, columns[j]] * step
        target[r, d] -= biases[r] * bias_step


@njit(cache=True, nogil=True)
def _row(goal, inputs, curvature, columns, step, bias_step, price, zero_bits, other_bits, code_bits, width, numbers):
    # Fills in a row's numbers, int64 (d,), and returns its bias, in steps. What is left to do of the beginnings kept is
    # float32: half as many bytes to go through, and its rounding is nothing beside a step.
    limit, d = code_bits.size // 2, columns.size
    left, after = np.empty((width, d + 1), np.float32), np.empty((width, d + 1), np.float32)
    costs, room = np.zeros(3 * width), np.empty(3 * width)
    parents, choices = np.empty((d, width), np.int32), np.empty((d, width), np.int16)
    found = np.empty(3 * width, np.int64), np.empty(3 * width, np.int64), np.empty(3 * width)
    left[0] = goal
    kept = np.int64(1)
    for j in range(d):
        c, sharpness = columns[j], 0.5 * curvature / (inputs[j, j] * inputs[j, j])
        n = _numbers_near(left, costs, kept, j, step, sharpness, price, zero_bits[c], other_bits[c], code_bits, limit,
                          found)
        worst = np.inf
        if n > width:
            room[:n] = found[2][:n]
            worst = _smallest(room, n, width - 1)
        kept = 0
        for q in range(n):
            if found[2][q] <= worst and kept < width:
                k, number = found[0][q], found[1][q]
                error = np.float32((left[k, j] - number * step) / inputs[j, j])
                for i in range(j + 1, d + 1):
                    after[kept, i] = left[k, i] - error * np.float32(inputs[j, i])
                costs[kept], parents[j, kept], choices[j, kept] = found[2][q], k, number
                kept += 1
        left, after = after, left
    best = _cheapest(left, costs, kept, bias_step, 0.5 * curvature / (inputs[d, d] * inputs[d, d]))
    bias = _nearest(left[best, d], bias_step)
    for j in range(d - 1, -1, -1):
        numbers[columns[j]] = choices[j, best]
        best = parents[j, best]
    return bias


@njit(cache=True, nogil=True)
def _numbers_near(left, costs, kept, j, step, sharpness, price, zero_bits, other_bits, code_bits, limit, found):
    # How every beginning could go on: which one, with what number, at what cost in all.
    origins, numbers, sums = found
    n = 0
    for k in range(kept):
        x = np.float64(left[k, j])
        origins[n], numbers[n], sums[n] = k, 0, costs[k] + sharpness * x * x + price * zero_bits
        n += 1
        # Feedback may push a weight beyond the grid: then its end is the nearest there is.
        lower = min(max(int(np.floor(x / step)), -limit), limit - 1)
        for number in (lower, lower + 1):
            if number != 0 and -limit <= number <= limit:
                error = x - number * step
                origins[n], numbers[n] = k, number
                sums[n] = costs[k] + sharpness * error * error + price * (other_bits + code_bits[number + limit])
                n += 1
    return n


@njit(cache=True, nogil=True)
def _cheapest(left, costs, kept, bias_step, sharpness):
    # The beginning that is the cheapest row, its bias included.
    best, least, d = 0, np.inf, left.shape[1] - 1
    for k in range(kept):
        error = left[k, d] - _nearest(left[k, d], bias_step) * bias_step if bias_step > 0 else 0.0
        cost = costs[k] + sharpness * error * error
        if cost < least:
            best, least = k, cost
    return best


@njit(cache=True, nogil=True)
def _nearest(x, bias_step):
    return min(max(np.rint(x / bias_step), -127.0), 127.0) if bias_step > 0 else 0.0


@njit(cache=True, nogil=True)
def _smallest(values, n, k):
    # The one with k smaller ones (C. A. R. Hoare's "find"); values are moved about.
    low, high = 0, n - 1
    while low < high:
        pivot, i, j = values[(low + high) // 2], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return values[k]
