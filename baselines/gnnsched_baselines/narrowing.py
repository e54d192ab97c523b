"""Narrow a wide fleet to the accelerators that matter: of each kind, those that are free soonest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.decoding import Beliefs
from gnnsched_baselines.soonest import keep_soonest
from gnnsched_env.common.compiled import kernel
from gnnsched_env.common.policy import BoolArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class NearFleet:
    """M accelerators in each of L lanes, in order; `numbers` int64 [L, M] are theirs in the fleet (None: all of it).

    `latencies` float64 [L, n, M], `remaining` float64 [L, M] and `open` bool [L, M] as in `Beliefs`.
    """

    numbers: IntArray | None
    latencies: NDArray[np.float64]
    remaining: NDArray[np.float64]
    open: BoolArray

    def number_of(self, places: IntArray) -> IntArray:
        """Return the accelerators int64 [L] at these places [L] of the M."""
        if self.numbers is None:
            return places
        found: IntArray = self.numbers[np.arange(len(places)), places]
        return found


def soonest_of_kinds(beliefs: Beliefs, most: int) -> NearFleet:
    """Return at most `most` accelerators of each kind, those that are free soonest (ties: the lowest).

    A rule that takes the soonest completion, ties the lowest accelerator, and uses at most `most` of a kind, decides
    the same on them: on an accelerator that is free later, equal in all else, nothing completes sooner. (Two times that
    differ by less than a sum's last bit could tie in the sum; encoded times differ by three parts in a million.)
    """
    kinds = beliefs.kinds
    lanes, shown, _ = beliefs.of_kinds.shape
    count = int(np.minimum(kinds.sizes, most).sum())
    if count == len(kinds.of):
        return NearFleet(numbers=None, latencies=beliefs.latencies, remaining=beliefs.remaining, open=beliefs.open)
    numbers = np.empty((lanes, max(count, most)), np.int64)
    near = NearFleet(
        numbers=numbers[:, :count],
        latencies=np.empty((lanes, shown, count)),
        remaining=np.empty((lanes, count)),
        open=np.empty((lanes, count), np.bool_),
    )
    _narrow(
        beliefs.of_kinds, beliefs.remaining, beliefs.open, kinds.of, kinds.members, kinds.starts, most,
        np.empty(len(kinds.of), np.bool_), numbers, near.latencies, near.remaining, near.open,
    )  # fmt: skip
    return near


@kernel
def _narrow(
    of_kinds: NDArray[np.float64],
    remaining: NDArray[np.float64],
    idle: BoolArray,
    kind_of: IntArray,
    members: IntArray,
    starts: IntArray,
    most: int,
    kept: BoolArray,
    numbers: IntArray,
    near_latencies: NDArray[np.float64],
    near_remaining: NDArray[np.float64],
    near_idle: BoolArray,
) -> None:
    """Write `numbers` and what `NearFleet` holds of them; `kept` bool [A] is scratch."""
    for i in range(len(of_kinds)):
        count = keep_soonest(remaining[i], members, starts, most, kept, numbers[i])
        for m in range(count):
            a = numbers[i, m]
            near_remaining[i, m] = remaining[i, a]
            near_idle[i, m] = idle[i, a]
            for w in range(of_kinds.shape[1]):
                near_latencies[i, w, m] = of_kinds[i, w, kind_of[a]]
