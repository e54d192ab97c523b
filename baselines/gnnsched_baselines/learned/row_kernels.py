"""Compiled parts that the kernels of both environments share: logarithms of features, and the scores of rows."""

import math

import numpy as np

from gnnsched_env.common.compiled import inlined, inlined_with

LEAST_LOG, MOST_LOG = -3.0, 3.0  # features are kept in this range
MOST_LOAD = 2.0
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD  # the bits of the float64 sqrt(1/2)
QUARTER_LOG = 0.5 / math.log(2.0)
LOG_BLOCK = 8  # logarithms are computed in multiples of this number

_fast = inlined_with(fastmath=True)
summing = inlined_with(fastmath={"reassoc", "nsz", "contract"})


@summing
def take_logs(logs, count):
    """Replace at least `count` positive numbers by log2(x) / 4; the error is below 1e-9. Infinity becomes 256.

    With x = 2^e m, m from sqrt(1/2) to sqrt(2) and s = (m - 1) / (m + 1): ln(m) = 2 (s + s^3 / 3 + s^5 / 5 + ...).
    `logs` has room for LOG_BLOCK numbers more.
    """
    blocks = (count + LOG_BLOCK - 1) // LOG_BLOCK * LOG_BLOCK
    for t in range(count, blocks):
        logs[t] = 1.0
    for t in range(blocks):
        bits = np.float64(logs[t]).view(np.int64) - SQRT_HALF_BITS
        exponent = bits >> 52
        m = np.int64(bits - (exponent << 52) + SQRT_HALF_BITS).view(np.float64)
        s = (m - 1.0) / (m + 1.0)
        q = s * s
        series = 1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0)))))
        logs[t] = 0.25 * exponent + QUARTER_LOG * s * series


@inlined
def kept(log):
    """Return a logarithm, kept in the range of the features."""
    return min(MOST_LOG, max(LEAST_LOG, log))


@_fast
def score(rows, count, order, total, w1, b1, w2, u2, b2, w3, skip, hidden, pooled, scores):
    """Write the scores of one lane's `count` rows: the network of `pair_network.Network`.

    Its mean is over the rows that the first `total` of `order` int64 name. `rows` float32 [n, F or more]; `w1` [F, H],
    `b1` [H], `w2`, `u2` [H, H], `b2`, `w3` [H], `skip` [F] float32. Scratch: `hidden` float32 [n, H], `pooled`
    float32 [2, H]. Written: `scores` float32 [n].
    """
    width, zero, share = len(b1), np.float32(0.0), np.float32(1.0) / np.float32(total)
    mean, shared = pooled[0], pooled[1]
    for k in range(width):
        mean[k] = zero
        shared[k] = b2[k]
    for r in range(count):
        for k in range(width):
            hidden[r, k] = b1[k]
        _add_product(rows, r, w1, hidden, r)
        for k in range(width):
            hidden[r, k] = max(zero, hidden[r, k])
    for t in range(total):
        for k in range(width):
            mean[k] += share * hidden[order[t], k]
    _add_product(pooled, 0, u2, pooled, 1)
    for r in range(count):
        second = mean  # which has been used
        for k in range(width):
            second[k] = shared[k]
        _add_product(hidden, r, w2, pooled, 0)
        total = zero
        for f in range(len(skip)):
            total += rows[r, f] * skip[f]
        for k in range(width):
            total += max(zero, second[k]) * w3[k]
        scores[r] = total


@_fast
def _add_product(values, row, matrix, out, to):
    """Add the product of a row of `values` (as much of it as the matrix is high) and a matrix to row `to` of `out`.

    Eight rows of the matrix at a time, so that `out` is read and written an eighth as often.
    """
    height, width = matrix.shape[0], out.shape[1]
    whole = height - height % 8
    for f in range(0, whole, 8):
        v0, v1, v2, v3 = values[row, f], values[row, f + 1], values[row, f + 2], values[row, f + 3]
        v4, v5, v6, v7 = values[row, f + 4], values[row, f + 5], values[row, f + 6], values[row, f + 7]
        for k in range(width):
            low = v0 * matrix[f, k] + v1 * matrix[f + 1, k] + v2 * matrix[f + 2, k] + v3 * matrix[f + 3, k]
            high = v4 * matrix[f + 4, k] + v5 * matrix[f + 5, k] + v6 * matrix[f + 6, k] + v7 * matrix[f + 7, k]
            out[to, k] += low + high
    for f in range(whole, height):
        for k in range(width):
            out[to, k] += values[row, f] * matrix[f, k]
