"""One episode to look at is the one that evaluation plays."""

import numpy as np
import pytest

from gnnsched_baselines import make_policy
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.evaluation import run_policy
from gnnsched_env.evaluation.one_episode import Film, play_episode
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import Scenario
from tests.envs.environments import hetero_table
from tests.extras import needs


@pytest.fixture
def scenario():
    """Return a scenario of a small random table."""
    made = Scenario(name="random", fleet=load_fleet("hetero4"), table=hetero_table())
    return made.with_options(jobs=30, load=0.9, window=4)


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("name", ["sjf", "random", "least_loaded", "skip_predict"])
@pytest.mark.parametrize("latency_us", [0.0, 0.5])
def test_it_is_the_episode_of_the_evaluation(scenario, dispatch, name, latency_us):
    scenario = scenario.with_options(decision={"latency_us": latency_us})
    if name == "skip_predict" and dispatch:
        pytest.skip("made for queue")

    def factory(layout, table):
        return make_policy(name, layout, table=table)

    env = play_episode(factory, scenario, dispatch=dispatch, seed=7)
    jobs = env.batch.simulation.jobs[0]
    runs = run_policy(factory, scenario, scenario.table, dispatch=dispatch, seed=7, episodes=1)
    assert np.array_equal(jobs["finish"] - jobs["arrival"], runs.metrics.completion[0])
    assert ((jobs["ready"] > jobs["arrival"]).any()) == (latency_us > 0 and name in ("sjf", "skip_predict"))
    skipped = jobs["believed_class"] != jobs["job_class"]
    assert skipped.any() == (latency_us > 0 and name == "skip_predict") and not skipped.all()


@needs("pygame")
def test_a_film_has_a_frame_every_few_decisions(scenario):
    film, moments = Film(every=4), []

    def watch(env):
        film(env)
        moments.append(int(env.batch.simulation.lanes[0]["time"]))

    env = play_episode(lambda layout, table: make_policy("sjf", layout), scenario, dispatch=False, seed=0, watch=watch)
    steps = int(env.batch.simulation.lanes[0]["steps"])
    assert len(moments) == steps + 1 and moments == sorted(moments)
    assert len(film.frames) == -(-len(moments) // 4)
    assert not np.array_equal(film.frames[0], film.frames[-1])


def test_bad_input_is_named():
    with pytest.raises(ConfigError, match="at least 1 decision between frames, got 0"):
        Film(every=0)
