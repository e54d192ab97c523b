"""The two Gymnasium environments: a decision at each arrival (Dispatch-v0), or over a central queue (Queue-v0)."""

from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, check_known
from gnnsched_env.common.errors import ConfigError, InvalidAction, ResetNeeded
from gnnsched_env.common.policy import FloatArray
from gnnsched_env.envs.construction import PlainSpec, make_batch
from gnnsched_env.envs.env_batch import Observed
from gnnsched_env.envs.labels import ScheduleLabels
from gnnsched_env.envs.rendering import RENDER_FPS, RENDER_MODES, Renderer, default_span
from gnnsched_env.envs.schedule_svg import LabelledSchedule
from gnnsched_env.scenario import Scenario
from gnnsched_env.scenario.scenario import UNEXPECTED, option_names
from gnnsched_env.sim import METRICS, episode_metrics, summarise
from gnnsched_env.sim.schedule import schedule_of
from gnnsched_env.tables import LatencyTable

Info = dict[str, Any]
NO_METRICS = dict.fromkeys(METRICS, np.float64(0.0))
TEMPLATE: Info = {**dict.fromkeys(("action_mask", "elapsed", "legal", "time")), **NO_METRICS}


class SchedulingEnv(PlainSpec, gymnasium.Env[Observed, np.int64]):
    """One fleet, one stream of jobs; see DispatchEnv and QueueEnv for what an action means.

    Observation: a dict of float32 arrays in [0, 1], named and laid out by `layout` (read them with `unflatten`). With
    `observation="flat"` they are joined into one array; with "pairs" it is float32 [actions, features], a row for each
    action (read it with `pair_view`), and with "pairs_flat" these rows joined.
    Reward: minus the time-integral of the jobs in the system since the last decision, over the number of jobs, in units
    of the workload's mean best predicted latency (`metadata["service_cycles"]`), so the undiscounted return is minus
    the mean completion time. With `returns="total"` it is not divided by the number of jobs, and the return is minus
    the total completion time. A reward of -1 stands for `metadata["reward_unit_cycles"]` cycles.
    `info`, with the same keys and types at every step: "action_mask" (int8, 1 where legal), "elapsed" (cycles since the
    last decision), "legal" (whether the last action was legal), "time" (cycles), and by their names the metrics of
    `sim.summarise` ("mean_completion", "makespan", ...), 0 until the episode has ended. All have a numpy type.
    An episode has exactly `jobs` arrivals and ends when all are done. If the scenario charges for decisions, a job is
    hidden from its arrival until its latency has been predicted; that time is charged when the job appears.
    `table` holds the latencies of a job (`repeats` inferences).

    Decisions are not evenly spaced in time: train with gamma = 1, or with exp(-elapsed / tau), never with a constant
    gamma below 1, which would reward waiting.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (as Gymnasium declares it)
        "render_modes": list(RENDER_MODES),
        "render_fps": RENDER_FPS,
    }
    dispatch: ClassVar[bool]

    def __init__(
        self,
        scenario: str | Path | Scenario | Mapping[str, Any] = "hetero4",
        *,
        table: LatencyTable | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        """Make the environment of a scenario (a preset's name, a TOML file's path, a Scenario, or its `to_dict`).

        `options` are those of `Scenario.with_options`, which describes them and the short forms of sections; None keeps
        the scenario's value. `table` (of one inference) replaces the latencies. `render_mode`: "human", "rgb_array" or
        "ansi". Raise ConfigError, naming the option, the rule and the value, if one is invalid, and UnknownOption (a
        TypeError too) if there is none of that name.
        """
        check_known("environment", options, ("scenario", "table", "render_mode", *option_names()), kind=UNEXPECTED)
        made = make_batch(scenario, dispatch=self.dispatch, table=table, options=options)
        self.scenario = made.scenario
        self.batch = made.batch
        self.table = self.batch.table
        self.layout = self.batch.layout
        self.observation_space = self.layout.observation_space()  # type: ignore[assignment]
        self.action_space = self.layout.action_space()  # type: ignore[assignment]
        self.metadata = {
            **self.metadata,
            "reward_unit_cycles": made.reward_unit_cycles,
            "service_cycles": self.table.mean_shortest_predicted,
        }
        self.render_mode = render_mode
        self.labels = ScheduleLabels.of(self.table, self.scenario.fleet.clock_hz)
        self._renderer = (
            None if render_mode is None else Renderer(render_mode, self.labels, span=default_span(self.table))
        )
        self._running = False
        self._seed: int | None = None
        self._episode = 0
        self._action = np.zeros(1, np.int64)
        self._num_actions = self.layout.num_actions
        self._bind()

    def _bind(self) -> None:
        """Keep views of what each step reads: making them costs as much as the step."""
        observed = self.batch.observed
        self._rows = [(name, array[0]) for name, array in observed.items()] if isinstance(observed, dict) else []
        self._row: FloatArray | None = None if isinstance(observed, dict) else observed[0]
        self._mask_row = self.batch.mask[0].view(np.int8)
        self._legal = self.batch.legal[0, ...]  # an array: Gymnasium's batches keep numpy's bools as objects

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()  # a copy's views are arrays of their own

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observed, Info]:
        """Start an episode and run to its first decision.

        A seed fixes this episode and those that follow it; without one the next episode of the last seed is played
        (a random seed is drawn the first time).
        """
        for name in options or {}:
            raise ConfigError(f"reset: unknown option {name!r} (a single environment takes none)")
        if seed is not None:
            seed = int(Integer(0).check("reset", "seed", seed))
        super().reset(seed=seed)
        if seed is None and self._seed is not None:
            self._episode += 1
        else:
            self._seed = int(self.np_random.integers(1 << 62)) if seed is None else seed
            self._episode = 0
        self.batch.reset([self._seed], [self._episode])
        self._running = True
        if self.render_mode == "human":
            self.render()
        return self._observe(), self._info()

    def step(self, action: Any) -> tuple[Observed, float, bool, bool, Info]:
        """Take the action, then run to the next decision or to the end of the episode."""
        if not self._running:
            raise ResetNeeded("step: call reset first; no episode is running")
        if (type(action) is not int and not _is_integer(action)) or not 0 <= action < self._num_actions:
            raise InvalidAction(f"action must be an integer in [0, {self._num_actions}), got {action!r}")
        self._action[0] = action
        self.batch.step(self._action)
        ended = self.batch.ended.item(0)
        info = self._info()
        if ended:
            self._running = False
            for name, value in summarise(episode_metrics(self.batch.simulation)).items():
                info[name] = np.float64(value)
        if self.render_mode == "human":
            self.render()
        return self._observe(), self.batch.rewards.item(0), ended, False, info

    def schedule(self) -> LabelledSchedule:
        """Return what happened in this episode so far: runs, waiting jobs, downtimes (see `sim.schedule`).

        A notebook shows it as a picture.
        """
        schedule = schedule_of(self.batch.simulation)
        return LabelledSchedule(
            labels=self.labels, **{entry.name: getattr(schedule, entry.name) for entry in fields(schedule)}
        )

    def render(self) -> Any:
        """Draw the recent past: a uint8 array [height, width, 3] ("rgb_array"), text ("ansi"), or a window ("human").

        In "human" mode `reset` and `step` call this. Without a render_mode it warns and returns None.
        """
        if self._renderer is None:
            gymnasium.logger.warn('render: no render_mode was given; make the environment with render_mode="rgb_array"')
            return None
        if self._seed is None:
            raise ResetNeeded("render: call reset first; no episode was started")
        return self._renderer.render(schedule_of(self.batch.simulation, span=self._renderer.span))

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._renderer is not None:
            self._renderer.close()
        super().close()

    def action_masks(self) -> NDArray[np.bool_]:
        """Return bool [actions]: True where an action is legal; at least one always is (the name is sb3-contrib's)."""
        mask: NDArray[np.bool_] = self.batch.mask[0].copy()
        return mask

    def _observe(self) -> Observed:
        if self._row is not None:
            row: FloatArray = self._row.copy()
            return row
        return {name: row.copy() for name, row in self._rows}

    def _info(self) -> Info:
        batch = self.batch
        info = TEMPLATE.copy()  # a dict's copy takes half the time of making one
        info["action_mask"] = self._mask_row.copy()
        info["elapsed"] = batch.elapsed[0]
        info["legal"] = self._legal.copy()
        info["time"] = batch.times[0]
        return info


def _is_integer(action: Any) -> bool:
    """Return whether an action is an integer (Python's, numpy's, or in an array of one element) and not a bool."""
    if isinstance(action, np.ndarray):
        return action.ndim == 0 and action.dtype.kind in "iu"
    return isinstance(action, Integral) and not isinstance(action, bool)


class DispatchEnv(SchedulingEnv):
    """`gnnsched/Dispatch-v0`: at each arrival, choose the (accelerator, dataflow) whose FIFO queue the job joins.

    Actions: `Discrete(choices)`, in the order of `layout.choice_names`.
    """

    dispatch = True


class QueueEnv(SchedulingEnv):
    """`gnnsched/Queue-v0`: whenever a job waits and an accelerator is idle, start one of the window's jobs, or wait.

    Actions: `Discrete(window * choices + 1)`: slot * choices + choice starts that slot's job under that choice; the
    last one waits for the next event. Waiting is legal while a job is running or still to come. An illegal action
    waits, or where waiting is illegal takes the first legal one. With `waiting="needed"` it is never legal to wait, for
    wherever a decision is due a job can start. With `waiting="by_choice"` there is no action that waits: one that names
    a busy accelerator is legal and waits for the next event, at which the agent may decide anew.
    """

    dispatch = False
