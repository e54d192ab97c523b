"""The quantiles of jobs' true over predicted latencies, as the compiled beliefs read them (`expected_finish.py`)."""

import math

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.sim.records import JOB_LIMIT, RATIO, RecordArray
from gnnsched_env.tables import ERROR_LEVELS, LatencyTable

LARGEST_LOG = math.log(JOB_LIMIT)  # of a ratio: larger ones make times that policies cannot tell apart


def latency_ratios(table: LatencyTable, *, unpredicted: bool) -> RecordArray:
    """Return RATIO [R, K, N]: the quantiles of a job's true over its predicted latency under each of K choices.

    N is 0 where the table's predictions are exact, or as good as known: without `log_errors`, or with none but zeros.
    R is 1, or 2 where the table's last class stands for jobs that came `unpredicted`: the second row is theirs. Such a
    job is one of the workload's, so its ratios are those of the workload's latencies to the last class's.
    """
    errors = table.log_errors
    if errors is None or not errors.any():
        return np.zeros((1, table.num_choices, 0), RATIO)
    logs = [errors, _unpredicted_logs(table, errors)] if unpredicted else [errors]
    ratios = np.exp(np.clip(np.stack(logs).swapaxes(1, 2), -LARGEST_LOG, LARGEST_LOG))
    records: RecordArray = np.zeros(ratios.shape, RATIO)
    records["ratio"] = ratios
    sums = np.cumsum(ratios[:, :, ::-1], axis=2)[:, :, ::-1]
    records["mean_above"] = sums / np.arange(ratios.shape[2], 0, -1)
    return records


def _unpredicted_logs(table: LatencyTable, errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64 [N, K]: quantiles of the logarithm of the workload's latencies over those of the last class."""
    logs = np.log(table.predicted_cycles)
    quantiles = np.empty_like(errors)
    for choice, own in enumerate(logs[:-1].T):
        order = own.argsort(kind="stable")
        shares = np.cumsum(table.weights[:-1][order])
        places = np.searchsorted(shares, ERROR_LEVELS * shares[-1])
        spread = own[order][np.minimum(places, len(own) - 1)] - logs[-1, choice]
        sums = errors[:, choice, np.newaxis] + spread
        quantiles[:, choice] = np.quantile(sums, ERROR_LEVELS)
    return quantiles
