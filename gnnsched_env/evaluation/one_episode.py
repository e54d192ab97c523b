"""Play one episode of one policy, to inspect it: the same episode as in evaluation."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.envs import DispatchEnv, QueueEnv, SchedulingEnv
from gnnsched_env.envs.labels import ScheduleLabels
from gnnsched_env.envs.rendering import Renderer, default_span
from gnnsched_env.evaluation.runs import PolicyFactory, decide, make_checked, skip_below_of, uses_predictions
from gnnsched_env.scenario import DecisionCost, Scenario
from gnnsched_env.sim.schedule import schedule_of


def play_episode(
    factory: PolicyFactory,
    scenario: Scenario,
    *,
    dispatch: bool,
    seed: int,
    watch: Callable[[SchedulingEnv], object] | None = None,
) -> SchedulingEnv:
    """Play a scenario's episode of a seed to its end and return the environment, which then holds the episode.

    `watch` is called before the first decision and after each. As in `run_policy`, the scenario's decision cost is
    charged if predictions are used, and the policy is given the observation that it is made for.
    """
    kind = DispatchEnv if dispatch else QueueEnv
    scenario = scenario.with_options(split="test", waiting="free", observation="dict")
    if dispatch:  # evaluations play a scenario in either environment, whatever it says of a window
        scenario = scenario.with_options(window=1, window_order="arrival")
    env: SchedulingEnv = kind(scenario)
    policy, says = make_checked(factory, env.layout, env.table)
    settings = env.batch.simulation.config
    if settings.decision and not uses_predictions(policy, settings):
        scenario = scenario.with_options(decision=DecisionCost())
        env = kind(scenario)
    elif (skip_below := skip_below_of(says, settings)) != settings.skip_below:
        scenario = scenario.with_options(decision={"skip_below": skip_below})
        env = kind(scenario)
    if says.observation != "dict" or says.waiting != "free":
        env = kind(scenario, observation=says.observation, waiting=says.waiting)
        policy, _ = make_checked(factory, env.layout, env.table)
    env.reset(seed=seed)
    ended = False
    while True:
        if watch is not None:
            watch(env)
        if ended:
            return env
        _, _, ended, _, _ = env.step(decide(env.batch, policy)[0])


class Film:
    """Takes a picture of an episode after every `every` decisions: pass it as `watch` to `play_episode`.

    `frames`: uint8 arrays [height, width, 3], as `render_mode="rgb_array"` gives them.
    """

    def __init__(self, *, every: int) -> None:
        if every < 1:
            raise ConfigError(f"film: needs at least 1 decision between frames, got {every!r}")
        self.frames: list[NDArray[np.uint8]] = []
        self._every = every
        self._decisions = 0
        self._renderer: Renderer | None = None

    def __call__(self, env: SchedulingEnv) -> None:
        """Take a picture if it is time for one."""
        if self._renderer is None:
            labels = ScheduleLabels.of(env.table, env.scenario.fleet.clock_hz)
            self._renderer = Renderer("rgb_array", labels, span=default_span(env.table))
        if self._decisions % self._every == 0:
            frame = self._renderer.render(schedule_of(env.batch.simulation, span=self._renderer.span))
            self.frames.append(np.asarray(frame))
        self._decisions += 1
