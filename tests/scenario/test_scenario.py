"""Scenario files: what they say, and what is refused."""

import pytest

from gnnsched_env.errors import ConfigError, FileFormatError
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import EnvironmentOptions, Scenario, Workload, list_scenarios, load_scenario
from tests import toys


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_every_preset_loads_and_names_its_fleet():
    assert set(list_scenarios()) == {"hetero4", "flexible4", "big_little"}
    for name in list_scenarios():
        scenario = load_scenario(name)
        assert scenario.name == name
        assert scenario.fleet == load_fleet(name)
        assert scenario.environment == EnvironmentOptions()


def test_a_file_sets_every_field(tmp_path):
    path = write(
        tmp_path,
        """
        name = "mine"
        fleet = "flexible4"
        predictor = "exact"
        [workload]
        graphs = ["A.npz", "/data/B.npz"]
        model = "sage"
        hidden = [64, 32]
        batch_sizes = [1, 8]
        classes_per_file = 10
        seed = 3
        [environment]
        load = 0.5
        jobs = 7
        window = 4
        window_order = "shortest"
        dataflow = "predicted_best"
        shaping = "drain"
        """,
    )
    scenario = load_scenario(str(path))
    assert scenario.workload == Workload(
        graphs=(str(tmp_path / "A.npz"), "/data/B.npz"),
        model="sage",
        hidden=(64, 32),
        batch_sizes=(1, 8),
        classes_per_file=10,
        seed=3,
    )
    assert scenario.environment == EnvironmentOptions(
        load=0.5, jobs=7, window=4, window_order="shortest", dataflow="predicted_best", shaping="drain"
    )
    assert (scenario.name, scenario.fleet.name, scenario.predictor) == ("mine", "flexible4", "exact")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = 3\nfleet = "hetero4"', "name must be a non-empty string, got 3"),
        ('name = "x"', "fleet must be given as a string"),
        ('name = "x"\nfleet = "hetero5"', "did you mean 'hetero4'"),
        ('name = "x"\nfleet = "hetero4"\npredictr = "exact"', "unknown key 'predictr'; did you mean 'predictor'"),
        ('name = "x"\nfleet = "hetero4"\npredictor = "exakt"', "predictor must be one of .*did you mean 'exact'"),
        ('name = "x"\nfleet = "hetero4"\nworkload = 3', "workload must be a table, got 3"),
        ('name = "x"\nfleet = "hetero4"\n[workload]\nmodel = "gcnn"', "model must be one of .*did you mean 'gcn'"),
        ('name = "x"\nfleet = "hetero4"\n[workload]\ngraphs = "A.npz"', "graphs must be a list, got 'A.npz'"),
        (
            'name = "x"\nfleet = "hetero4"\n[workload]\nbatch_sizes = [0]',
            "batch_sizes must be an integer of at least",
        ),
        ('name = "x"\nfleet = "hetero4"\n[environment]\nload = 2.0', "load must be above 0 and below 1.5, got 2.0"),
        ('name = "x"\nfleet = "hetero4"\n[environment]\nlaod = 1.0', "unknown key 'laod'; did you mean 'load'"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_scenario(write(tmp_path, text))


def test_unreadable_files(tmp_path):
    with pytest.raises(FileFormatError, match="not a TOML file"):
        load_scenario(write(tmp_path, "name = "))
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_scenario(tmp_path / "none.toml")


def test_an_unknown_preset_is_refused_with_a_hint():
    with pytest.raises(ConfigError, match="did you mean 'hetero4'"):
        load_scenario("hetero")


def test_a_table_must_have_the_fleets_choices():
    with pytest.raises(ConfigError, match="choices must be the fleet's"):
        Scenario(name="x", fleet=load_fleet("hetero4"), table=toys.table([[1, 2]]))
