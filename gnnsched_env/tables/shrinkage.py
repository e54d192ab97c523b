"""What latencies are expected where predictions have noise of their own: an answer to the winner's curse.

Of many noisy predictions the smallest is too small, so whoever follows it is disappointed. Where the noise on each
prediction is independent (a scenario's `prediction_error`), predictions of the same job under other choices tell what
it hides. In logarithms, a job's K latencies are taken for a draw from a normal distribution with the mean of the
workload's predictions and their covariance without the noise's; then the expected ones are a linear function of the K
predictions (the best linear estimate; Efron and Morris 1975 call it shrinkage).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.tables.table import LatencyTable


@dataclass(frozen=True, slots=True, eq=False)
class Shrinkage:
    """Expected logarithms of a job's latencies: `matrix` float64 [K, K] times the predicted ones, plus `offset` [K].

    Logarithms are log2(1 + cycles).
    """

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]

    def expected(self, logs: NDArray[np.floating], unit: float = 1.0) -> NDArray[np.float64]:
        """Return float64 [..., K]: expected logarithms from predicted ones [..., K], both over `unit`; at least 0."""
        return np.maximum(logs @ self.matrix.T + self.offset / unit, 0.0)


@lru_cache(maxsize=16)
def shrinkage_of(table: LatencyTable) -> Shrinkage | None:
    """Return how predictions are to be read, None where they have no noise of their own (`table.noise`); cached."""
    if table.noise == 0.0:
        return None
    logs = np.log2(1.0 + table.predicted_cycles)
    mean = table.weights @ logs
    apart = logs - mean
    noise = np.full(table.num_choices, (table.noise / np.log(2.0)) ** 2)
    values, vectors = np.linalg.eigh(apart.T @ (table.weights[:, np.newaxis] * apart))
    own = np.maximum(values - noise, 0.0)  # the noise's covariance is a multiple of the identity, so vectors stay
    matrix = (vectors * (own / (own + noise))) @ vectors.T
    return Shrinkage(matrix, mean - matrix @ mean)


def expected_cycles(table: LatencyTable) -> NDArray[np.int64]:
    """Return int64 [C, K]: the latencies that are expected of each class; without noise, the predicted ones."""
    shrinkage = shrinkage_of(table)
    if shrinkage is None:
        return table.predicted_cycles
    logs = shrinkage.expected(np.log2(1.0 + table.predicted_cycles))
    cycles = np.clip(np.rint(np.exp2(logs) - 1.0), 1, table.predicted_cycles.max())
    expected: NDArray[np.int64] = cycles.astype(np.int64)
    return expected
