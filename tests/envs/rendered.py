"""Environments with a render mode, over a small random table, and schedules made up for pictures."""

from dataclasses import replace

import numpy as np

from gnnsched_env.envs.labels import ScheduleLabels
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import Scenario
from gnnsched_env.sim.records import DOWN
from gnnsched_env.sim.schedule import RUN, RunState, schedule_of
from tests.envs.environments import ENVIRONMENTS, hetero_table


def make_rendered(name, render_mode, **options):
    """Return an environment ("queue" or "dispatch") that draws itself."""
    scenario = Scenario(name="random", fleet=load_fleet("hetero4"), table=hetero_table())
    return ENVIRONMENTS[name](scenario, render_mode=render_mode, **{"jobs": 30, **options})


def play(env, decisions, seed=0):
    """Reset and take random legal actions; return whether the episode has ended."""
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    for _ in range(decisions):
        _, _, ended, _, _ = env.step(rng.choice(np.flatnonzero(env.unwrapped.action_masks())))
        if ended:
            return True
    return False


def made_up_labels(accelerators=2, dataflows=3):
    """Return labels of accelerators that offer the same dataflows each, at 1 MHz."""
    return ScheduleLabels(
        accelerators=tuple(f"a{k}" for k in range(accelerators)),
        dataflows=tuple(f"d{k}" for k in range(dataflows)),
        choice_dataflows=tuple(range(dataflows)) * accelerators,
        classes=("small", "large"),
        clock_hz=1_000_000,
    )


def made_up_schedule(until=1000):
    """Return a schedule on two accelerators of three dataflows each, with a run cut short and two downtimes.

    a0: job 0 under d0 from 100 to 400, down from 500 to 700, job 2 under d2 from 700 until now.
    a1: job 1 under d1 from 200 to 600, cut short then, down until 900. Two jobs wait from 600 to 700, one after.
    """
    env = make_rendered("queue", "ansi")
    runs = np.array(
        [
            (0, 0, 0, 0, 100, 400, 400, RunState.FINISHED),
            (1, 1, 1, 4, 200, 600, 600, RunState.ABORTED),
            (2, 0, 0, 2, 700, until, 1200, RunState.RUNNING),
        ],
        RUN,
    )
    return replace(
        schedule_of(env.batch.simulation),
        until=until,
        runs=runs,
        waiting_times=np.array([0, 550, 600, 700]),
        waiting_counts=np.array([0, 1, 2, 1]),
        downs=np.array([(0, 500, 700), (1, 600, 900)], DOWN),
        num_accelerators=2,
        total=9,
        arrived=3,
        done=1,
        mean_completion=310.0,
    )
