"""The sections on arrivals, failures, prediction errors and rewards: what they say and become, what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.checks import declared
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import (
    Arrivals,
    Failures,
    PredictionError,
    Reward,
    Scenario,
    load_scenario,
    scenario_table,
    simulation_settings,
)
from gnnsched_env.scenario.resolve import perturbed
from gnnsched_env.sim import PROCESSES, Modulation, Simulation
from tests import toys
from tests.envs.environments import hetero_table

EVERYTHING = """
fleet = "hetero4"
[arrivals]
process = "bursty"
burst_rate = 10
burst_share = 0.1
burst_jobs = 50
period_jobs = 500
amplitude = 0.5
drift = 0.25
drift_jobs = 300
deadlines = [1, 4.5]
priorities = [[1, 9], [10, 1.0]]
[failures]
up = 200
down = 5
[prediction_error]
noise = 0.2
bias = 1.5
seed = 3
[reward]
completion = 0
weighted = 1
tardiness = 2.5
energy = 0.1
"""


def scenario(**options):
    table = replace(hetero_table(), energy_pj=np.random.default_rng(0).uniform(1.0, 9.0, (20, 9)))
    return Scenario(name="random", fleet=load_fleet("hetero4"), table=table).with_options(**options)


def range_of(pair):
    return range(pair[0], pair[1] + 1)


def settings_of(**options):
    chosen = scenario(**options)
    return simulation_settings(chosen, scenario_table(chosen), dispatch=False)


def test_a_file_sets_every_field(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(EVERYTHING)
    read = load_scenario(path)
    assert read.arrivals == Arrivals(
        process="bursty", burst_rate=10.0, burst_share=0.1, burst_jobs=50.0, period_jobs=500.0, amplitude=0.5,
        drift=0.25, drift_jobs=300, deadlines=(1.0, 4.5), priorities=((1.0, 9.0), (10.0, 1.0)),
    )  # fmt: skip
    assert read.failures == Failures(up=200.0, down=5.0)
    assert read.prediction_error == PredictionError(noise=0.2, bias=1.5, seed=3)
    assert read.reward == Reward(completion=0.0, weighted=1.0, tardiness=2.5, energy=0.1)
    for section in (read.arrivals, read.failures, read.prediction_error, read.reward):
        hash(section)


def test_by_default_nothing_is_unusual():
    chosen = load_scenario("hetero4")
    assert chosen.arrivals == Arrivals(process="poisson")
    assert chosen.failures == Failures(up=0.0)
    settings = settings_of()
    assert settings.modulation is Modulation.STEADY
    assert not settings.changing
    assert (settings.phases, settings.drift, settings.priorities, settings.slack) == ((), 0.0, (), None)
    assert (settings.mean_up, settings.mean_down) == (0.0, 0.0)
    assert (settings.completion, settings.weighted, settings.tardiness, settings.energy) == (1.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("section", "text", "message"),
    [
        ("arrivals", 'process = "possion"', "arrivals: process must be one of .*; did you mean 'poisson'"),
        ("arrivals", "burst_rate = 1", r"burst_rate must be a number above 1 and at most 1e\+06, got 1"),
        ("arrivals", "burst_rate = nan", "burst_rate must be a number above 1 .*, got nan"),
        ("arrivals", "burst_share = 0", "burst_share must be a number above 0 and at most 0.99, got 0"),
        ("arrivals", "burst_share = 1.0", "burst_share must be a number above 0 and at most 0.99, got 1.0"),
        ("arrivals", "burst_jobs = 0", "burst_jobs must be a number from 1 to .*, got 0"),
        ("arrivals", "burst_jobs = true", "burst_jobs must be a number from 1 to .*, got True"),
        ("arrivals", "period_jobs = 0.9", "period_jobs must be a number from 1 to .*, got 0.9"),
        ("arrivals", "amplitude = 1.1", "amplitude must be a number from 0 to 1, got 1.1"),
        ("arrivals", "drift = -0.1", "drift must be a number from 0 to 1, got -0.1"),
        ("arrivals", "drift_jobs = 0", "drift_jobs must be an integer of at least 1, got 0"),
        ("arrivals", "drift_jobs = 2.5", "drift_jobs must be an integer of at least 1, got 2.5"),
        ("arrivals", "deadlines = 3", r"deadlines must be \[least, most\], .*, got 3"),
        ("arrivals", "deadlines = [3]", r"deadlines must be \[least, most\], .*, got \[3\]"),
        ("arrivals", "deadlines = [3, 2]", r"0 <= least <= most .*, got \[3, 2\]"),
        ("arrivals", "deadlines = [-1, 2]", r"0 <= least <= most .*, got \[-1, 2\]"),
        ("arrivals", "deadlines = [1, nan]", r"0 <= least <= most .*, got \[1, nan\]"),
        ("arrivals", 'deadlines = ["1", 2]', r"deadlines must be \[least, most\]"),
        ("arrivals", "priorities = 3", "priorities must be a list, got 3"),
        (
            "arrivals",
            "priorities = [1, 2]",
            r"priorities must be \[weight, share\] pairs, both from 1e-06 to 1e\+06, got 1",
        ),
        ("arrivals", "priorities = [[1, 0]]", r"priorities must be .* both from 1e-06 to 1e\+06, got \[1, 0\]"),
        ("arrivals", "priorities = [[1, 1e-7]]", r"both from 1e-06 to 1e\+06, got \[1, 1e-07\]"),
        ("arrivals", "priorities = [[1e7, 1]]", r"both from 1e-06 to 1e\+06, got \[10000000.0, 1\]"),
        ("arrivals", 'priorities = ["ab"]', "priorities must be .* pairs, .*, got 'ab'"),
        ("arrivals", "deadlines = [1, 1e10]", r"0 <= least <= most <= 1e\+09, got \[1, 10000000000.0\]"),
        ("arrivals", "priorities = [[-1, 1]]", r"priorities must be .* both from 1e-06 to 1e\+06, got \[-1, 1\]"),
        (
            "arrivals",
            "priorities = [[1, 1, 1]]",
            r"priorities must be .* pairs, both from 1e-06 to 1e\+06, got \[1, 1, 1\]",
        ),
        ("arrivals", "proces = 1", "arrivals: unknown key 'proces'; did you mean 'process'"),
        ("failures", "up = -1", r"failures: up must be a number from 0 to 1e\+09, got -1"),
        ("failures", "down = 0", "failures: down must be a number above 0 .*, got 0"),
        ("failures", "dwon = 1", "failures: unknown key 'dwon'; did you mean 'down'"),
        ("prediction_error", "noise = 5.5", "prediction_error: noise must be a number from 0 to 5, got 5.5"),
        ("prediction_error", "bias = 0", "prediction_error: bias must be a number above 0 .*, got 0"),
        ("prediction_error", "seed = -1", "prediction_error: seed must be an integer of at least 0, got -1"),
        ("reward", "energy = -0.5", r"reward: energy must be a number from 0 to 1e\+06, got -0.5"),
        ("reward", 'energy = "much"', "reward: energy must be a number .*, got 'much'"),
        ("reward", "completion = 0", "reward: one of completion, .* must be above 0, got only zeros"),
        ("reward", "latency = 1", "reward: unknown key 'latency'"),
    ],
)
def test_bad_sections_are_refused(tmp_path, section, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(f'fleet = "hetero4"\n[{section}]\n{text}\n')
    with pytest.raises(ConfigError, match=message) as caught:
        load_scenario(path)
    assert str(caught.value).startswith(f"{path}: {section}: ")


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda pair: np.array(pair, np.float32), range_of])
def test_deadlines_and_priorities_are_any_sequences(kind):
    expected = Arrivals(deadlines=(1.0, 2.0), priorities=((1.0, 2.0), (3.0, 4.0)))
    given = Arrivals(deadlines=kind([1, 2]), priorities=[kind([1, 2]), kind([3, 4])])
    assert given == expected and hash(given) == hash(expected)
    assert Arrivals(deadlines=(1, 2), priorities=np.array([[1, 2], [3, 4]])) == expected
    assert repr(given) == repr(expected)  # plain floats


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deadlines": np.array([1, 2, 3])}, r"deadlines must be \[least, most\], .*, got array\(\[1, 2, 3\]\)"),
        ({"deadlines": np.array([[1, 2]])}, r"deadlines must be \[least, most\], .*, got array"),
        ({"deadlines": np.array(1.0)}, r"deadlines must be \[least, most\], .*, got array\(1.\)"),
        ({"deadlines": np.array([2, 1])}, "0 <= least <= most .*, got array"),
        ({"deadlines": "12"}, "deadlines must be .*, got '12'"),
        ({"deadlines": (True, 2)}, r"deadlines must be .*, got \(True, 2\)"),
        ({"priorities": np.array([1.0, 2.0])}, "priorities must be .* pairs, .*, got 1.0"),
        ({"priorities": np.array([[1.0, 2.0, 3.0]])}, r"priorities must be .* pairs, .*, got \[1.0, 2.0, 3.0\]"),
        ({"priorities": {1.0: 2.0}}, "priorities must be a list, got {1.0: 2.0}"),
    ],
)
def test_what_is_no_such_sequence_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Arrivals(**options)


def test_short_forms():
    assert scenario(arrivals="bursty").arrivals == Arrivals(process="bursty")
    assert scenario(prediction_error=0.05).prediction_error == PredictionError(noise=0.05)
    assert scenario(prediction_error=(0.05, 2)).prediction_error == PredictionError(noise=0.05, bias=2.0)
    assert scenario(failures=(200, 20)).failures == Failures(up=200.0, down=20.0)
    assert scenario(reward="energy").reward == Reward(completion=0.0, energy=1.0)
    assert scenario(reward="tardiness").reward == Reward(completion=0.0, tardiness=1.0)
    assert scenario(failures={"up": 50}).failures == Failures(up=50.0)
    again = scenario(arrivals={"drift": 0.0, "process": "diurnal"}).with_options(arrivals={"amplitude": 0.1})
    assert again.arrivals == Arrivals(process="diurnal", amplitude=0.1)
    assert again.with_options(arrivals=Arrivals()).arrivals == Arrivals()
    for options, message in (
        ({"arrivals": "burst"}, "did you mean 'bursty'"),
        ({"reward": "energies"}, "reward must be one of .*did you mean 'energy'"),
        ({"failures": 3}, "failures must be a Failures, a mapping of its fields or two numbers, up and down, got 3"),
        ({"prediction_error": True}, "prediction_error must be a PredictionError, a mapping of its fields or one or"),
        ({"prediction_error": (1, 2, 3)}, r"prediction_error must be .*, got \(1, 2, 3\)"),
        ({"reward": 2.0}, "reward must be a Reward, a mapping of its fields or the name of a price, .*, got 2.0"),
        ({"reconfiguration": -1}, "reconfiguration must be an integer of at least 0, got -1"),
        ({"reconfiguration": 1 << 41}, "reconfiguration must be at most"),
    ):
        with pytest.raises(ConfigError, match=message):
            scenario(**options)


def test_reconfiguration_is_that_of_every_accelerator():
    assert {each.reconfiguration_cycles for each in scenario(reconfiguration=77).fleet.accelerators} == {77}
    assert (
        scenario(reconfiguration=0).fleet.accelerators
        == scenario(reconfiguration=5).with_options(reconfiguration=0).fleet.accelerators
    )


@given(rate=st.floats(1.001, 1e6), share=st.floats(1e-3, 0.99), jobs=st.floats(1.0, 1e6), gap=st.floats(1e-3, 1e9))
def test_bursts_keep_the_mean_rate(rate, share, jobs, gap):
    arrivals = Arrivals(process="bursty", burst_rate=rate, burst_share=share, burst_jobs=jobs)
    kind, ((calm_length, calm), (burst_length, burst)) = arrivals.phases(gap)
    assert kind is Modulation.MARKOV
    whole = calm_length + burst_length
    assert burst_length / whole == pytest.approx(share)
    assert burst / calm == pytest.approx(rate)
    assert (calm_length * calm + burst_length * burst) / whole == pytest.approx(1.0)
    assert burst_length * burst / gap == pytest.approx(jobs)


@given(period=st.floats(1.0, 1e9), amplitude=st.floats(0.0, 1.0), gap=st.floats(1e-3, 1e9))
def test_a_day_keeps_the_mean_rate(period, amplitude, gap):
    kind, phases = Arrivals(process="diurnal", period_jobs=period, amplitude=amplitude).phases(gap)
    lengths, rates = np.array(phases).T
    assert kind is Modulation.PERIODIC
    assert lengths.sum() == pytest.approx(period * gap)
    assert np.average(rates, weights=lengths) == pytest.approx(1.0)
    assert rates.min() >= 0.0
    assert rates.max() - 1.0 == pytest.approx(amplitude, rel=1e-3)
    assert rates[:48].min() >= 1.0 >= rates[48:].max() - 1e-9  # first the busy half


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_declared_with_all_its_parameters_and_keeps_the_mean_rate(name):
    assert declared(PROCESSES[name]).keys() <= declared(Arrivals).keys()
    _, phases = Arrivals(process=name).phases(1000.0)
    assert not phases or sum(length * (rate - 1.0) for length, rate in phases) == pytest.approx(0.0, abs=1e-6)


def test_times_are_in_mean_service_times_of_a_job():
    options = {
        "failures": {"up": 300.0, "down": 2.0}, "arrivals": {"deadlines": [2, 8], "process": "bursty"}, "repeats": 5
    }  # fmt: skip
    settings = settings_of(**options)
    table = hetero_table()
    service = 5.0 * float(table.weights @ table.true_cycles.min(axis=1))
    assert (settings.mean_up, settings.mean_down) == pytest.approx((300.0 * service, 2.0 * service))
    assert settings.slack == pytest.approx((2.0 * service, 8.0 * service))
    assert settings.phases == Arrivals(process="bursty").phases(settings.mean_gap)[1]
    assert settings_of(failures={"down": 9.0}).mean_down == 0.0  # nothing fails unless `up` says so


def test_energy_is_in_units_of_the_mean_least_energy():
    """A job of the mean least energy costs as much as a unit of time in the system."""
    chosen = scenario(reward={"completion": 0.0, "energy": 3.0}, repeats=4)
    table = scenario_table(chosen)
    settings = simulation_settings(chosen, table, dispatch=True)
    simulation = Simulation(table, settings)
    least = float(table.weights @ simulation.pairs["energy"].min(axis=1))
    assert settings.energy * least / settings.unit == pytest.approx(3.0 / settings.jobs)
    bare = replace(chosen, table=replace(hetero_table(), energy_pj=None))
    with pytest.raises(ConfigError, match="reward: energy needs a latency table with energies"):
        simulation_settings(bare, scenario_table(bare), dispatch=True)


@pytest.mark.parametrize(
    "options",
    [{"failures": {"up": 1e9}}, {"failures": {"up": 100.0, "down": 1e9}}, {"arrivals": {"deadlines": [0, 1e9]}}],
)
def test_times_beyond_int64_are_refused(options):
    settings = settings_of(repeats=2, **options)
    assert Simulation(scenario_table(scenario()), settings).num_lanes == 1
    settings = settings_of(repeats=10**8, **options)
    with pytest.raises(ConfigError, match=r"may take 2\^62 cycles or more"):
        Simulation(scenario_table(scenario()), settings)


def test_a_mix_of_one_group_cannot_drift():
    settings = settings_of(arrivals={"drift": 0.5})
    with pytest.raises(ConfigError, match="only drift between two or more groups of classes, got 1"):
        Simulation(hetero_table(), settings)


def test_predictions_are_wrong_as_asked():
    big = toys.table(np.full((400, 50), 10**6))
    wrong = perturbed(big, PredictionError(noise=0.3, bias=2.0, seed=5))
    logs = np.log(wrong.predicted_cycles / 10**6)
    assert (wrong.true_cycles == big.true_cycles).all()
    assert abs(logs.mean() - math.log(2.0)) < 5 * 0.3 / math.sqrt(logs.size)
    assert abs(logs.std() - 0.3) < 5 * 0.3 / math.sqrt(2 * logs.size)
    again = perturbed(big, PredictionError(noise=0.3, bias=2.0, seed=5))
    other = perturbed(big, PredictionError(noise=0.3, bias=2.0, seed=6))
    assert (again.predicted_cycles == wrong.predicted_cycles).all()
    assert (other.predicted_cycles != wrong.predicted_cycles).mean() > 0.9
    assert perturbed(big, PredictionError(seed=9)) is big
    assert (perturbed(big, PredictionError(bias=3.0)).predicted_cycles == 3 * 10**6).all()


def test_wrong_predictions_stay_latencies():
    extreme = toys.table([[1, 2, (1 << 40) - 1]])
    low = perturbed(extreme, PredictionError(bias=1e-3)).predicted_cycles
    high = perturbed(extreme, PredictionError(bias=1e3)).predicted_cycles
    assert low.tolist() == [[1, 1, round(((1 << 40) - 1) * 1e-3)]]
    assert high.tolist() == [[1000, 2000, (1 << 40) - 1]]


def test_an_error_comes_on_top_of_the_predictors_and_changes_the_unit_only():
    plain, wrong = settings_of(), settings_of(prediction_error={"bias": 2.0})
    table = scenario_table(scenario(prediction_error={"bias": 2.0}))
    assert (table.predicted_cycles == 2 * hetero_table().predicted_cycles).all()
    assert wrong.mean_gap == plain.mean_gap  # the load follows from the truth
    assert wrong.unit == pytest.approx(2.0 * plain.unit)
