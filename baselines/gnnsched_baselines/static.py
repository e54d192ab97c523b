"""static: one dataflow everywhere."""

import numpy as np

from gnnsched_baselines.actions import NOBODY, first_open, send_oldest
from gnnsched_baselines.decoding import jobs_present, open_accelerators
from gnnsched_env.common.checks import Integer
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout


class Static:
    """Run every job under one dataflow, on the accelerators that support it.

    The oldest job goes to the one of them with the fewest jobs (in Queue-v0 to the first idle one, else it waits). The
    dataflow is that of `choice`; by default that of the choice that was best on average over the predictor's training
    set (ties: the lowest).
    """

    name = "static"
    knowledge = Knowledge.NONE
    routing = Routing.BLIND
    environments = frozenset({"dispatch", "queue"})

    def __init__(self, layout: Layout, *, choice: int | None = None) -> None:
        chosen = int(np.argmin(layout.mean_log_cycles)) if choice is None else choice
        chosen = Integer(0, layout.num_choices - 1).check(self.name, "choice", chosen)
        self.layout = layout
        self.dataflow = dataflow_names(layout.choice_names)[chosen]
        self._columns = np.full(layout.num_accelerators, NOBODY, np.int64)
        for own in dataflow_choices(layout.choice_names)[self.dataflow]:
            accelerator = layout.choice_accelerators[own]
            self._columns[accelerator] = own if layout.choose_dataflow else accelerator
        self.choices = self._possible_choices()

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        load = np.zeros((len(mask), self.layout.num_accelerators), np.int64)
        if self.layout.dispatch:
            load = jobs_present(observation, self.layout)
        available = open_accelerators(mask, self.layout) & (self._columns != NOBODY)
        return send_oldest(self.layout, observation, mask, first_open(load, available), self._columns)

    def _possible_choices(self) -> tuple[int, ...]:
        """Return the choices in use; if the environment chooses the dataflow, all choices of those accelerators."""
        if self.layout.choose_dataflow:
            return tuple(self._columns[self._columns != NOBODY].tolist())
        owners = self.layout.choice_accelerators
        return tuple(choice for choice, owner in enumerate(owners) if self._columns[owner] != NOBODY)


def dataflow_names(choice_names: tuple[str, ...]) -> list[str]:
    """Return the dataflow of each choice, from names of the form accelerator/dataflow."""
    return [name.rpartition("/")[2] for name in choice_names]


def dataflow_choices(choice_names: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Return the choices of each dataflow, one for each accelerator that supports it."""
    choices: dict[str, tuple[int, ...]] = {}
    for choice, dataflow in enumerate(dataflow_names(choice_names)):
        choices[dataflow] = (*choices.get(dataflow, ()), choice)
    return choices
