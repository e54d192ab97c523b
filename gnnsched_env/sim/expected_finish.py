"""When a running job is expected to finish: from its prediction, the errors of predictions, and how long it has run.

A job's latency is believed to be its predicted one times a ratio, drawn from the quantiles of true over predicted
latencies (`LatencyTable.log_errors`), each equally likely. At each decision the belief of a job that has run for e
cycles is the mean over the quantiles that it has not outlived: E[T | T > e]. So it is the predicted latency times the
mean ratio when a job starts, and an overdue job is not believed to end at once.

A job that has outlived LEVEL of the quantiles is believed to run on for a share of e: the mean excess of the quantiles
beyond that one, in proportion. That is the mean residual life of a Pareto tail through them. It goes on from the means
without a jump, and it never falls to zero, as the mean over the last quantile would, since a distribution known by 200
quantiles is not known beyond the last; a log-normal error, whose tail is lighter, has little less there.

Where predictions are exact there are no quantiles (N = 0), and a job is believed to take what is predicted.
"""

import math

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import inlined
from gnnsched_env.sim.job_table import JOB_LIMIT
from gnnsched_env.sim.records import NEVER, RATIO, RecordArray
from gnnsched_env.tables import ERROR_LEVELS, LatencyTable

LEVEL = 0.95  # share of the quantiles beyond which a job that still runs is in the tail
TAIL = round(LEVEL * len(ERROR_LEVELS))  # number of the quantile at which the tail begins
LARGEST_LOG = math.log(JOB_LIMIT)  # of a ratio: larger ones make times that policies cannot tell apart
LATEST = float(NEVER >> 1)  # cycles until a belief changes, at most


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


@inlined
def revise_beliefs(
    settings: RecordArray,
    classes: RecordArray,
    pairs: RecordArray,
    ratios: RecordArray,
    i: int,
    lanes: RecordArray,
    accelerators: RecordArray,
    jobs: RecordArray,
) -> None:
    """Write when the running jobs of a lane are believed to finish, at the moment of a decision."""
    if ratios.shape[2] == 0:
        return
    now = lanes[i]["time"]
    for a in range(accelerators.shape[1]):
        accelerator = accelerators[i, a]
        if accelerator["job"] < 0 or now < accelerator["revision"]:
            continue
        choice, number = accelerator["choice"], jobs[i, accelerator["job"]]["believed_class"]
        row = 1 if settings[0]["skip_below"] > 0 and number == len(classes) - 1 else 0
        predicted, began = np.float64(pairs[number, choice]["predicted"]), accelerator["began"]
        ran, passed = now - began, accelerator["passed"]
        above = TAIL + 1
        while passed < above:  # the first quantile that the job has not outlived, up to the one where the tail begins
            middle = (passed + above) // 2
            if ran >= predicted * ratios[row, choice, middle]["ratio"]:
                passed = middle + 1
            else:
                above = middle
        accelerator["passed"] = passed
        if passed <= TAIL:
            expected = predicted * ratios[row, choice, passed]["mean_above"]
            unrevised = math.ceil(min(predicted * ratios[row, choice, passed]["ratio"], LATEST))
            accelerator["revision"] = began + np.int64(unrevised)
        else:
            last = ratios[row, choice, TAIL]
            expected = ran * (last["mean_above"] / last["ratio"])
            accelerator["revision"] = now
        longest = np.float64(ran + JOB_LIMIT)
        accelerator["believed_finish"] = began + np.int64(math.floor(min(expected, longest) + 0.5))
