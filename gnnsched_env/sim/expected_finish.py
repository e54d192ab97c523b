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

from gnnsched_env.common.compiled import inlined
from gnnsched_env.sim.records import JOB_LIMIT, NEVER, RecordArray

LEVEL = 0.95  # share of the quantiles beyond which a job that still runs is in the tail
LATEST = float(NEVER >> 1)  # cycles until a belief changes, at most


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
    now, tail = lanes[i]["time"], np.int64(LEVEL * ratios.shape[2] + 0.5)  # the quantile at which the tail begins
    for a in range(accelerators.shape[1]):
        accelerator = accelerators[i, a]
        if accelerator["job"] < 0 or now < accelerator["revision"]:
            continue
        choice, number = accelerator["choice"], jobs[i, accelerator["job"]]["believed_class"]
        row = 1 if settings[0]["skip_below"] > 0 and number == len(classes) - 1 else 0
        predicted, began = np.float64(pairs[number, choice]["predicted"]), accelerator["began"]
        ran, passed = now - began, accelerator["passed"]
        above = tail + 1
        while passed < above:  # the first quantile that the job has not outlived, up to the one where the tail begins
            middle = (passed + above) // 2
            if ran >= predicted * ratios[row, choice, middle]["ratio"]:
                passed = middle + 1
            else:
                above = middle
        accelerator["passed"] = passed
        if passed <= tail:
            expected = predicted * ratios[row, choice, passed]["mean_above"]
            unrevised = math.ceil(min(predicted * ratios[row, choice, passed]["ratio"], LATEST))
            accelerator["revision"] = began + np.int64(unrevised)
        else:
            last = ratios[row, choice, tail]
            expected = ran * (last["mean_above"] / last["ratio"])
            accelerator["revision"] = now
        longest = np.float64(ran + JOB_LIMIT)
        accelerator["believed_finish"] = began + np.int64(math.floor(min(expected, longest) + 0.5))
