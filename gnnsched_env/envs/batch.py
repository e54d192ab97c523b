"""A batch of environments over one simulation: observations, masks and rewards; the single env is a batch of one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.envs import kernels
from gnnsched_env.envs.encoding import encode_cycles
from gnnsched_env.envs.spaces import Layout
from gnnsched_env.errors import ConfigError, InvalidAction
from gnnsched_env.policy import BoolArray, FloatArray
from gnnsched_env.sim import Simulation, SimulationSettings, fleet_capacity, seed_arrays
from gnnsched_env.tables import LatencyTable


class EnvBatch:
    """L environments that move from decision to decision together.

    `observation` (float32 [L, n] by name) and `mask` (bool [L, actions]) are written in place by `reset` and `step`:
    copy what must outlive the next call. Rewards are float64 [L]; a lane that has ended stays as it is.
    The table given is of one inference; `table` is of a job, `settings.repeats` inferences.
    """

    def __init__(
        self,
        table: LatencyTable,
        settings: SimulationSettings,
        *,
        lanes: int = 1,
        reconfiguration: Sequence[int] | None = None,
    ) -> None:
        self.simulation = Simulation(table, settings, lanes=lanes, reconfiguration=reconfiguration)
        self.table = table = self.simulation.table
        self.layout = Layout(
            window=settings.window,
            choice_accelerators=tuple(table.choice_accelerators.tolist()),
            mean_log_cycles=tuple(table.mean_log_cycles.tolist()),
            choice_names=table.choice_names,
            dispatch=settings.dispatch,
            choose_dataflow=settings.choose_dataflow,
        )
        self.observation: dict[str, FloatArray] = {
            name: np.zeros((lanes, size), np.float32) for name, size in self.layout.sizes.items()
        }
        self.mask: BoolArray = np.zeros((lanes, self.layout.num_actions), np.bool_)
        self.mask[:, 0 if settings.dispatch else -1] = True  # something is legal before the first reset too
        self._all = np.ones(lanes, np.bool_)
        predicted = self.simulation.predicted
        prices = fleet_capacity(predicted, table.weights, table.choice_accelerators).prices.astype(np.float32)
        self._encoder = (
            self.simulation.settings,
            self.simulation.classes,
            encode_cycles(np.stack([predicted.min(axis=1), predicted.max(axis=1)], axis=1)),
            encode_cycles(predicted),
            self.layout.column_accelerators,
            _configuration_codes(table.choice_accelerators),
            prices,
            self.simulation.lanes,
            self.simulation.accelerators,
            self.simulation.jobs,
            self.simulation.queue,
            *(self.observation[name] for name in ("slots", "latencies", "accelerators", "system")),
            self.mask,
        )

    @property
    def rewards(self) -> NDArray[np.float64]:
        """Return float64 [L]: minus the jobs in the system, integrated over the last step, in the reward's unit."""
        rewards: NDArray[np.float64] = self.simulation.lanes["reward"]
        return rewards

    @property
    def ended(self) -> BoolArray:
        """Return bool [L]: the lanes whose jobs are all done."""
        ended: BoolArray = self.simulation.lanes["ended"].view(np.bool_)
        return ended

    def reset(
        self, seeds: Sequence[int], episodes: Sequence[int] | None = None, which: BoolArray | None = None
    ) -> None:
        """Start an episode in each lane (or where `which` is True), keyed by its seed and episode number."""
        if len(seeds) != self.simulation.num_lanes or (episodes is not None and len(episodes) != len(seeds)):
            raise ConfigError(f"reset: needs a seed for each of {self.simulation.num_lanes} lanes, got {len(seeds)}")
        keys = seed_arrays(seeds, [0] * len(seeds) if episodes is None else episodes)
        self.simulation.reset(*keys, self._all if which is None else which)
        kernels.encode(*self._encoder)

    def step(self, actions: NDArray[np.int64]) -> None:
        """Take one action a lane and run each lane to its next decision."""
        if actions.shape != self._all.shape or actions.dtype != np.int64:
            expected = f"int64 of shape {self._all.shape}"
            raise InvalidAction(f"actions must be {expected}, got {actions.dtype} of shape {actions.shape}")
        self.simulation.step(actions)
        kernels.encode(*self._encoder)


def _configuration_codes(owners: NDArray[np.int64]) -> FloatArray:
    """Return float32 [K]: each choice's place among its accelerator's, (place + 1) / (choices there); 0 means none."""
    codes = np.zeros(len(owners), np.float32)
    for accelerator in np.unique(owners):
        own = np.flatnonzero(owners == accelerator)
        codes[own] = (np.arange(len(own)) + 1) / len(own)
    return codes
