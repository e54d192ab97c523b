"""Scenario files: what they say, and what is refused."""

import json
from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.hardware import load_fleet
from gnnsched_env.predictors import make_predictor
from gnnsched_env.predictors.trees.tree_predictor import shipped_predictor
from gnnsched_env.scenario import (
    DecisionCost,
    EnvironmentOptions,
    Scenario,
    Workload,
    list_scenarios,
    load_scenario,
    scenario_classes,
    scenario_table,
    simulation_settings,
)
from tests import toys
from tests.envs.environments import hetero_table


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_every_preset_loads_and_names_its_fleet():
    assert set(list_scenarios()) >= {"hetero4", "flexible4", "big_little"}
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
        repeats = 20
        [decision]
        latency_us = 12.5
        workers = 4
        cached = true
        lookup_us = 0.5
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
        repeats=20,
    )
    assert scenario.decision == DecisionCost(latency_us=12.5, workers=4, cached=True, lookup_us=0.5)
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
            "workload: entries of batch_sizes must be an integer of at least 1, got 0",
        ),
        ('fleet = "hetero4"\n[workload]\nhidden = [16, 0]', "workload: entries of hidden must be .* at least 1, got 0"),
        ('fleet = "hetero4"\n[workload]\nhidden = 16', "workload: hidden must be a list, got 16"),
        (
            'name = "x"\nfleet = "hetero4"\n[environment]\nload = 2.0',
            "load must be a number of at least 1e-09 and below 1.5, got 2.0",
        ),
        ('name = "x"\nfleet = "hetero4"\n[environment]\nlaod = 1.0', "unknown key 'laod'; did you mean 'load'"),
        ('fleet = "hetero4"\n[workload]\nrepeats = 0', "workload: repeats must be an integer of at least 1, got 0"),
        ('fleet = "hetero4"\n[workload]\nrepeats = 1.0', "repeats must be an integer of at least 1, got 1.0"),
        (
            'fleet = "hetero4"\n[workload]\nrepeats = 2000000000',
            "repeats must be at most 1,000,000,000, got 2000000000",
        ),
        ('fleet = "hetero4"\ndecision = 3', "decision must be a table, got 3"),
        ('fleet = "hetero4"\n[decision]\nlatency = 3', "decision: unknown key 'latency'; did you mean 'latency_us'"),
        ('fleet = "hetero4"\n[decision]\nlatency_us = -1', r"latency_us must be a number from 0 to 1e\+09, got -1"),
        ('fleet = "hetero4"\n[decision]\nlatency_us = nan', "latency_us must be a number from 0 to .*, got nan"),
        ('fleet = "hetero4"\n[decision]\nlatency_us = inf', "latency_us must be a number from 0 to .*, got inf"),
        ('fleet = "hetero4"\n[decision]\nlatency_us = "3"', "latency_us must be a number from 0 to .*, got '3'"),
        ('fleet = "hetero4"\n[decision]\nworkers = 0', "decision: workers must be an integer of at least 1, got 0"),
        ('fleet = "hetero4"\n[decision]\nworkers = 5000', "decision: workers must be at most 1,024, got 5000"),
        ('fleet = "hetero4"\n[decision]\ncached = 1', "decision: cached must be true or false, got 1"),
        (
            'fleet = "hetero4"\n[decision]\nlatency_us = 1\nlookup_us = 0.5',
            "lookup_us must be 0 unless cached is true, got 0.5",
        ),
        (
            'fleet = "hetero4"\n[decision]\nlatency_us = 1\ncached = true\nlookup_us = 2',
            r"lookup_us must be at most latency_us \(1\), got 2.0",
        ),
        (
            'fleet = "hetero4"\n[decision]\nlatency_us = 1\nworkers = 2\nskip_below = 3',
            r"skip_below must be 0 unless predicting takes time \(latency_us above 0\), of one worker .*, got 3",
        ),
        ('fleet = "hetero4"\n[decision]\nskip_below = 3', "skip_below must be 0 unless predicting takes time"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_scenario(write(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path / 'mine.toml'}: ")
    assert str(caught.value).count("mine.toml") == 1


def test_widths_and_sizes_may_be_arrays():
    assert Workload(hidden=np.array([8, 4]), batch_sizes=range(1, 3)) == Workload(hidden=(8, 4), batch_sizes=(1, 2))


def test_a_fleets_own_file_is_named_too(tmp_path):
    (tmp_path / "fleet.toml").write_text('[fleet]\nname = "x"\naccelerators = ["omega51"]\n')
    with pytest.raises(ConfigError, match=r"mine\.toml: .*fleet\.toml: unknown accelerator 'omega51'; did you mean"):
        load_scenario(write(tmp_path, 'fleet = "fleet.toml"'))


def test_unreadable_files(tmp_path):
    with pytest.raises(FileFormatError, match="must be a TOML file"):
        load_scenario(write(tmp_path, "name = "))
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_scenario(tmp_path / "none.toml")


def test_an_unknown_preset_is_refused_with_a_hint():
    with pytest.raises(ConfigError, match="did you mean 'hetero4'"):
        load_scenario("hetero")


def test_a_table_must_have_the_fleets_choices():
    with pytest.raises(ConfigError, match="choices must be the fleet's"):
        Scenario(name="x", fleet=load_fleet("hetero4"), table=toys.table([[1, 2]]))


def test_options_change_repeats_and_parts_of_the_decision_cost():
    scenario = load_scenario("hetero4").with_options(repeats=7, decision={"latency_us": 3, "workers": None})
    assert scenario.workload == Workload(repeats=7)
    assert scenario.decision == DecisionCost(latency_us=3.0)
    again = scenario.with_options(load=0.5, repeats=None, decision={"workers": 2})
    assert again.workload.repeats == 7
    assert again.decision == DecisionCost(latency_us=3.0, workers=2)
    assert again.with_options(decision=DecisionCost()).decision == DecisionCost()
    with pytest.raises(ConfigError, match="decision must be a DecisionCost or a mapping of its fields, got 3"):
        scenario.with_options(decision=3)
    with pytest.raises(ConfigError, match="unknown key 'latency_s'; did you mean 'latency_us'"):
        scenario.with_options(decision={"latency_s": 3})
    with pytest.raises(ConfigError, match="unexpected keyword argument 'repeat'; did you mean 'repeats'"):
        scenario.with_options(repeat=3)


def test_microseconds_become_cycles_of_the_fleets_clock():
    scenario = load_scenario("hetero4").with_options(
        decision={"latency_us": 12.5, "workers": 3, "cached": True, "lookup_us": 0.1}
    )
    table = toys.random_table(np.random.default_rng(0))
    for clock, cycles, lookup in ((10**9, 12_500, 100), (2 * 10**8, 2_500, 20), (10**6, 12, 1), (1_000, 1, 1)):
        slower = replace(scenario, fleet=replace(scenario.fleet, clock_hz=clock))
        settings = simulation_settings(slower, table, dispatch=True)
        assert (settings.decision, settings.lookup, settings.workers, settings.cached) == (cycles, lookup, 3, True)


def test_no_cost_stays_no_cost():
    settings = simulation_settings(load_scenario("hetero4"), toys.random_table(np.random.default_rng(0)), dispatch=True)
    assert (settings.decision, settings.lookup) == (0, 0)


def test_a_predictor_file_is_looked_for_beside_the_scenario(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "mine.npz"
    file.write_bytes(b"")  # read when a table is built
    monkeypatch.chdir(tmp_path / "models")
    text = 'name = "x"\nfleet = "hetero4"\npredictor = '
    assert load_scenario(write(tmp_path, f'{text}"models/mine.npz"')).predictor == str(file)
    assert load_scenario(write(tmp_path, f'{text}"{file}"')).predictor == str(file)
    with pytest.raises(FileFormatError, match=r"mine.npz: no such file"):
        load_scenario(write(tmp_path, f'{text}"mine.npz"'))  # it is in the working folder only


def test_repeats_leave_the_table_and_stretch_the_arrivals():
    once, often = load_scenario("hetero4"), load_scenario("hetero4").with_options(repeats=100)
    table = scenario_table(often)
    assert table is scenario_table(once)  # one of inferences, however many a job is
    one, many = (simulation_settings(each, table, dispatch=False) for each in (once, often))
    assert many.mean_gap == pytest.approx(100 * one.mean_gap)
    assert many.unit == pytest.approx(100 * one.unit)
    assert (one.repeats, many.repeats) == (1, 100)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exact", "closed_form", "closed_form_metadata", "gradient_boosting_metadata"])
def test_the_embedded_workload_is_predicted_by_the_predictor_named(name, own_cache):
    scenario = replace(load_scenario("hetero4"), predictor=name)
    table, classes = scenario_table(scenario), scenario_classes(scenario.workload)
    pairs = [(choice.accelerator, choice.dataflow) for choice in scenario.fleet.choices]
    assert (table.predicted_cycles == make_predictor(name).predict(classes, pairs)).all()
    assert table.provenance["predictor"] == name


@pytest.mark.slow
def test_a_changed_predictor_file_is_read_again(tmp_path, own_cache):
    shipped_predictor("gradient_boosting").save(tmp_path / "mine.npz")
    scenario = replace(load_scenario("hetero4"), predictor=str(tmp_path / "mine.npz"))
    first = scenario_table(scenario)
    shipped_predictor("gradient_boosting_metadata").save(tmp_path / "mine.npz")
    second = scenario_table(scenario)
    assert (first.predicted_cycles != second.predicted_cycles).any()


@pytest.mark.slow
def test_the_predictor_is_an_option_too():
    scenario = load_scenario("hetero4")
    assert scenario.with_options(predictor="exact").predictor == "exact"
    assert scenario.with_options(predictor=None).predictor == scenario.predictor
    with pytest.raises(ConfigError, match="did you mean 'closed_form'"):
        scenario.with_options(predictor="closed_from")
    env = gymnasium.make("gnnsched/Queue-v0", predictor="exact", jobs=3)
    assert (env.unwrapped.table.predicted_cycles == env.unwrapped.table.true_cycles).all()


def test_a_fleets_file_stands_for_its_fleet(tmp_path):
    path = tmp_path / "edge.toml"
    path.write_text("""
[fleet]
name = "edge"

[[accelerator]]
name = "one"
pes = 256
dataflows = "all"
""")
    scenario = load_scenario(path)
    assert (scenario.name, scenario.fleet) == ("edge", load_fleet(path))
    assert scenario.environment == load_scenario("hetero4").environment


@pytest.mark.parametrize("name", ["hetero4", "big_little"])
def test_a_scenario_is_what_its_dict_says(name):
    scenario = load_scenario(name).with_options(
        load=0.6,
        arrivals={"deadlines": (1, 5), "priorities": [(1, 3), (4, 1)]},
        reconfiguration=70,
        decision={"latency_us": 2},
    )
    written = json.loads(json.dumps(scenario.to_dict()))
    assert Scenario.from_dict(written) == load_scenario(written) == scenario


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fleets": 1}, "unknown key 'fleets'; did you mean 'fleet'"),
        ({"fleet": None}, "fleet must be given as the mapping that Fleet.to_dict returns"),
        ({"fleet": {"name": "x", "clock_hz": 1}}, "fleet: key 'accelerators' is missing"),
        ({"fleet": {"name": "x", "clock_hz": 1, "accelerators": 3}}, "fleet: accelerators must be a list, got 3"),
        ({"arrivals": []}, r"arrivals must be a mapping, got \[\]"),
        ({"environment": {"lod": 1}}, "unknown key 'lod'; did you mean 'load'"),
    ],
)
def test_a_bad_dict_of_a_scenario_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        Scenario.from_dict({**load_scenario("hetero4").to_dict(), **change})


def test_a_scenario_with_a_table_has_no_dict():
    scenario = Scenario(name="own", fleet=load_fleet("hetero4"), table=hetero_table())
    with pytest.raises(ConfigError, match="'own': one with a table"):
        scenario.to_dict()
