"""Slow, obvious twins of the feature kernels."""

import math


def degree_moments(degrees):
    """Return (mean, standard deviation, skewness, maximum)."""
    degrees = [int(d) for d in degrees]
    mean = sum(degrees) / len(degrees)
    variance = sum((d - mean) ** 2 for d in degrees) / len(degrees)
    third = sum((d - mean) ** 3 for d in degrees) / len(degrees)
    return mean, math.sqrt(variance), third / math.sqrt(variance) ** 3 if variance > 0 else 0.0, max(degrees)


def tile_folds(degrees, t_va, t_n):
    """Return the folds of the longest row of each tile, summed."""
    tiles = [degrees[i : i + t_va] for i in range(0, len(degrees), t_va)]
    return sum(max(1, math.ceil(max(tile) / t_n)) for tile in tiles)
