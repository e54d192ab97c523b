"""Slow, obvious twins of the scores, one class at a time."""

from collections import Counter


def best_of(row):
    """Return the first choice of the fewest cycles."""
    return min(range(len(row)), key=lambda choice: row[choice])


def regret(true, predicted):
    """Return, class by class, cycles of the choice predicted best over the true best's."""
    return [row[best_of(guess)] / min(row) for row, guess in zip(true, predicted, strict=True)]


def accuracy(true, predicted):
    """Return the percentage of classes whose predicted best takes no longer than any other choice."""
    right = sum(all(row[best_of(guess)] <= other for other in row) for row, guess in zip(true, predicted, strict=True))
    return 100 * right / len(true)


def top2(true, predicted):
    """Return the percentage of classes with a true best among the two predicted best."""
    hits = 0
    for row, guess in zip(true, predicted, strict=True):
        two = sorted(range(len(guess)), key=lambda choice: (guess[choice], choice))[:2]
        hits += any(row[choice] == min(row) for choice in two)
    return 100 * hits / len(true)


def confusion(true, predicted):
    """Return how many classes have (best, chosen)."""
    counts = Counter()
    for row, guess in zip(true, predicted, strict=True):
        chosen = best_of(guess)
        counts[chosen if row[chosen] == min(row) else best_of(row), chosen] += 1
    return counts
