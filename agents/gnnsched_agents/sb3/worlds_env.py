"""A `VecEnv` for training: endless lanes with different workloads and loads, observed as padded rows."""

from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from gnnsched_agents.lanes import Lanes
from gnnsched_agents.sb3.pair_env import Rows, masks_of, rows_space
from gnnsched_agents.sb3.vec_env import MASKS
from gnnsched_agents.worlds import Workloads, World
from gnnsched_baselines.assignment_playing import AssignmentPlayer
from gnnsched_baselines.learned.pair_network import Network
from gnnsched_env.common.checks import Integer, Number
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.common.policy import FloatArray


class WorldsVecEnv(VecEnv):
    """`worlds` x `lanes` lanes of Queue-v0, observed as in `PairVecEnv`; each world has its own workload and load.

    Lanes begin at moments spread over an episode; one that ends begins its next episode in the same step. `redraw`
    replaces the oldest world. An illegal action waits, or takes the first legal one, as in the environment.

    Rewards are differential: the reward plus the average loss of `assignment` in that world over the same time, divided
    by that average rate and by `scale`. The added term depends on the policy only through the makespan, which hardly
    varies; it removes the drift that an undiscounted value could not follow in long episodes, and makes light and heavy
    loads count alike. "episode" in the infos has the environment's own return since the lane's episode began here ("r",
    in mean services) and its decisions ("l"); "elapsed" is in mean services.
    """

    def __init__(
        self,
        workloads: Workloads,
        network: Network,
        *,
        worlds: int = 8,
        lanes: int = 8,
        scale: float = 10.0,
        seed: int = 0,
    ) -> None:
        """Draw the worlds; `network` plays their lanes up to their starting points. Equal seeds give equal worlds."""
        worlds, lanes = (Integer(1).check("worlds", *given) for given in (("worlds", worlds), ("lanes", lanes)))
        self.scale = Number(above=0).check("worlds", "scale", scale)
        self.rng = np.random.default_rng((seed, 11))
        self.lanes = Lanes(workloads, worlds, lanes, self.rng, network)
        self.rates = np.array([self._rate(world) for world in self.lanes.worlds])
        self._oldest = 0
        self._returns = np.zeros(len(self.lanes))
        self._lengths = np.zeros(len(self.lanes), np.int64)
        self._actions: NDArray[np.integer[Any]] | None = None
        layout = self.lanes.worlds[0].layout
        super().__init__(len(self.lanes), rows_space(layout), spaces.Discrete(layout.num_actions))
        self._rows = Rows(layout)
        self._observation = self._observe()

    def reset(self) -> FloatArray:
        """Return the rows of the lanes in their present state; seeds are set on construction only."""
        if any(self._options):
            raise ConfigError(f"reset: the environments have no options to reset with, got {self._options!r}")
        self._reset_seeds()
        self._actions = None
        return self._observation

    def step_async(self, actions: NDArray[np.integer[Any]]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Take the actions given and return the rows that follow; rewards are float32 [L]."""
        if self._actions is None:
            raise GnnSchedError("step_wait: give the actions to step_async first")
        rewards, elapsed, ended = self.lanes.step(self._rows.chosen(self._actions))
        self._actions = None
        self._returns += rewards
        self._lengths += 1
        rates = np.repeat(self.rates, self.lanes.lanes_each)
        infos: list[dict[str, Any]] = [{"elapsed": time, "TimeLimit.truncated": False} for time in elapsed.tolist()]
        for lane in np.flatnonzero(ended).tolist():
            told = {"r": float(self._returns[lane]), "l": int(self._lengths[lane])}
            infos[lane]["terminal_observation"] = np.zeros(self.observation_space.shape or (), np.float32)
            infos[lane]["episode"] = told
            self._returns[lane], self._lengths[lane] = 0.0, 0
        self._observation = self._observe()
        differential = ((rewards / rates + elapsed) / self.scale).astype(np.float32)
        return self._observation, differential, ended, infos

    def redraw(self, network: Network) -> FloatArray:
        """Replace the oldest world, whose new lanes `network` plays to their starting points; return all rows."""
        number = self._oldest
        self.lanes.redraw(number, network)
        self.rates[number] = self._rate(self.lanes.worlds[number])
        own = slice(number * self.lanes.lanes_each, (number + 1) * self.lanes.lanes_each)
        self._returns[own], self._lengths[own] = 0.0, 0
        self._oldest = (number + 1) % len(self.lanes.worlds)
        self._observation = self._observe()
        return self._observation

    def action_masks(self) -> NDArray[np.bool_]:
        """Return bool [L, actions]: True where an action is legal."""
        return masks_of(self._observation)

    def close(self) -> None:
        """Do nothing: the lanes hold nothing to close."""

    def has_attr(self, attr_name: str) -> bool:
        """Return whether every lane has an attribute: only `action_masks` exists."""
        return attr_name == MASKS

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the lanes: "render_mode", which is None."""
        if attr_name != "render_mode":
            raise AttributeError(f"the lanes of worlds have no attribute {attr_name!r}")
        return [None for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Raise an error: the lanes have no attributes to set."""
        raise AttributeError(f"the lanes of worlds have no attributes to set, got {attr_name!r}")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the lanes: "action_masks" (bool [actions] each)."""
        if method_name != MASKS or method_args or method_kwargs:
            raise AttributeError(f"the lanes of worlds have no method {method_name!r} of their own, only {MASKS!r}")
        masks = self.action_masks()
        return [masks[lane] for lane in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Return False for each lane."""
        return [False for _ in self._get_indices(indices)]

    def _observe(self) -> FloatArray:
        self.lanes.describe()
        readers = self.lanes.readers
        pairs = [reader.pairs[: reader.starts[-1]] for reader in readers]
        return self._rows.place(self.lanes.rows, np.concatenate(pairs), self.lanes.starts)

    def _rate(self, world: World) -> float:
        return assignment_rate(world, self.rng.integers(1 << 62, size=self.lanes.lanes_each, dtype=np.uint64))


def assignment_rate(world: World, seeds: NDArray[np.uint64]) -> float:
    """Return the loss of `assignment` per mean service in a world, averaged over an episode of each seed; above 0.

    If only completion is charged, this is the mean number of jobs in the system. The world is left unchanged.
    """
    simulation = deepcopy(world.simulation)
    lanes = simulation.num_lanes
    simulation.reset(seeds, np.zeros(lanes, np.uint64), np.ones(lanes, np.bool_))
    player = AssignmentPlayer(simulation, world.layout)
    lost = 0.0
    while not (ended := simulation.lanes["ended"].astype(np.bool_)).all():
        simulation.step(player.actions())
        lost -= float(simulation.lanes["reward"][~ended].sum())
    return max(lost / max(float(simulation.lanes["time"].sum()) / world.unit, 1.0), 1e-3)
