"""Presets edited in every way: what ships for a fleet is found by hardware or made anew, never served by position."""

import numpy as np
import pytest

from gnnsched_env.bounds import known_optima
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.evaluation.optimality.distances import draw_instances
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import default_table
from gnnsched_env.predictors.trees.tree_predictor import shipped_predictor
from gnnsched_env.scenario import Scenario, load_scenario, scenario_table
from gnnsched_env.tables import choice_keys, true_cycles
from gnnsched_env.tables.energy import energy_table
from gnnsched_env.workload import synthetic_classes
from tests.extras import needs

DATAFLOWS, FLEXIBLE4, BIG_LITTLE = "dataflows.toml", "fleets/flexible4.toml", "fleets/big_little.toml"
OWN = """[[dataflow]]
name = "SP0"
taxonomy = "SP_AC(VsFsNt, VsGtFs)"
f = "min(F, 4)"
aggregation = ["P // f", 1, "f"]
combination = ["P // f", 1, "f"]
"""


def remove_pp3(presets):
    presets.remove(DATAFLOWS, "dataflow", "PP3")
    presets.replace("fleets/hetero4.toml", '"PP3", ', "")


def rename_seq2(presets):
    for name in (DATAFLOWS, "fleets/hetero4.toml"):
        presets.replace(name, '"Seq2"', '"Seq9"')


BUILT = {
    "a dataflow added first": lambda presets: presets.insert(DATAFLOWS, OWN, place=0),
    "a dataflow added in the middle": lambda presets: presets.insert(DATAFLOWS, OWN, place=4),
    "a dataflow added last": lambda presets: presets.insert(DATAFLOWS, OWN, place=-1),
    "a tile rule changed": lambda presets: presets.replace(DATAFLOWS, "min(F, 16)", "min(F, 2)"),
    "PEs changed": lambda presets: presets.replace(FLEXIBLE4, "pes = 512", "pes = 128"),
    "a bandwidth changed": lambda presets: presets.replace(
        FLEXIBLE4, "pes = 512", "pes = 512\ndistribution_bandwidth = 64"
    ),
    "unit energies changed": lambda presets: presets.replace("energy.toml", "link_pj = 9.2", "link_pj = 4.6"),
}
SERVED = {
    "nothing": lambda presets: None,
    "the order of accelerators changed": lambda presets: presets.reverse(BIG_LITTLE, "accelerator"),
    "the order of dataflows changed": lambda presets: presets.reverse(DATAFLOWS, "dataflow"),
    "an accelerator became one of another fleet": lambda presets: presets.replace(FLEXIBLE4, "pes = 512", "pes = 256"),
    "a dataflow removed": remove_pp3,
    "a dataflow renamed": rename_seq2,
}
SAMPLE = np.arange(0, 256, 9)  # classes that are computed afresh


@pytest.fixture(scope="module")
def sampled():
    return synthetic_classes().subset(SAMPLE)


def assert_right(table, fleet, classes):
    """Compare a table with the cost model, computed afresh for a sample of its classes."""
    assert table.choice_names == tuple(choice.name for choice in fleet.choices)
    assert table.accelerator_names == tuple(accelerator.name for accelerator in fleet.accelerators)
    assert table.choice_accelerators.tolist() == fleet.choice_accelerators.tolist()
    assert table.pair_keys == choice_keys(fleet)
    assert (table.true_cycles[SAMPLE] == true_cycles(classes, fleet)).all()
    assert table.energy_pj[SAMPLE] == pytest.approx(energy_table(classes, fleet), rel=1e-12)


@needs("lightgbm")
@pytest.mark.slow
@pytest.mark.parametrize("edit", BUILT)
def test_a_pair_that_was_not_shipped_is_built(presets, sampled, edit):
    BUILT[edit](presets)
    table = default_table("flexible4")
    assert_right(table, load_fleet("flexible4"), sampled)
    assert presets.built == ["flexible4"]
    errors = np.median(abs(table.predicted_cycles / table.true_cycles - 1), axis=0)
    assert errors.max() < 0.2
    assert default_table("flexible4") is table and presets.built == ["flexible4"]


@pytest.mark.slow
@pytest.mark.parametrize("edit", SERVED)
def test_shipped_pairs_are_found_wherever_they_stand(presets, sampled, edit):
    SERVED[edit](presets)
    shipped = shipped_predictor("gradient_boosting")
    for name in ("big_little", "flexible4", "hetero4"):
        fleet = load_fleet(name)
        table = default_table(name)
        assert_right(table, fleet, sampled)
        pairs = [(choice.accelerator, choice.dataflow) for choice in fleet.choices]
        assert (table.predicted_cycles[SAMPLE] == shipped.predict(sampled, pairs)).all()
        assert (table.mean_log_cycles == shipped.mean_log_cycles[shipped.places(pairs)]).all()
    assert presets.built == []


@needs("lightgbm")
@pytest.mark.long
@pytest.mark.slow
def test_an_accelerators_file_serves_edited_dataflows_too(presets, sampled):
    presets.insert(DATAFLOWS, OWN, place=0)
    presets.replace("accelerators.toml", 'pes = 512\ndataflows = "all"', 'pes = 512\ndataflows = ["SP0", "PP4"]')
    presets.write("fleets/pair.toml", '[fleet]\nname = "pair"\naccelerators = ["omega512", "omega256"]\n')
    assert_right(scenario_table(load_scenario("pair")), load_fleet("pair"), sampled)
    assert presets.built == ["pair"]


def test_a_table_of_other_hardware_is_refused(presets):
    fleet = load_fleet("hetero4")
    table = default_table(fleet)
    assert Scenario(name="same", fleet=fleet, table=table).table is table
    presets.replace("fleets/hetero4.toml", "pes = 512", "pes = 256")
    with pytest.raises(ConfigError, match=r"other hardware than the fleet's: choice 'seq/Seq1' must be .*256.*512"):
        Scenario(name="other", fleet=load_fleet("hetero4"), table=table)


@needs("lightgbm")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        ("a dataflow renamed", False),
        pytest.param("a dataflow added first", True, marks=pytest.mark.long),
        ("PEs changed", True),
    ],
)
def test_known_optima_are_refused_where_their_fleet_is_another(presets, edit, changed):
    (SERVED | BUILT)[edit](presets)
    refused = 0
    for entry in [entry for entry in known_optima() if entry.scenario == "flexible4"][::4]:
        scenario = load_scenario("flexible4").with_options(load=entry.load, jobs=entry.instance.num_jobs)
        (drawn,) = draw_instances(scenario, scenario_table(scenario), seed=entry.seed, episodes=1)
        same = np.array_equal(drawn.latency, entry.instance.latency) and np.array_equal(
            drawn.release, entry.instance.release
        )
        try:
            entry.check_jobs(drawn)
            assert same
        except ConfigError as error:
            assert entry.instance.name in str(error) and "scenario 'flexible4'" in str(error)
            assert not same
            refused += 1
    assert (refused > 0) == changed
