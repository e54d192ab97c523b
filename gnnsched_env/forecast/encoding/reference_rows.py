"""The configurations of a program that all its configurations are compared with (attention among configurations).

A score must not depend on which configurations are asked for together. So the references are chosen from all of a
sample's configurations, by a hash of their content: neither what is asked, nor the order of the file, nor a seed has
a part in it. Training and prediction take the same ones.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def reference_rows(raw: NDArray[Any], count: int) -> IntArray:
    """Return the places in raw [u, ...] of `count` different configurations (fewer if there are no more).

    They are those of the smallest BLAKE2b hashes, in the order of the hashes; of equal configurations the first.
    """
    width = int(np.prod(raw.shape[1:])) * raw.dtype.itemsize
    data = np.ascontiguousarray(raw)
    hashes = np.array([_hash(row.tobytes()) for row in data], np.uint64) if width else np.zeros(len(raw), np.uint64)
    _, first = np.unique(hashes, return_index=True)
    return first[:count].astype(np.int64)


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
