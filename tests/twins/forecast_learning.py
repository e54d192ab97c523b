"""Losses, attention and the hinge, written out number by number."""

import itertools
import math


def hinge(scores, targets, margin):
    costs = [
        max(0.0, margin - (scores[j] - scores[i]))
        for i, j in itertools.permutations(range(len(scores)), 2)
        if targets[i] < targets[j]
    ]
    return sum(costs) / max(len(costs), 1)


def list_mle(scores, targets):
    costs = []
    for k in range(len(scores)):
        behind = [math.exp(-scores[j]) for j in range(len(scores)) if targets[j] >= targets[k]]
        costs.append(math.log(sum(behind)) + scores[k])
    return sum(costs) / len(costs) if len(set(targets)) > 1 else 0.0


def attend(own, references, sharpness, gate):
    """One vertex, one channel, one configuration: softmax over itself and references of weight 1/R each."""
    weights = [math.exp(sharpness * own)] + [math.exp(sharpness * r) / len(references) for r in references]
    values = [own, *references]
    return own + gate * sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
