"""The shipped agents on fleets other than the one that they were trained for."""

import pytest

from gnnsched_baselines import make_policy
from gnnsched_baselines.learned.trained_policy import shipped_agents
from gnnsched_env.evaluation import run_policy
from gnnsched_env.scenario import load_scenario, scenario_table

HETERO4 = "fleets/hetero4.toml"


def play(name):
    scenario = load_scenario("hetero4").with_options(jobs=200, load=0.9)

    def factory(layout, table):
        return make_policy(name, layout, table=table)

    return run_policy(factory, scenario, scenario_table(scenario), dispatch=False, seed=0, episodes=2)


@pytest.mark.parametrize("name", shipped_agents("queue"))
def test_an_agent_knows_accelerators_by_their_latencies_not_by_their_places(presets, name):
    before = play(f"agent:{name}")
    presets.reverse(HETERO4, "accelerator")
    after = play(f"agent:{name}")
    assert (after.metrics.jobs["choice"] != before.metrics.jobs["choice"]).any()
    assert (after.metrics.completion == before.metrics.completion).all()


@pytest.mark.parametrize("name", shipped_agents("queue"))
def test_an_agent_plays_a_fleet_of_another_size(presets, name):
    presets.remove(HETERO4, "accelerator", "highv")
    presets.replace(HETERO4, '"SP1", "SP2"', '"SP1"')
    played = play(f"agent:{name}")
    assert played.metrics.completion.min() > 0
    assert played.metrics.completion.mean() < play("fifo").metrics.completion.mean()
