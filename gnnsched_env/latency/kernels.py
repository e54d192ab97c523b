"""Compiled kernels over row degrees: moments, fold counts and row tiles. Plain arrays in and out, O(V) each."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@njit(cache=True)
def degree_moments(degrees: IntArray) -> FloatArray:
    """Return float64 [4]: mean, standard deviation, skewness (0 where all are equal), maximum."""
    total = 0.0
    largest = 0
    for d in degrees:
        total += d
        largest = max(largest, d)
    mean = total / degrees.size
    second = 0.0
    third = 0.0
    for d in degrees:
        off = d - mean
        second += off * off
        third += off * off * off
    deviation = np.sqrt(second / degrees.size)
    skewness = third / degrees.size / deviation**3 if deviation > 0.0 else 0.0
    return np.array((mean, deviation, skewness, float(largest)))


@njit(cache=True)
def degree_histogram(degrees: IntArray, bins: int) -> IntArray:
    """Return int64 [bins]: how many rows have degree 0, 1, ..., the last bin taking all above."""
    counts = np.zeros(bins, np.int64)
    for d in degrees:
        counts[min(d, bins - 1)] += 1
    return counts


@njit(cache=True)
def tile_folds(degrees: IntArray, t_va: int, t_n: int) -> int:
    """Return the folds of all row tiles: a tile of `t_va` rows has those of its longest row, at least 1."""
    total = 0
    for first in range(0, degrees.size, t_va):
        longest = 1
        for r in range(first, min(first + t_va, degrees.size)):
            longest = max(longest, degrees[r])
        total += (longest + t_n - 1) // t_n
    return total
