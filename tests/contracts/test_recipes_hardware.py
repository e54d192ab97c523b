"""docs/how-to/add_a_dataflow.md and add_a_fleet.md, followed on a copy of the presets."""

import numpy as np
import pytest

from gnnsched_env.cycles import layer_spec, simulate_layer
from gnnsched_env.hardware import bind, list_dataflows, list_fleets, load_fleet
from gnnsched_env.predictors import default_table
from gnnsched_env.scenario import list_scenarios, load_scenario, scenario_table
from gnnsched_env.workload import synthetic_classes
from tests.contracts.recipes import examples


def follow(page):
    """Run a page's Python, block after block, and return its names."""
    names = {}
    for code in examples(page):
        exec(compile(code, page, "exec"), names)
    return names


def assert_replayed(table, fleet):
    """Compare some true cycles with the cost model's replay, event by event."""
    classes = synthetic_classes()
    for c in np.argsort([degrees.size for degrees in classes.degrees])[:60:20]:
        for k, choice in enumerate(fleet.choices):
            cycles = 0
            for layer in classes.models[c].layers:
                bound = bind(choice.dataflow, layer, choice.accelerator)
                cycles += simulate_layer(classes.degrees[c], layer_spec(layer, bound)).cycles(bound.composition)
            assert table.true_cycles[c, k] == cycles, choice.name


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, -1])
def test_a_dataflow_is_one_entry_in_one_file(presets, capsys, place):
    (entry,) = examples("add_a_dataflow.md", "toml")
    presets.insert("dataflows.toml", entry, place=place)
    assert "SP3" in list_dataflows()
    names = follow("add_a_dataflow.md")
    *tiles, worth = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in tiles] == ["3", "64", "1433"]
    assert 0 < float(worth.split()[2]) < 1
    assert presets.built == ["flexible4"]
    assert_replayed(names["table"], load_fleet("flexible4"))
    assert_replayed(default_table("hetero4"), load_fleet("hetero4"))
    assert presets.built == ["flexible4"]


@pytest.mark.slow
def test_a_fleet_is_one_file(presets, tmp_path):
    fleet_file, own = examples("add_a_fleet.md", "toml")
    presets.write("fleets/edge3.toml", fleet_file)
    assert "edge3" in list_fleets() and "edge3" in list_scenarios()
    env = follow("add_a_fleet.md")["env"].unwrapped
    assert env.scenario.fleet == load_fleet("edge3")
    assert presets.built == ["edge3"]
    assert_replayed(scenario_table(env.scenario), load_fleet("edge3"))
    (tmp_path / "edge3.toml").write_text(fleet_file)
    (tmp_path / "mine.toml").write_text(own)
    scenario = load_scenario(tmp_path / "mine.toml")
    assert scenario.environment.load == 0.9 and scenario.fleet == load_fleet("edge3")
