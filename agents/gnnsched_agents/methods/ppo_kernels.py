"""Compiled code of PPO: draws by a network's scores, and the passes over rows between the products of a gradient."""

import math

import numpy as np

from gnnsched_baselines.learned.pair_features import NUM_FEATURES
from gnnsched_baselines.learned.pair_kernels import score
from gnnsched_env.common.compiled import bare_kernel, inlined_with

_fast = inlined_with(fastmath=True)


@bare_kernel
def average(rows, starts, views):
    """Write the means of each lane's rows, as in `draw`, to the first F columns of `views` float32 [L, VIEW]."""
    for i in range(len(views)):
        share = np.float32(1.0) / np.float32(starts[i + 1] - starts[i])
        for f in range(NUM_FEATURES):
            views[i, f] = np.float32(0.0)
        for r in range(starts[i], starts[i + 1]):
            for f in range(NUM_FEATURES):
                views[i, f] += share * rows[r, f]


@bare_kernel
def draw(rows, starts, weights, uniforms, order, hidden, pooled, scores, chosen, logs):
    """Draw a row of each lane by the softmax of the network's scores.

    `rows` float32 [n, F], lane i's from starts[i] to starts[i + 1], one at least; `weights` the arrays of a Network;
    `uniforms` float64 [L] from 0 to 1: what is drawn is the first row whose cumulated probability is greater. Scratch
    for the most rows M of a lane: `order` int64 [M] (0, 1, ...), `hidden` float32 [M, H], `pooled` float32 [2, H],
    `scores` float32 [M]. Written: `chosen` int64 [L], the row's number in its lane, and `logs` float32 [L], its
    log-probability.
    """
    w1, b1, w2, u2, b2, w3, skip = weights
    for i in range(len(chosen)):
        first, count = starts[i], starts[i + 1] - starts[i]
        score(rows[first:], count, order, count, w1, b1, w2, u2, b2, w3, skip, hidden, pooled, scores)
        highest = scores[0]
        for r in range(1, count):
            highest = max(highest, scores[r])
        total = 0.0
        for r in range(count):
            total += math.exp(scores[r] - highest)
        left, taken = uniforms[i] * total, 0
        for r in range(count):
            left -= math.exp(scores[r] - highest)
            taken = r
            if left < 0.0:
                break
        chosen[i] = taken
        logs[i] = scores[taken] - highest - math.log(total)


@bare_kernel
def gather(rows, starts, part, first, inputs):
    """Copy the rows of the decisions `part` int64 [B] to `inputs` float32 [n, F], decision i's from first[i] on."""
    for i in range(len(part)):
        source = starts[part[i]] - first[i]
        for r in range(first[i], first[i + 1]):
            for f in range(inputs.shape[1]):
                inputs[r, f] = rows[source + r, f]


@bare_kernel
def rectify(hidden, first, mean):
    """Set negative entries of `hidden` float32 [n, H] to 0; write each decision's means to `mean` float32 [B, H]."""
    zero = np.float32(0.0)
    for i in range(len(mean)):
        share = np.float32(1.0) / np.float32(first[i + 1] - first[i])
        for k in range(mean.shape[1]):
            mean[i, k] = zero
        for r in range(first[i], first[i + 1]):
            for k in range(mean.shape[1]):
                value = max(zero, hidden[r, k])
                hidden[r, k] = value
                mean[i, k] += share * value


@_fast
def _product(values, row, weights):
    total = np.float32(0.0)
    for k in range(len(weights)):
        total += values[row, k] * weights[k]
    return total


@_fast
def _scored(second, r, shared, i, w3):
    """Add what a decision's rows share to a row, set its negative entries to 0, and return its product with w3."""
    total, zero = np.float32(0.0), np.float32(0.0)
    for k in range(len(w3)):
        value = max(zero, second[r, k] + shared[i, k])
        second[r, k] = value
        total += value * w3[k]
    return total


@bare_kernel
def objective(
    inputs, second, shared, first, part, chosen, old_logs, advantages, w3, skip, clip, entropy, share,
    scores, last, straight, figures,
):  # fmt: skip
    """Replace the second layer by the loss's gradient in it.

    `inputs` float32 [n, F]; `second` float32 [n, H] holds the rows' part of the second layer, `shared` float32 [B, H]
    the part that a decision's rows share: both become gradients. Added to: the gradients `last` float32 [H] of w3,
    `straight` float32 [F] of skip, and the `figures`. Scratch: `scores` float64 [n].
    """
    zero, most = np.float32(0.0), 0.0
    for i in range(len(part)):
        begin, end = first[i], first[i + 1]
        most = -math.inf
        for r in range(begin, end):
            scores[r] = _scored(second, r, shared, i, w3) + _product(inputs, r, skip)
            most = max(most, scores[r])
        total = 0.0
        for r in range(begin, end):
            total += math.exp(scores[r] - most)
        normaliser, disorder = most + math.log(total), 0.0
        for r in range(begin, end):
            scores[r] -= normaliser  # log-probabilities from here on
            disorder -= math.exp(scores[r]) * scores[r]
        taken, advantage = begin + chosen[part[i]], advantages[part[i]]
        change = scores[taken] - old_logs[part[i]]
        ratio = math.exp(change)
        bounded = min(1.0 + clip, max(1.0 - clip, ratio))
        gain = min(ratio * advantage, bounded * advantage)
        slope = ratio * advantage if ratio * advantage <= bounded * advantage else 0.0  # d gain / d log ratio
        figures[0] += math.expm1(change) - change
        figures[1] += abs(ratio - 1.0) > clip
        figures[2] += gain
        figures[3] += disorder
        for k in range(len(w3)):
            shared[i, k] = zero
        for r in range(begin, end):
            probability = math.exp(scores[r])
            own = slope * ((r == taken) - probability) - entropy * probability * (scores[r] + disorder)
            loss = np.float32(-share * own)  # d loss / d score
            for f in range(len(skip)):
                straight[f] += loss * inputs[r, f]
            for k in range(len(w3)):
                last[k] += loss * second[r, k]
                value = loss * w3[k] if second[r, k] > zero else zero
                second[r, k] = value
                shared[i, k] += value


@bare_kernel
def descend(below, hidden, mean, first, bias):
    """Complete the gradient in the first layer before its rectifier, `below` float32 [n, H], and add it to `bias` [H].

    It holds what comes from the rows' own part of the second layer; `mean` float32 [B, H] is the gradient in the means.
    """
    zero = np.float32(0.0)
    for i in range(len(mean)):
        share = np.float32(1.0) / np.float32(first[i + 1] - first[i])
        for r in range(first[i], first[i + 1]):
            for k in range(mean.shape[1]):
                value = below[r, k] + share * mean[i, k] if hidden[r, k] > zero else zero
                below[r, k] = value
                bias[k] += value
