"""Slow, obvious twins of the scores of a ranking: pair by pair."""

import math
from itertools import combinations


def sign(value):
    return int(value > 0) - int(value < 0)


def pairs(scores, targets):
    """Yield (sign of the difference of scores, of targets) of each pair."""
    for i, j in combinations(range(len(scores)), 2):
        yield sign(scores[i] - scores[j]), sign(targets[i] - targets[j])


def kendall_tau(scores, targets):
    """Return tau-b; nan where the targets tell no pair apart, 0 where the scores alone do not."""
    every = list(pairs(scores, targets))
    told, guessed = sum(b != 0 for _, b in every), sum(a != 0 for a, _ in every)
    if not told:
        return math.nan
    if not guessed:
        return 0.0
    return sum(a * b for a, b in every) / math.sqrt(told * guessed)


def ordered_pair_accuracy(scores, targets):
    """Return the share of pairs of unequal targets in the right order, ties half."""
    told = [(a, b) for a, b in pairs(scores, targets) if b]
    if not told:
        return math.nan
    return sum(1.0 if a == b else 0.5 if a == 0 else 0.0 for a, b in told) / len(told)


def slowdown(scores, targets, k):
    """Return best of the predicted top k / best - 1; equal scores in the order of the file."""
    if not len(targets) or not any(targets):
        return math.nan
    order = sorted(range(len(scores)), key=lambda i: (scores[i], i))
    return min(targets[i] for i in order[:k]) / min(targets) - 1.0
