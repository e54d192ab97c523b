"""Independent coin tosses over pairs of vertices, without visiting the pairs that lose (Batagelj and Brandes, 2005)."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, Number
from gnnsched_env.graphs.structure import LARGEST_ID

I64 = NDArray[np.int64]


def chosen_codes(rng: np.random.Generator, total: int, chance: float) -> I64:
    """Return int64 [chosen], increasing: each of 0..total-1 with probability `chance`; O(chosen).

    The gaps between chosen numbers are geometric, so that only the chosen ones cost anything.
    """
    pieces: list[I64] = []
    last = -1
    while chance > 0.0 and last < total - 1:
        expected = (total - 1 - last) * chance
        gaps = rng.geometric(chance, int(expected + 4.0 * np.sqrt(expected)) + 8)
        codes = last + np.cumsum(np.minimum(gaps, total + 1))
        pieces.append(codes[codes < total])
        last = int(codes[-1])
    return np.concatenate([np.empty(0, np.int64), *pieces])


def unordered_pairs(codes: I64) -> tuple[I64, I64]:
    """Return the pairs (i, j), j < i, that the codes i (i - 1) / 2 + j stand for; int64 [codes] each."""
    i = ((1.0 + np.sqrt(1.0 + 8.0 * codes)) / 2.0).astype(np.int64)
    i -= i * (i - 1) // 2 > codes
    i += i * (i + 1) // 2 <= codes
    return i, codes - i * (i - 1) // 2


def check_vertices(family: str, vertices: int, fewest: int = 2) -> int:
    """Return the number of vertices as an int; raise ConfigError unless a graph of at least `fewest` can have it."""
    return check_count(family, "vertices", vertices, fewest, LARGEST_ID)


def check_count(family: str, field: str, value: int, low: int, high: int) -> int:
    """Return an integer as an int; raise ConfigError unless it is one in low..high (no float, no bool)."""
    return int(Integer(low, high).check(family, field, value))


def check_shares(family: str, **shares: float) -> tuple[float, ...]:
    """Return shares or probabilities as floats; raise ConfigError for one outside 0..1 (or NaN)."""
    return tuple(check_range(family, field, share, 0, 1) for field, share in shares.items())


def check_range(family: str, field: str, value: float, low: float, high: float) -> float:
    """Return a number as a float; raise ConfigError for one outside low..high (or NaN)."""
    return float(Number(least=low, most=high).check(family, field, value))
