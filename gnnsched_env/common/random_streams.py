"""Random numbers by splitmix64 (Steele, Lea and Flood 2014), the same compiled, in plain Python and on numpy's arrays.

A stream is a uint64 key; its draw number n is a hash of key and n, so draws depend neither on each other nor on the
order in which they are asked for. All sums and products are modulo 2^64.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import bare_kernel, inlined

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
_U1, _U11, _U27, _U30, _U31 = np.uint64(1), np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
_UNIT = 2.0**-53


def mix_words(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return splitmix64's output function of each uint64 of an array."""
    state = (state ^ (state >> _U30)) * MIX_1
    state = (state ^ (state >> _U27)) * MIX_2
    return state ^ (state >> _U31)


mix: Any = inlined(mix_words)
"""Return splitmix64's output function of one uint64, in kernels."""


@bare_kernel
def stream_key(seed: np.uint64, episode: np.uint64, purpose: int) -> np.uint64:
    """Return the key of one stream of random numbers."""
    key = mix(seed + GOLDEN)
    key = mix(key ^ (episode + GOLDEN))
    return np.uint64(mix(key ^ (np.uint64(purpose) * GOLDEN)))


@inlined
def uniform(key: np.uint64, index: int) -> float:
    """Return draw `index` of a stream: a float64 in [0, 1)."""
    return np.float64(mix(key + (np.uint64(index) + _U1) * GOLDEN) >> _U11) * _UNIT


@inlined
def next_uniform(state: NDArray[np.uint64]) -> float:
    """Return the next float64 in [0, 1) of the sequence whose state is uint64 [1], and advance the state."""
    state[0] += GOLDEN
    return np.float64(mix(state[0]) >> _U11) * _UNIT
