"""Slow twins of what the latency bridge computes."""

import math


def vertex_features(degrees):
    """Return a list of rows of numbers, one loop a number."""
    mean = sum(degrees) / len(degrees)
    rows = []
    for v, degree in enumerate(degrees):
        row = [math.log1p(degree), 1 / (1 + degree), float(degree == 0), math.log1p(degree) - math.log1p(mean)]
        row += [math.log1p(len(degrees)), math.log1p(mean)]
        blocks = [degrees[v - v % size : v - v % size + size] for size in (2, 4, 8, 16, 32, 64, 128, 256, 512)]
        row += [math.log1p(max(block)) for block in blocks]
        row += [math.log1p(sum(block) / len(block)) for block in blocks]
        rows.append(row)
    return rows
