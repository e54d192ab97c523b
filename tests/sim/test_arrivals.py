"""When jobs come and what they are: means, bursts, days, drifts, priorities and deadlines against closed forms."""

import math
from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.scenario import Arrivals
from gnnsched_env.sim import Modulation, Simulation, SimulationSettings, seed_arrays
from tests import toys

GAP = 1000.0
EPISODES = 4000
SIGMAS = 5.0
BURSTY = Arrivals(process="bursty", burst_rate=8.0, burst_share=0.25, burst_jobs=6.0)
DIURNAL = Arrivals(process="diurnal", period_jobs=40.0, amplitude=0.8)
PROCESSES = {
    "poisson": Arrivals(),
    "bursty": BURSTY,
    "long bursts": Arrivals(process="bursty", burst_rate=30.0, burst_share=0.02, burst_jobs=20.0),
    "diurnal": DIURNAL,
    "wild days": Arrivals(process="diurnal", period_jobs=7.0, amplitude=1.0),
}


def draw(jobs, *, arrivals=None, table=None, episodes=EPISODES, seed=0, **options):
    """Return the job records [episodes, jobs] of a seed's episodes."""
    modulation, phases = (arrivals or Arrivals()).phases(GAP)
    config = SimulationSettings(
        mean_gap=GAP, unit=1.0, jobs=jobs, window=1, dispatch=True, modulation=modulation, phases=phases, **options
    )
    fleet = Simulation(toys.table([[1, 1]]) if table is None else table, config, lanes=episodes)
    fleet.reset(*seed_arrays([seed] * episodes, range(episodes)), np.ones(episodes, bool))
    return fleet.jobs


def counts(times, since, until):
    """Return how many arrivals each episode has in [since, until), all of which must have been drawn."""
    assert (times[:, -1] >= until).all()
    return ((times >= since) & (times < until)).sum(axis=1).astype(float)


def assert_mean(samples, expected):
    """Assert that the mean of independent samples is as expected, to five standard errors."""
    error = samples.std(ddof=1) / math.sqrt(len(samples))
    assert abs(samples.mean() - expected) <= SIGMAS * error, (samples.mean(), expected, error)
    return error


@pytest.mark.parametrize("name", PROCESSES)
def test_every_process_keeps_the_mean_rate_from_the_first_moment_on(name):
    """A stationary process: the expected count of any stretch of time is its length over the mean gap."""
    times = draw(300, arrivals=PROCESSES[name])["arrival"]
    for since, until in ((0, 5), (0, 60), (30, 60)):
        error = assert_mean(counts(times, since * GAP, until * GAP), until - since)
        assert error < 0.1 * (until - since)


@pytest.mark.parametrize("kind", [Modulation.PERIODIC, Modulation.MARKOV])
def test_an_episode_begins_at_a_random_moment_of_its_phases(kind):
    """Few long phases: the mean count of the first stretch tells whether the first one is met at any point of it."""
    config = SimulationSettings(
        mean_gap=GAP, unit=1.0, jobs=300, window=1, dispatch=True, modulation=kind,
        phases=((40.0 * GAP, 0.25), (10.0 * GAP, 4.0)),
    )  # fmt: skip
    fleet = Simulation(toys.table([[1]]), config, lanes=EPISODES)
    fleet.reset(*seed_arrays([1] * EPISODES, range(EPISODES)), np.ones(EPISODES, bool))
    for since, until in ((0, 8), (0, 30), (20, 40)):
        assert_mean(counts(fleet.jobs["arrival"], since * GAP, until * GAP), until - since)


def test_poisson_counts_vary_as_much_as_their_mean():
    times = draw(100)["arrival"]
    found = counts(times, 0, 30 * GAP)
    assert_mean((found - 30.0) ** 2, 30.0)


@pytest.mark.slow
@pytest.mark.parametrize("length", [3.0, 40.0])
def test_bursts_take_their_share_at_their_rate_for_their_length(length):
    """The variance of a Markov-modulated process's counts follows from the bursts' share, rate and length.

    The rate's autocovariance is share (1 - share) (burst - calm)^2 exp(-t / T), 1 / T the sum of the phases' ends.
    """
    share, ratio = BURSTY.burst_share, BURSTY.burst_rate
    calm = 1.0 / (1.0 + share * (ratio - 1.0))
    burst_length = BURSTY.burst_jobs / (ratio * calm)  # in mean gaps
    ends = 1.0 / burst_length + share / (1.0 - share) / burst_length
    swing = share * (1.0 - share) * (ratio * calm - calm) ** 2
    variance = length + 2.0 * swing * (length / ends - (1.0 - math.exp(-ends * length)) / ends**2)
    times = draw(300, arrivals=BURSTY, episodes=8000)["arrival"]
    error = assert_mean((counts(times, 0, length * GAP) - length) ** 2, variance)
    assert error < 0.1 * variance
    assert variance > 2.0 * length


def test_the_day_is_a_sine_of_its_amplitude_and_period():
    """Counts of two quarters of a day, a lag apart, vary together by A^2 P^2 / (4 pi^2) cos(2 pi lag / P)."""
    period, amplitude = DIURNAL.period_jobs, DIURNAL.amplitude
    times = draw(220, arrivals=DIURNAL, episodes=8000)["arrival"]
    quarter = period / 4.0
    size = (amplitude * period / (2.0 * math.pi)) ** 2
    first = counts(times, 0, quarter * GAP) - quarter
    for lag, expected in ((0.25, 0.0), (0.5, -size), (1.0, size), (1.5, -size), (2.0, size)):
        later = counts(times, lag * period * GAP, (lag * period + quarter) * GAP) - quarter
        error = assert_mean(first * later, expected)
        assert error < 0.1 * size


def two_groups(weights=(0.5, 0.5)):
    return replace(toys.table([[1], [1]]), weights=np.array(weights), class_groups=np.arange(2), group_names=("a", "b"))


def test_a_drifting_mix_goes_round_in_its_jobs():
    """With 64 jobs to a round, a job's number is its turn: group 0 swings from 0.8 over 0.5 to 0.2 and back."""
    jobs = draw(128, table=two_groups(), drift=0.6, mix_jobs=64)
    first = (jobs["job_class"] == 0).astype(float)
    for number, share in ((0, 0.8), (16, 0.5), (32, 0.2), (48, 0.5), (64, 0.8), (96, 0.2), (8, 0.5 + 0.3 * 2**-0.5)):
        assert_mean(first[:, number], share)
    assert_mean(first.mean(axis=1), 0.5)


@pytest.mark.parametrize("weights", [(0.9, 0.1), (0.02, 0.98), (0.5, 0.3, 0.2)])
def test_a_drifting_mix_keeps_its_shares_on_average(weights):
    groups = len(weights)
    table = replace(
        toys.table([[1]] * groups),
        weights=np.array(weights),
        class_groups=np.arange(groups),
        group_names=("g",) * groups,
    )
    jobs = draw(64, table=table, drift=1.0, mix_jobs=64)
    for number, share in enumerate(weights):
        own = jobs["job_class"] == number
        assert_mean(own.mean(axis=1), share)
        assert np.ptp(own.mean(axis=0)) > 0.5 * min(share, 1.0 - share)  # it drifts


def test_a_slow_drift_stays_in_its_turn_and_none_keeps_the_mix():
    jobs = draw(64, table=two_groups(), drift=1.0, mix_jobs=6400)
    assert_mean((jobs["job_class"] == 0).mean(axis=1), 1.0)  # turn 0 all along: group b is absent
    jobs = draw(64, table=two_groups((0.3, 0.7)))
    assert_mean((jobs["job_class"] == 0).mean(axis=1), 0.3)


def test_classes_come_in_their_shares():
    weights = np.array([5.0, 1.0, 0.0, 3.0, 1.0])
    jobs = draw(50, table=toys.table([[1]] * 5, weights=weights))
    for number, share in enumerate(weights / weights.sum()):
        assert_mean((jobs["job_class"] == number).mean(axis=1), share)


def test_priorities_come_in_their_shares():
    jobs = draw(50, priorities=((1.0, 6.0), (4.0, 3.0), (0.5, 1.0)))
    assert sorted(set(jobs["weight"].ravel().tolist())) == [0.5, 1.0, 4.0]
    for weight, share in ((1.0, 0.6), (4.0, 0.3), (0.5, 0.1)):
        assert_mean((jobs["weight"] == weight).mean(axis=1), share)
    assert (draw(5, episodes=3)["weight"] == 1.0).all()
    assert (draw(5, episodes=3, priorities=((2.5, 1.0),))["weight"] == 2.5).all()


def test_due_times_are_spread_evenly():
    jobs = draw(50, slack=(200.0, 1000.0))
    late = (jobs["due"] - jobs["arrival"]).astype(float)
    assert late.min() >= 200.0
    assert late.max() <= 1000.0
    assert_mean(late.mean(axis=1), 600.0)
    assert_mean(((late - 600.0) ** 2).mean(axis=1), 800.0**2 / 12.0)


def test_what_jobs_are_does_not_depend_on_when_they_come():
    """Each purpose has its own stream: another process moves the arrivals only."""
    options = {"priorities": ((1.0, 1.0), (2.0, 1.0)), "slack": (10.0, 900.0), "table": two_groups(), "episodes": 5}
    steady, bursty = draw(60, **options), draw(60, arrivals=BURSTY, **options)
    assert (steady["arrival"] != bursty["arrival"]).any()
    for name in ("job_class", "weight"):
        assert (steady[name] == bursty[name]).all()
    assert (steady["due"] - steady["arrival"] == bursty["due"] - bursty["arrival"]).all()
    drawn = [steady["weight"] - 1.5, steady["job_class"] - 0.5]
    drawn.append((steady["due"] - steady["arrival"] - 455.0) / 445.0)
    for one in range(3):
        for other in range(one):
            assert abs((drawn[one] * drawn[other]).mean()) < 0.1


@pytest.mark.kernels
def test_phases_without_arrivals_are_passed():
    """A rate of 0 for 900 of 1000 cycles: nothing arrives in them, whatever the start."""
    config = SimulationSettings(
        mean_gap=50.0, unit=1.0, jobs=40, window=1, dispatch=True,
        modulation=Modulation.PERIODIC, phases=((900.0, 0.0), (100.0, 10.0)),
    )  # fmt: skip
    fleet = Simulation(toys.table([[1]]), config, lanes=30)
    fleet.reset(*seed_arrays([3] * 30, range(30)), np.ones(30, bool))
    for arrivals in fleet.jobs["arrival"]:
        occupied = sorted(((arrivals - arrivals[0]) % 1000).tolist())
        gaps = np.diff([*occupied, occupied[0] + 1000])
        assert gaps.max() >= 890  # folded by the period, all lie within a tenth of it
