"""Queue-v0 as padded rows of features, on which Stable-Baselines3's algorithms train the shared pair network."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from gnnsched_agents.sb3.vec_env import Sb3VecEnv
from gnnsched_baselines.learned.pair_features import NUM_FEATURES, known_machines
from gnnsched_baselines.learned.player import Reader, row_actions
from gnnsched_env.common.errors import ConfigError, InvalidAction
from gnnsched_env.common.policy import FloatArray, IntArray
from gnnsched_env.envs import EnvBatch, Layout
from gnnsched_env.envs.vector_input import action_array
from gnnsched_env.registration import QUEUE_ID

BOUND = 64.0  # bound on features: logarithms of int64 cycles, shares times the number of accelerators
COLUMNS = NUM_FEATURES + 1  # the last column is 1 in the rows of legal actions, 0 in all others


def rows_space(layout: Layout) -> spaces.Box:
    """Return the space of one lane's rows: float32 [actions, COLUMNS], row k is action k."""
    bound = max(BOUND, layout.num_accelerators)
    return spaces.Box(-bound, bound, (layout.num_actions, COLUMNS), np.float32)


def masks_of(observation: FloatArray) -> NDArray[np.bool_]:
    """Return bool [..., actions]: which actions are legal according to rows [..., actions, COLUMNS]."""
    return observation[..., -1] > 0.5


class Rows:
    """Places packed rows at their actions' indices, and maps an action back to its row."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._numbers: IntArray = np.zeros((0, layout.num_actions), np.int64)

    def place(self, rows: FloatArray, pairs: IntArray, starts: IntArray) -> FloatArray:
        """Return float32 [L, actions, COLUMNS]: the rows of the legal actions, zeros elsewhere and in ended lanes.

        `rows` float32 [n, F], `pairs` int64 [n, 2] and `starts` int64 [L + 1] as a Reader's.
        """
        layout, shape = self.layout, (len(starts) - 1, self.layout.num_actions)
        lanes = np.repeat(np.arange(shape[0]), np.diff(starts))
        actions = row_actions(layout, pairs)
        observation = np.zeros((*shape, COLUMNS), np.float32)
        observation[lanes, actions, :-1] = rows
        observation[lanes, actions, -1] = 1.0
        self._numbers = np.full(shape, -1)
        self._numbers[lanes, actions] = np.arange(len(rows))
        return observation

    def chosen(self, actions: NDArray[np.integer[Any]]) -> IntArray:
        """Return int64 [L]: the rows, of those last placed, that actions [L] take; an illegal one waits.

        If waiting is illegal, it takes the first legal action, as in the environment. Raise InvalidAction if an action
        is not in the action space.
        """
        given = action_array(actions, len(self._numbers))
        if (given < 0).any() or (given >= self._numbers.shape[1]).any():
            raise InvalidAction(f"actions must be in [0, {self._numbers.shape[1]}), got {given.tolist()}")
        numbers = np.take_along_axis(self._numbers, given.astype(np.int64)[:, np.newaxis], axis=1)[:, 0]
        waits = self._numbers[:, self.layout.wait_action]
        first = np.take_along_axis(self._numbers, (self._numbers >= 0).argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
        chosen: IntArray = np.where(numbers >= 0, numbers, np.where(waits >= 0, waits, first))
        return chosen


class PairVecEnv(Sb3VecEnv):
    """Lanes of Queue-v0 under `dataflow="predicted_best"` that are observed as rows of features.

    An observation is float32 [actions, COLUMNS]: row k holds the features of action k (`pair_features.Columns`), and
    its last column shows whether the action is legal, so that algorithms without masks can skip illegal ones. It is
    computed from the environment's own observation. The "terminal_observation" of an episode is all zeros, as no action
    is left. Everything else is as in `Sb3VecEnv`; "elapsed" in the infos is in cycles.
    """

    def __init__(self, num_envs: int = 1, **options: Any) -> None:
        """Make the batch; `options` are those of the single environment and `threads`, with the same errors."""
        if options.pop("dataflow", "predicted_best") != "predicted_best":
            raise ConfigError("PairVecEnv: a row names a slot and an accelerator, dataflow must be 'predicted_best'")
        if options.pop("waiting", "free") != "free":
            raise ConfigError("PairVecEnv: a row stands for waiting, waiting must be 'free'")
        if options.get("max_episode_steps") is not None:
            raise ConfigError("PairVecEnv: does not keep a truncated episode's last rows, leave max_episode_steps out")
        super().__init__(QUEUE_ID, num_envs, dataflow="predicted_best", waiting="free", **options)
        batch = self.batch.batch
        if not isinstance(batch, EnvBatch):
            raise ConfigError(f"PairVecEnv: scenario must be one, got {len(batch.parts)} of them")
        self.unit = float(batch.table.mean_shortest_predicted)
        simulation, layout = batch.simulation, batch.layout
        groups, machines = known_machines(simulation.table, pools=True)
        self._reader = Reader(simulation, layout, machines, self.unit, groups=groups, pools=True)
        self._rows = Rows(layout)
        self.observation_space = rows_space(layout)

    def reset(self) -> FloatArray:
        """Start an episode in every lane and return its rows."""
        super().reset()
        return self._observe()

    def step_wait(self) -> VecEnvStepReturn:
        """Take the actions given and return the rows that follow."""
        _, rewards, ended, infos = super().step_wait()
        for lane in np.flatnonzero(ended).tolist():
            infos[lane]["terminal_observation"] = np.zeros(self.observation_space.shape or (), np.float32)
        return self._observe(), rewards, ended, infos

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the lanes; the observation space is that of the rows."""
        if attr_name == "observation_space":
            return [self.observation_space for _ in self._lanes(indices)]
        return super().get_attr(attr_name, indices)

    def _observe(self) -> FloatArray:
        count = self._reader.describe()
        return self._rows.place(self._reader.rows[:count], self._reader.pairs[:count], self._reader.starts)
