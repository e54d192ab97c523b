"""least_loaded: the oldest job goes to the accelerator with the fewest jobs, now or so far."""

import numpy as np

from gnnsched_baselines.actions import NOBODY, first_open, send_oldest, static_choices_of
from gnnsched_baselines.decoding import jobs_present, open_accelerators
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout


class LeastLoaded:
    """Send the oldest job to the accelerator with the fewest jobs, running or queued, static dataflow.

    In Queue-v0 an idle accelerator has none, so there it is the idle one that has been given the fewest jobs so far.
    """

    name = "least_loaded"
    knowledge = Knowledge.NONE
    routing = Routing.BLIND
    environments = frozenset({"dispatch", "queue"})

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.choices = static_choices_of(layout)
        self.reset()

    def reset(self) -> None:
        """Reset the counts of jobs sent so far; a changed number of lanes resets them too."""
        self._given = np.zeros((0, self.layout.num_accelerators), np.int64)

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        load = jobs_present(observation, self.layout) if self.layout.dispatch else self._jobs_given(len(mask))
        chosen = first_open(load, open_accelerators(mask, self.layout))
        if not self.layout.dispatch:
            lanes = np.flatnonzero(chosen != NOBODY)
            self._given[lanes, chosen[lanes]] += 1
        return send_oldest(self.layout, observation, mask, chosen, self.layout.static_columns)

    def _jobs_given(self, lanes: int) -> IntArray:
        if len(self._given) != lanes:
            self._given = np.zeros((lanes, self.layout.num_accelerators), np.int64)
        return self._given
