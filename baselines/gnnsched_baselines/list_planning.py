"""List planning: assigns waiting jobs to accelerators one by one, by believed free times, and picks one to start."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import helper, kernel
from gnnsched_env.common.policy import BoolArray, IntArray


@kernel
def first_starts(
    latencies: NDArray[np.float64],
    remaining: NDArray[np.float64],
    idle: BoolArray,
    waiting: IntArray,
    latest: bool,
    slots: IntArray,
    accelerators: IntArray,
) -> None:
    """Write the job and the accelerator that each lane starts; a lane that waits keeps what stands there.

    Repeatedly, the job with the smallest (`latest`: the largest) completion on its best accelerator is planned
    there; the first one planned on an idle accelerator, with nothing planned there before it, starts. Ties take
    the lowest slot, then the lowest accelerator. `latencies` float64 [L, n, A], `remaining` float64 [L, A], `idle`
    bool [L, A], `waiting` int64 [L]; `slots` and `accelerators` int64 [L] are written.
    """
    free = np.empty(remaining.shape[1])
    planned = np.empty(latencies.shape[1], np.bool_)
    for i in range(len(latencies)):
        if not idle[i].any():
            continue
        free[:] = remaining[i]
        planned[:] = False
        for _ in range(waiting[i]):
            slot, accelerator = _next_planned(latencies[i], free, planned, waiting[i], latest)
            if idle[i, accelerator]:  # it has no earlier job, which would have started instead
                slots[i], accelerators[i] = slot, accelerator
                break
            free[accelerator] += latencies[i, slot, accelerator]
            planned[slot] = True


@helper
def _next_planned(
    latencies: NDArray[np.float64], free: NDArray[np.float64], planned: BoolArray, waiting: int, latest: bool
) -> tuple[int, int]:
    """Return the next job to be planned and the accelerator where it completes first."""
    chosen, slot, accelerator = -np.inf if latest else np.inf, 0, 0
    for w in range(waiting):
        if planned[w]:
            continue
        best = 0
        for a in range(1, len(free)):
            if free[a] + latencies[w, a] < free[best] + latencies[w, best]:
                best = a
        completion = free[best] + latencies[w, best]
        if (completion > chosen) if latest else (completion < chosen):
            chosen, slot, accelerator = completion, w, best
    return slot, accelerator
