"""Many environments at once, stepped by one compiled call: `gymnasium.make_vec` returns these by default."""

import time
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError, InvalidAction, ResetNeeded
from gnnsched_env.common.policy import BoolArray, FloatArray, IntArray
from gnnsched_env.envs.construction import make_batch
from gnnsched_env.envs.vector_input import action_array, as_autoreset_mode, lane_seeds, reset_mask, some_lanes
from gnnsched_env.scenario import Scenario
from gnnsched_env.sim import episode_metrics, summarise
from gnnsched_env.tables import LatencyTable

Infos = dict[str, Any]
Step = tuple[dict[str, FloatArray], NDArray[np.float64], BoolArray, BoolArray, Infos]


class SchedulingVectorEnv(VectorEnv[dict[str, FloatArray], IntArray, NDArray[Any]]):
    """`num_envs` lanes, each of which gives bit for bit the results of the single environment with its seed.

    Observations are float32 [L, n] by name, rewards float64 [L], terminations and truncations (always False) bool [L].
    `infos`: "action_mask" int8 [L, actions] (1 where legal), "elapsed" and "time" int64 [L] cycles, "legal" bool [L];
    when episodes end, also "metrics" (by name float64 [L]) and "episode" ("r" return, "l" steps, "t" seconds, [L]);
    each key has its mask "_key" bool [L].

    Lifetime: without `copy` the observations, "action_mask" and `action_masks()` are the simulator's own arrays, which
    the next `reset` or `step` overwrites: do not write to them, and copy what must outlive the next call. The caller
    owns everything else that is returned.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (as Gymnasium declares it)
    dispatch: ClassVar[bool]

    def __init__(
        self,
        num_envs: int = 1,
        scenario: str | Path | Scenario = "hetero4",
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        copy: bool = False,
        episode_statistics: bool = True,
        threads: int = 1,
        table: LatencyTable | None = None,
        **options: Any,
    ) -> None:
        """Make `num_envs` environments of a scenario; `table` and `options` are those of the single environment.

        `autoreset_mode`: the step after the end of an episode starts the lane's next one and ignores its action
        (NEXT_STEP), the step that ends it does (SAME_STEP; the end is in infos "final_obs" and "final_info"), or
        `reset(options={"reset_mask": mask})` does (DISABLED). `copy` returns copies. Without `episode_statistics`
        infos have no "episode" (Gymnasium's RecordEpisodeStatistics needs to write it itself). `threads` share the
        lanes. Raise ConfigError, naming the option, the rule and the value, if one is invalid.
        """
        if options.pop("render_mode", None) is not None:
            raise ConfigError("render_mode: a batch is not drawn; make a single environment with gymnasium.make")
        Integer(1).check("environment", "num_envs", num_envs)
        self.num_envs = int(num_envs)
        self.autoreset_mode = as_autoreset_mode(autoreset_mode)
        self.copy = bool(copy)
        self.episode_statistics = bool(episode_statistics)
        made = make_batch(
            scenario,
            dispatch=self.dispatch,
            lanes=self.num_envs,
            threads=threads,
            table=table,
            options=options,
        )
        self.scenario = made.scenario
        self.batch = made.batch
        self.table = self.batch.table
        self.layout = self.batch.layout
        self.single_observation_space = self.layout.observation_space()
        self.single_action_space = self.layout.action_space()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.metadata = {
            **self.metadata,
            "autoreset_mode": self.autoreset_mode,
            "reward_unit_cycles": made.reward_unit_cycles,
            "service_cycles": self.table.mean_shortest_predicted,
        }
        self._actions = np.zeros(self.num_envs, np.int64)
        self._seeds = np.zeros(self.num_envs, np.uint64)
        self._episodes = np.zeros(self.num_envs, np.uint64)
        self._which = np.zeros(self.num_envs, np.bool_)
        self._started = np.zeros(self.num_envs, np.bool_)  # has had a reset
        self._all_started = False
        self._over = np.zeros(self.num_envs, np.bool_)  # ended by the last step, and to be reset
        self._any_over = False
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, np.int64)
        self._start_times = np.zeros(self.num_envs)
        self._every = _read_only(np.ones(self.num_envs, np.bool_))

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, FloatArray], Infos]:
        """Start an episode in each lane, or where `options["reset_mask"]` (bool [L]) is True; other lanes stay.

        A number s seeds lane i with s + i; a sequence gives each lane's seed. A lane without a seed plays the next
        episode of its last one (a random seed is drawn the first time). "_key" masks in the infos mark the lanes that
        were reset; the values of the others are those of their last step.
        """
        which = reset_mask(options, self.num_envs)
        given, seeds = lane_seeds(seed, self.num_envs)
        if isinstance(seed, Integral):
            super().reset(seed=int(seed))
        unknown = which & ~given & ~self._started
        self._episodes[which & ~given & self._started] += np.uint64(1)
        self._episodes[which & given | unknown] = 0
        self._seeds[which & given] = seeds[which & given]
        if unknown.any():
            self._seeds[unknown] = self.np_random.integers(1 << 62, size=int(unknown.sum()), dtype=np.uint64)
        self._started |= which
        self._all_started = bool(self._started.all())
        self._over &= ~which
        self._any_over = bool(self._over.any())
        self._begin(which)
        return self._observe(), self._infos(self._every if which.all() else _read_only(which))

    def step(self, actions: Any) -> Step:
        """Take one action per lane (integers [L]), then run each lane to its next decision or its end.

        Raise InvalidAction for a bad action, and ResetNeeded if an episode must be started first; no lane moves in
        either case.
        """
        self._take(actions)
        self.batch.step(self._actions)
        beginning = self._any_over  # under NEXT_STEP; the other modes leave no lane over here
        if beginning:
            self._episodes[self._over] += np.uint64(1)
            self._begin(self._over)
        rewards = self.batch.rewards.copy()
        self._lengths += 1
        if beginning:
            self._lengths[self._over] = 0
        self._returns += rewards
        ended = self.batch.ended.copy()
        news = self._end(_read_only(ended.copy())) if ended.any() else {}
        if beginning and not news:
            self._over[:] = False
            self._any_over = False
        infos = self._infos(self._every)
        infos.update(news)
        return self._observe(), rewards, ended, np.zeros(self.num_envs, np.bool_), infos

    def action_masks(self) -> BoolArray:
        """Return bool [L, actions]: True where an action is legal, at least once per row."""
        return self.batch.mask.copy() if self.copy else self.batch.mask

    def _observe(self) -> dict[str, FloatArray]:
        if self.copy:
            return {name: array.copy() for name, array in self.batch.observation.items()}
        return dict(self.batch.observation)

    def _infos(self, which: BoolArray) -> Infos:
        """Return the infos that every step gives for every lane; `which` is the mask of each key."""
        batch = self.batch
        return {
            "action_mask": self.action_masks().view(np.int8),
            "_action_mask": which,
            "elapsed": batch.elapsed.copy(),
            "_elapsed": which,
            "legal": batch.legal.copy(),
            "_legal": which,
            "time": batch.times.copy(),
            "_time": which,
        }

    def _begin(self, which: BoolArray) -> None:
        """Start the episodes of `_seeds` and `_episodes` where `which` is True."""
        self._which[:] = which  # always the same kind of array, so that nothing is compiled anew
        self.batch.reset(self._seeds, self._episodes, self._which)
        self._returns[which] = 0.0
        self._lengths[which] = 0
        self._start_times[which] = time.perf_counter()

    def _end(self, ended: BoolArray) -> Infos:
        """Return the infos of the episodes that ended; under SAME_STEP, start the next ones."""
        metrics = self._metrics(ended)
        infos: Infos = {}
        if self.episode_statistics:
            seconds = np.round(time.perf_counter() - self._start_times, 6)
            infos["episode"] = {
                "r": np.where(ended, self._returns, 0.0),
                "l": np.where(ended, self._lengths, 0),
                "t": np.where(ended, seconds, 0.0),
            }
            infos["_episode"] = ended
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            infos.update(self._final(ended, metrics))
            self._episodes[ended] += np.uint64(1)
            self._begin(ended)
        else:
            infos["metrics"], infos["_metrics"] = metrics, ended
            self._over[:] = ended
            self._any_over = True
        return infos

    def _metrics(self, ended: BoolArray) -> Infos:
        """Return each metric of the episodes that ended, float64 [L], and its mask, as Gymnasium nests infos."""
        metrics: Infos = {}
        for lane in np.flatnonzero(ended).tolist():
            own = episode_metrics(self.batch.simulation, slice(lane, lane + 1))
            for name, value in summarise(own).items():
                metrics.setdefault(name, np.zeros(self.num_envs))[lane] = value
        return metrics | {f"_{name}": ended for name in metrics}

    def _final(self, ended: BoolArray, metrics: Infos) -> Infos:
        """Return the last observation and info of the episodes that ended, before their lanes start the next."""
        last = np.full(self.num_envs, None, dtype=object)
        for lane in np.flatnonzero(ended):
            last[lane] = {name: array[lane].copy() for name, array in self.batch.observation.items()}
        info: Infos = {"metrics": metrics, "_metrics": ended}
        for name, array in self._infos(ended).items():
            if array is not ended:
                info[name] = np.zeros_like(array)
                info[name][ended] = array[ended]
                info[f"_{name}"] = ended
        return {"final_obs": last, "_final_obs": ended, "final_info": info, "_final_info": ended}

    def _take(self, actions: Any) -> None:
        """Check the actions and write them into `_actions`."""
        if not self._all_started:
            raise ResetNeeded(f"step: call reset first; no episode is running in lanes {some_lanes(~self._started)}")
        if self._any_over and self.autoreset_mode is AutoresetMode.DISABLED:
            raise ResetNeeded(
                f"step: the episodes of lanes {some_lanes(self._over)} have ended and autoreset is disabled; "
                "start their next ones with reset(options={'reset_mask': mask})"
            )
        given = action_array(actions, self.num_envs)
        count = self.layout.num_actions
        self._actions[:] = given
        if self._actions.view(np.uint64).max() >= count:  # negative ones are the largest
            bad = (self._actions < 0) | (self._actions >= count)
            if self._any_over:  # their actions are ignored
                bad &= ~self._over
                self._actions[self._over] = 0
            if bad.any():
                lane = int(bad.argmax())
                raise InvalidAction(f"actions must be integers in [0, {count}), got {given[lane]} in lane {lane}")


class DispatchVectorEnv(SchedulingVectorEnv):
    """A batch of `gnnsched/Dispatch-v0`; see `DispatchEnv` for what an action means."""

    dispatch = True


class QueueVectorEnv(SchedulingVectorEnv):
    """A batch of `gnnsched/Queue-v0`; see `QueueEnv` for what an action means."""

    dispatch = False


def _read_only(mask: BoolArray) -> BoolArray:
    mask.flags.writeable = False
    return mask
