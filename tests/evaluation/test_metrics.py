"""What episodes amount to, against figures worked out by hand and against records followed step by step."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common.errors import GnnSchedError
from gnnsched_env.sim import Simulation, SimulationSettings, episode_metrics, seed_arrays, summarise
from gnnsched_env.sim.metrics import joined
from gnnsched_env.sim.records import JOB, NEVER
from tests import toys

TWO_MACHINES = [[4, 9], [6, 2]]  # class 0 prefers machine 0, class 1 machine 1


def settings(**options):
    return SimulationSettings(**{"mean_gap": 1e-9, "unit": 1.0, "jobs": 3, "window": 4, **options})


def toy(energy=None, **options):
    """Return a fleet of two machines with three jobs of class 0, all there at time 0."""
    table = toys.table(TWO_MACHINES, weights=[1, 0])
    if energy is not None:
        table = replace(table, energy_pj=np.array(energy, np.float64))
    fleet = Simulation(table, settings(**options))
    fleet.reset(*seed_arrays([0], [0]), np.ones(1, bool))
    return fleet


def play(fleet, actions):
    for action in actions:
        fleet.step(np.array([action]))
    return episode_metrics(fleet)


def test_deadlines_and_weights_by_hand():
    fleet = toy()
    fleet.jobs["due"][0] = [5, 7, NEVER]
    fleet.jobs["weight"][0] = [1, 2, 1]
    metrics = play(fleet, [0, 1, 0])  # finish at 4, 9 and 8
    assert metrics.tardiness.tolist() == [[0, 2, 0]]
    assert metrics.has_deadline.tolist() == [[True, True, False]]
    means = summarise(metrics)
    assert means["missed_deadlines"] == 1 / 2
    assert means["mean_tardiness"] == 2 / 2
    assert means["mean_weighted_completion"] == (4 + 2 * 9 + 8) / 4
    assert means["mean_completion"] == (4 + 9 + 8) / 3


def test_a_job_that_ends_when_it_is_due_is_in_time():
    fleet = toy()
    fleet.jobs["due"][0] = [4, 9, 7]
    means = summarise(play(fleet, [0, 1, 0]))
    assert (means["missed_deadlines"], means["mean_tardiness"]) == (1 / 3, 1 / 3)


def test_without_deadlines_weights_failures_or_energies_nothing_is_nan():
    means = summarise(play(toy(), [0, 1, 0]))
    assert means["missed_deadlines"] == means["mean_tardiness"] == means["energy_pj"] == 0.0
    assert means["mean_weighted_completion"] == means["mean_completion"]
    assert (means["mean_failures"], means["mean_aborted"], means["availability"]) == (0.0, 0.0, 1.0)


def test_energy_is_that_of_all_runs():
    means = summarise(play(toy(energy=[[10, 25], [1, 1]]), [0, 1, 0]))
    assert means["energy_pj"] == 10 + 25 + 10
    assert means["mean_energy_pj"] == 45 / 3


def test_the_makespan_is_the_last_finish_and_bounds_the_use():
    metrics = play(toy(), [0, 1, 0])
    assert metrics.makespan.tolist() == [9]
    assert metrics.utilisation.tolist() == [(8 + 9) / 18]


def test_an_episode_that_runs_has_no_metrics():
    with pytest.raises(GnnSchedError, match="lanes \\[0\\] still run"):
        episode_metrics(toy())


class Watched:
    """A failing fleet that is watched decision by decision: the moments at which its accelerators changed."""

    def __init__(self, seed):
        table = toys.random_table(np.random.default_rng(seed))
        config = settings(mean_gap=300.0, jobs=150, mean_up=30_000.0, mean_down=4_000.0)
        self.fleet = Simulation(table, config)
        self.fleet.reset(*seed_arrays([seed], [0]), np.ones(1, bool))
        self.moments = [[] for _ in range(table.num_accelerators)]
        rng = np.random.default_rng(seed)
        self.look()
        while not self.fleet.lanes["ended"][0]:
            self.fleet.step(rng.integers(0, 4 * table.num_choices + 1, 1))
            self.look()

    def look(self):
        for moments, accelerator in zip(self.moments, self.fleet.accelerators[0], strict=True):
            new = int(accelerator["changes"]) - len(moments)
            assert new <= 1, "two changes between decisions: take another seed"
            moments += [int(accelerator["changed"])] * new


@pytest.mark.parametrize("seed", [5, 8, 31])  # in the last two some are down at the end
def test_failures_and_availability_of_a_fleet_that_is_watched(seed):
    watched = Watched(seed)
    fleet = watched.fleet
    end = int(fleet.jobs["finish"].max())
    down = sum(
        (moments[2 * k + 1] if 2 * k + 1 < len(moments) else end) - moments[2 * k]
        for moments in watched.moments
        for k in range((len(moments) + 1) // 2)
    )
    failures = sum((len(moments) + 1) // 2 for moments in watched.moments)
    metrics = episode_metrics(fleet)
    assert failures > 2 and down > 0
    assert metrics.failures.tolist() == [failures]
    assert metrics.availability[0] == pytest.approx(1 - down / (len(watched.moments) * end))
    assert metrics.aborted[0] == fleet.jobs["aborted"].sum() == len(fleet.aborted_runs()) > 0
    means = summarise(metrics)
    assert (means["mean_failures"], means["mean_aborted"]) == (failures, metrics.aborted[0])


class Given:
    """Two hundred jobs, some with due times and weights, handed over part by part."""

    num_jobs = 200

    def __init__(self):
        rng = np.random.default_rng(0)
        self.jobs = np.zeros(self.num_jobs, JOB)
        self.jobs["arrival"] = np.sort(rng.integers(0, 60_000, self.num_jobs))
        self.jobs["job_class"] = rng.integers(0, 12, self.num_jobs)
        self.jobs["weight"] = rng.choice([1.0, 2.5], self.num_jobs)
        self.jobs["due"] = np.where(rng.random(self.num_jobs) < 0.5, self.jobs["arrival"] + 900, NEVER)

    def chunks(self, size):
        for first in range(0, self.num_jobs, min(size, 7)):
            yield self.jobs[first : first + min(size, 7)]


def run_given(capacity, lanes=2):
    table = toys.random_table(np.random.default_rng(0))
    fleet = Simulation(table, settings(jobs=200), lanes=lanes, source=Given(), capacity=capacity)
    fleet.reset(*seed_arrays(range(lanes), [0] * lanes), np.ones(lanes, bool))
    place = 0
    while not fleet.lanes["ended"].all():
        fleet.step(np.array([place % 7, (3 * place) % 5])[:lanes])
        place += 1
    return fleet


@pytest.mark.slow
def test_jobs_whose_records_are_not_kept_count_too():
    held, streamed = run_given(200), run_given(32)
    assert streamed.streaming and not held.streaming
    assert episode_metrics(streamed).jobs.shape[1] == 0
    whole, parts = (summarise(episode_metrics(fleet)) for fleet in (held, streamed))
    assert parts == pytest.approx(whole)
    assert 0 < whole["missed_deadlines"] < 1
    assert whole["mean_weighted_completion"] != pytest.approx(whole["mean_completion"], rel=1e-6)


def test_metrics_do_not_change_with_the_next_episode():
    fleet = toy()
    metrics = play(fleet, [0, 1, 0])
    before = summarise(metrics), metrics.completion.tolist()
    fleet.reset(*seed_arrays([1], [0]), np.ones(1, bool))
    assert (summarise(metrics), metrics.completion.tolist()) == before


def test_joined_metrics_are_those_of_all_episodes():
    fleets = [play(toy(energy=[[10, 25], [1, 1]]), actions) for actions in ([0, 1, 0], [0, 8, 0, 8, 0])]
    both = joined(fleets)
    assert both.completion.tolist() == [[4, 9, 8], [4, 8, 12]]
    assert both.makespan.tolist() == [9, 12]
    means = summarise(both)
    assert means["mean_completion"] == (21 + 24) / 6
    assert (means["energy_pj"], means["mean_energy_pj"]) == ((45 + 30) / 2, 75 / 6)
