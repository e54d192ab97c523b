"""Many environments at once, stepped by one compiled call: `gymnasium.make_vec` returns these by default."""

import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gnnsched_env.common.checks import Flag, Integer, check_known
from gnnsched_env.common.errors import ConfigError, InvalidAction, ResetNeeded
from gnnsched_env.common.policy import BoolArray, FloatArray, IntArray
from gnnsched_env.envs.construction import Construction, PlainSpec, make_batch
from gnnsched_env.envs.env_batch import Observed
from gnnsched_env.envs.joined_batch import JoinedBatch
from gnnsched_env.envs.vector_input import action_array, as_autoreset_mode, lane_seeds, reset_mask, some_lanes
from gnnsched_env.scenario import Scenario
from gnnsched_env.scenario.scenario import UNEXPECTED, option_names
from gnnsched_env.sim import METRICS, summarise
from gnnsched_env.sim.records import NEVER
from gnnsched_env.sim.state import MOST_LANES
from gnnsched_env.tables import LatencyTable

OWN_OPTIONS = (
    *("scenario", "table", "autoreset_mode", "copy", "consecutive_seeds", "max_episode_steps"),
    *("episode_statistics", "threads"),
)
SHARED = {  # attributes that `set_attr` cannot set: their name in a single environment, and in the batch
    "action_space": "single_action_space",
    "observation_space": "single_observation_space",
    **{name: name for name in ("dispatch", "layout", "metadata", "render_mode", "scenario", "spec", "table")},
}

AnyScenario = str | Path | Scenario | Mapping[str, Any]
Infos = dict[str, Any]
Step = tuple[Observed, NDArray[np.float64], BoolArray, BoolArray, Infos]


class SchedulingVectorEnv(PlainSpec, VectorEnv[Observed, IntArray, NDArray[Any]]):
    """`num_envs` lanes, each of which gives bit for bit the results of the single environment with its seed.

    Observations are float32 [L, n] by name, or one array [L, ...] by the option `observation`; rewards float64 [L],
    terminations and truncations bool [L].
    `infos`: "action_mask" int8 [L, actions] (1 where legal), "elapsed" and "time" int64 [L] cycles, "legal" bool [L],
    and by their names the metrics of `sim.summarise` ("mean_completion", "makespan", ..., float64 [L]), 0 where no
    episode has just ended; when episodes end, also "episode" ("r" return, "l" steps, "t" seconds, [L]); each key has
    its mask "_key" bool [L].

    Lifetime: with `copy=False` the observations, "action_mask" and `action_masks()` are the simulator's own arrays,
    which the next `reset` or `step` overwrites: do not write to them, and copy what must outlive the next call. The
    metrics are read-only where all are 0. The caller owns everything else that is returned.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (as Gymnasium declares it)
    dispatch: ClassVar[bool]

    def __init__(
        self,
        num_envs: int = 1,
        scenario: AnyScenario | Sequence[AnyScenario] = "hetero4",
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        consecutive_seeds: bool = False,
        max_episode_steps: int | None = None,
        episode_statistics: bool = True,
        threads: int = 1,
        table: LatencyTable | None = None,
        **options: Any,
    ) -> None:
        """Make `num_envs` environments of a scenario; `table` and `options` are those of the single environment.

        The lanes are divided, in order, among several scenarios (as `scenario.varied_scenarios` returns), whose
        observations and actions must be equal; `options` change each of them. `scenario`, `table` and the cycles in
        `metadata` are tuples with an entry for each lane where the scenarios differ in them.
        `autoreset_mode`: the step after the end of an episode starts the lane's next one and ignores its action
        (NEXT_STEP), the step that ends it does (SAME_STEP; the end is in infos "final_obs" and "final_info"), or
        `reset(options={"reset_mask": mask})` does (DISABLED). `copy=False` saves the time of copying observations and
        masks (see Lifetime). With `consecutive_seeds`, `reset(seed=s)` seeds lane i with s + i, as Gymnasium's
        SyncVectorEnv does, so that lane 1 plays what lane 0 plays under the next seed. After `max_episode_steps` steps
        an episode is truncated. Without `episode_statistics` infos have no "episode" (Gymnasium's
        RecordEpisodeStatistics needs to write it itself). `threads` share the lanes. Raise ConfigError, naming the
        option, the rule and the value, if one is invalid.
        """
        if options.pop("render_mode", None) is not None:
            raise ConfigError("render_mode: a batch is not drawn; make a single environment with gymnasium.make")
        check_known("environment", options, (*OWN_OPTIONS, *option_names()), kind=UNEXPECTED)
        self.num_envs = int(Integer(1, MOST_LANES).check("environment", "num_envs", num_envs))
        self.autoreset_mode = as_autoreset_mode(autoreset_mode)
        if max_episode_steps is not None:
            max_episode_steps = int(Integer(1, NEVER).check("environment", "max_episode_steps", max_episode_steps))
        self.max_episode_steps = max_episode_steps
        flag = Flag()
        self.copy: bool = flag.check("environment", "copy", copy)
        self.consecutive_seeds: bool = flag.check("environment", "consecutive_seeds", consecutive_seeds)
        self.episode_statistics: bool = flag.check("environment", "episode_statistics", episode_statistics)
        made = self._make(scenario, threads=threads, table=table, options=options)
        self.batch = made[0].batch if len(made) == 1 else JoinedBatch([one.batch for one in made])
        self.layout = self.batch.layout
        of_lanes = [one for one in made for _ in range(one.batch.simulation.num_lanes)]
        self.scenario = _shared([one.scenario for one in of_lanes])
        self.table = _shared([one.batch.table for one in of_lanes])
        self.single_observation_space = self.layout.observation_space()
        self.single_action_space = self.layout.action_space()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.metadata = {
            **self.metadata,
            "autoreset_mode": self.autoreset_mode,
            "reward_unit_cycles": _shared([one.reward_unit_cycles for one in of_lanes]),
            "service_cycles": _shared([one.batch.table.mean_shortest_predicted for one in of_lanes]),
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
        self._zeros = _read_only(np.zeros(self.num_envs))
        self._no_metrics = self._no_metrics_of(self._every)
        self._own: dict[str, tuple[Any, ...]] = {}  # attributes of lanes that `set_attr` set

    def _make(
        self, scenario: AnyScenario | Sequence[AnyScenario], *, table: LatencyTable | None, **given: Any
    ) -> list[Construction]:
        """Return the batch of a scenario, or those of several, among which the lanes are divided in order."""
        scenarios = list(scenario) if isinstance(scenario, list | tuple) else [cast(AnyScenario, scenario)]
        if len(scenarios) > 1 and table is not None:
            raise ConfigError("table: each of several scenarios has its own; give it to `Scenario(table=...)`")
        if not 1 <= len(scenarios) <= self.num_envs:
            raise ConfigError(
                f"environment: scenario must be one, or 1 to {self.num_envs} of them (num_envs), got {len(scenarios)}"
            )
        bounds = [self.num_envs * number // len(scenarios) for number in range(len(scenarios) + 1)]
        return [
            make_batch(one, dispatch=self.dispatch, lanes=stop - first, table=table, **given)
            for one, (first, stop) in zip(scenarios, pairwise(bounds), strict=True)
        ]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observed, Infos]:
        """Start an episode in each lane, or where `options["reset_mask"]` (bool [L]) is True; other lanes stay.

        A number seeds all lanes (`vector_input.spawn_seeds` returns what it gives each); a sequence gives each lane's
        seed, with which it plays what the single environment plays. A lane without a seed plays the next episode of its
        last one (a random seed is drawn the first time). "_key" masks in the infos mark the lanes that
        were reset; the values of the others are those of their last step.
        """
        which = reset_mask(options, self.num_envs)
        given, seeds = lane_seeds(seed, self.num_envs, consecutive=self.consecutive_seeds)
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
        truncated = np.zeros(self.num_envs, np.bool_)
        if self.max_episode_steps is not None:
            np.logical_and(self._lengths >= self.max_episode_steps, ~ended, out=truncated)
        over = ended | truncated
        news = self._end(_read_only(over), ended) if over.any() else {}
        if beginning and not news:
            self._over[:] = False
            self._any_over = False
        infos = self._infos(self._every)
        infos.update(news)
        return self._observe(), rewards, ended, truncated, infos

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return what a method of each lane returns ("action_masks"), or each lane's value of an attribute.

        These are the attributes of the environments (`SHARED`) and those that `set_attr` set.
        """
        if name == "action_masks":
            return tuple(self.action_masks(*args, **kwargs))
        if name in self._own:
            return self._own[name]
        if name not in SHARED:
            known = ", ".join(["action_masks", *SHARED, *self._own])
            raise AttributeError(f"the lanes of a batch have no {name!r}, only {known}")
        value = getattr(self, SHARED[name])
        if name == "metadata":
            return tuple(
                {key: entry[lane] if isinstance(entry, tuple) else entry for key, entry in value.items()}
                for lane in range(self.num_envs)
            )
        return value if name in ("scenario", "table") and isinstance(value, tuple) else (value,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return each lane's value of an attribute, as `call` does."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of the lanes: a list or tuple has each lane's value, anything else is every lane's.

        Raise AttributeError for what all lanes share, and ValueError for a list of another length.
        """
        if name in SHARED or name == "action_masks":
            raise AttributeError(f"the lanes of a batch share {name!r}; it cannot be set")
        given = tuple(values) if isinstance(values, list | tuple) else (values,) * self.num_envs
        if len(given) != self.num_envs:
            raise ValueError(f"{name}: needs a value for each of {self.num_envs} lanes, got {len(given)}")
        self._own[name] = given

    def action_masks(self) -> BoolArray:
        """Return bool [L, actions]: True where an action is legal, at least once per row."""
        return self.batch.mask.copy() if self.copy else self.batch.mask

    def _observe(self) -> Observed:
        observed = self.batch.observed
        if isinstance(observed, dict):
            return {name: array.copy() for name, array in observed.items()} if self.copy else dict(observed)
        return observed.copy() if self.copy else observed

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
            **(self._no_metrics if which is self._every else self._no_metrics_of(which)),
        }

    def _begin(self, which: BoolArray) -> None:
        """Start the episodes of `_seeds` and `_episodes` where `which` is True."""
        self._which[:] = which  # always the same kind of array, so that nothing is compiled anew
        self.batch.reset(self._seeds, self._episodes, self._which)
        self._returns[which] = 0.0
        self._lengths[which] = 0
        self._start_times[which] = time.perf_counter()

    def _end(self, over: BoolArray, ended: BoolArray) -> Infos:
        """Return the infos of the episodes that are `over`, those that `ended` or were truncated.

        Under SAME_STEP, start the next ones.
        """
        infos: Infos = {}
        if self.episode_statistics:
            seconds = np.round(time.perf_counter() - self._start_times, 6)
            infos["episode"] = {
                "r": np.where(over, self._returns, 0.0),
                "l": np.where(over, self._lengths, 0),
                "t": np.where(over, seconds, 0.0),
            }
            infos["_episode"] = over
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            infos.update(self._final(over, self._metrics(ended, over)))
            self._episodes[over] += np.uint64(1)
            self._begin(over)
        else:
            infos.update(self._metrics(ended, self._every))
            self._over[:] = over
            self._any_over = True
        return infos

    def _metrics(self, ended: BoolArray, told: BoolArray) -> Infos:
        """Return the metrics of the episodes that ended, 0 elsewhere, as infos about the lanes `told`."""
        metrics = {name: np.zeros(self.num_envs) for name in METRICS}
        for lane in np.flatnonzero(ended).tolist():
            for name, value in summarise(self.batch.episode(lane)).items():
                metrics[name][lane] = value
        return metrics | {f"_{name}": told for name in METRICS}

    def _no_metrics_of(self, told: BoolArray) -> Infos:
        """Return metrics that are all 0, read-only, as infos about the lanes `told`."""
        return dict.fromkeys(METRICS, self._zeros) | {f"_{name}": told for name in METRICS}

    def _final(self, over: BoolArray, metrics: Infos) -> Infos:
        """Return the last observation and info of the episodes that are over, before their lanes start the next."""
        last = np.full(self.num_envs, None, dtype=object)
        for lane in np.flatnonzero(over).tolist():
            last[lane] = _lane_of(self.batch.observed, lane)
        info: Infos = dict(metrics)
        for name, array in self._infos(over).items():
            if name not in metrics and array is not over:
                info[name] = np.zeros_like(array)
                info[name][over] = array[over]
                info[f"_{name}"] = over
        return {"final_obs": last, "_final_obs": over, "final_info": info, "_final_info": over}

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


def _shared(values: list[Any]) -> Any:
    """Return the value if all lanes have the same one; otherwise a tuple with an entry for each lane."""
    first = values[0]
    return first if all(value is first or value == first for value in values[1:]) else tuple(values)


def _lane_of(observed: Observed, lane: int) -> Observed:
    """Return a copy of what one lane is shown."""
    if isinstance(observed, dict):
        return {name: array[lane].copy() for name, array in observed.items()}
    row: FloatArray = observed[lane].copy()
    return row


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
