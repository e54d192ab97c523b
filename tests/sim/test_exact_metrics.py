"""Metrics against exact arithmetic, at times up to the simulator's limit of 2^62 cycles."""

from dataclasses import replace
from fractions import Fraction

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gnnsched_baselines  # noqa: F401  registers its policies
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.evaluation import policy_factory, run_policy
from gnnsched_env.hardware import Fleet, load_fleet
from gnnsched_env.hardware.accelerator import LONGEST_RECONFIGURATION
from gnnsched_env.scenario import Scenario, load_scenario, scenario_table
from gnnsched_env.sim import Simulation, SimulationSettings, episode_metrics, summarise
from gnnsched_env.sim.records import NEVER
from gnnsched_env.sim.state import HORIZON
from gnnsched_env.sim.totals import exact_sum
from tests import toys

LATEST = HORIZON - 1


@given(st.lists(st.integers(0, LATEST), max_size=300))
def test_a_sum_beyond_int64_is_exact(values):
    assert exact_sum(np.array(values, np.int64)) == sum(values)


@st.composite
def finished(draw):
    """Return a simulation whose records say that all is done, and its times as Python's integers."""
    accelerators, jobs, lanes = draw(st.integers(1, 60)), draw(st.integers(1, 40)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    late = draw(st.sampled_from([1000, 1 << 40, LATEST]))
    simulation = Simulation(
        toys.table(np.full((2, accelerators), 7)), SimulationSettings(mean_gap=1.0, unit=1.0, jobs=jobs, window=1),
        lanes=lanes,
    )  # fmt: skip
    simulation.lanes["ended"] = 1
    simulation.lanes["time"] = late
    simulation.accelerators["busy_cycles"] = rng.integers(0, late, (lanes, accelerators), endpoint=True)
    times = np.sort(rng.integers(0, late, (4, lanes, jobs), endpoint=True), axis=0)
    times[:, 0, : jobs // 2] = np.array([0, 0, 0, late])[:, np.newaxis]  # the longest that there can be
    for name, values in zip(("arrival", "ready", "start", "finish"), times, strict=True):
        simulation.jobs[name] = values
    simulation.jobs["due"] = np.where(rng.random((lanes, jobs)) < 0.5, NEVER, times[1])
    simulation.jobs["job_class"] = rng.integers(2, size=(lanes, jobs))
    simulation.jobs["weight"] = 1.0
    return simulation


def exactly(simulation):
    """Return the metrics of time as fractions."""
    jobs = [{name: int(job[name]) for name in job.dtype.names} for lane in simulation.jobs for job in lane]
    due = [job for job in jobs if job["due"] < NEVER]
    lanes, accelerators = simulation.accelerators.shape
    shares = [
        Fraction(sum(int(busy) for busy in own["busy_cycles"]), accelerators * int(lane["time"]))
        for own, lane in zip(simulation.accelerators, simulation.lanes, strict=True)
    ]
    return {
        "mean_completion": Fraction(sum(job["finish"] - job["arrival"] for job in jobs), len(jobs)),
        "mean_execution": Fraction(sum(job["finish"] - job["start"] for job in jobs), len(jobs)),
        "mean_predicting": Fraction(sum(job["ready"] - job["arrival"] for job in jobs), len(jobs)),
        "mean_weighted_completion": Fraction(sum(job["finish"] - job["arrival"] for job in jobs), len(jobs)),
        "mean_slowdown": Fraction(sum(job["finish"] - job["arrival"] for job in jobs), 7 * len(jobs)),
        "mean_tardiness": Fraction(sum(max(0, job["finish"] - job["due"]) for job in due), max(1, len(due))),
        "missed_deadlines": Fraction(sum(job["finish"] > job["due"] for job in due), max(1, len(due))),
        "utilisation": sum(shares) / lanes,
        "makespan": Fraction(sum(int(time) for time in simulation.lanes["time"]), lanes),
    }


@settings(max_examples=60, deadline=None)
@given(finished())
def test_metrics_are_those_of_exact_arithmetic(simulation):
    told = summarise(episode_metrics(simulation))
    for name, value in exactly(simulation).items():
        assert told[name] == pytest.approx(float(value), rel=1e-12), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "jobs"),
    [({"reconfiguration": LONGEST_RECONFIGURATION}, 30_000), ({"decision": {"latency_us": 1e9}}, 10_000)],
)
def test_the_longest_times_that_options_allow_are_averaged_rightly(options, jobs):
    scenario = load_scenario("flexible4").with_options(jobs=jobs, load=0.95, dataflow="predicted_best", **options)
    factory = policy_factory("sjf", dispatch=False)
    runs = run_policy(factory, scenario, scenario_table(scenario), dispatch=False, seed=0, episodes=1)
    records = runs.metrics.jobs[0]
    exact = sum(records["finish"].tolist()) - sum(records["arrival"].tolist())
    assert exact > 1 << 62 and summarise(runs.metrics)["mean_completion"] == pytest.approx(exact / jobs, rel=1e-12)


def test_changes_of_the_dataflow_count_towards_the_horizon():
    data = load_fleet("hetero4").to_dict()
    data["accelerators"][0]["reconfiguration_cycles"] = 1 << 62
    with pytest.raises(ConfigError, match="reconfiguration_cycles must be at most 1,099,511,627,776, got"):
        Fleet.from_dict(data)
    data["accelerators"][0]["reconfiguration_cycles"] = LONGEST_RECONFIGURATION
    fleet = Fleet.from_dict(data)
    with pytest.raises(ConfigError, match=r"longest change of a dataflow.* may take"):
        gymnasium.make("gnnsched/Queue-v0", scenario=Scenario(name="slow", fleet=fleet), jobs=5_000_000)


class LateJobs:
    """A trace whose jobs all come in the last cycle in which jobs may come."""

    num_jobs = 3_000_000

    def chunks(self, size):
        pytest.fail("nothing is read before times are known to be allowed")


def test_jobs_that_are_read_late_count_towards_the_horizon():
    table = toys.table([[(1 << 40) - 1]])
    allowed = SimulationSettings(mean_gap=1.0, unit=1.0, jobs=2_000_000, window=1)
    Simulation(table, allowed, source=LateJobs(), capacity=4)
    with pytest.raises(ConfigError, match=r"2200000 jobs, arrivals before 2\^61 cycles, .* may take 2\^62 cycles"):
        Simulation(table, replace(allowed, jobs=2_200_000), source=LateJobs(), capacity=4)


def test_settings_that_no_record_holds_are_refused():
    for name in ("jobs", "window", "decision", "lookup", "mix_jobs"):
        given = {"mean_gap": 1.0, "unit": 1.0, "jobs": 1, "window": 1} | {name: 1 << 63}
        with pytest.raises(ConfigError, match=f"simulation: {name} must be at most 4,611,686,018,427,387,904, got"):
            SimulationSettings(**given)
    with pytest.raises(ConfigError, match=r"clock_hz must be at most 1,000,000,000,000, got"):
        replace(load_fleet("hetero4"), clock_hz=10**400)
