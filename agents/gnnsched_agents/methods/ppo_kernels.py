"""Compiled code of PPO: the passes over rows between the matrix products of a gradient."""

import math

import numpy as np

from gnnsched_env.common.compiled import bare_kernel, inlined_with

_fast = inlined_with(fastmath=True)


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
    inputs, second, shared, first, chosen, old_logs, advantages, w3, skip, clip, entropy, share,
    scores, last, straight, figures,
):  # fmt: skip
    """Replace the second layer by the loss's gradient in it.

    `inputs` float32 [n, F]; `second` float32 [n, H] holds the rows' part of the second layer, `shared` float32 [B, H]
    the part that a decision's rows share: both become gradients. Of each decision `chosen` int64, `old_logs` and
    `advantages` float32 [B]. Added to: the gradients `last` float32 [H] of w3,
    `straight` float32 [F] of skip, and the `figures`. Scratch: `scores` float64 [n].
    """
    zero, most = np.float32(0.0), 0.0
    for i in range(len(chosen)):
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
        taken, advantage = begin + chosen[i], advantages[i]
        change = scores[taken] - old_logs[i]
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
