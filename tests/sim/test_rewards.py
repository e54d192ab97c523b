"""What each part of the objective charges, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim import Simulation, SimulationSettings, seed_arrays
from gnnsched_env.sim.rewards import TERMS, episode_charges
from tests import toys
from tests.twins import draws as naive_draws

pytestmark = pytest.mark.kernels

NOTHING = {"completion": 0.0}
FAILING = {"mean_up": 400.0, "mean_down": 60.0}


def fleet_of(true, energies=None, *, jobs, seed=0, owners=None, reconfiguration=None, **options):
    """Return a Dispatch fleet whose jobs all come at time 0, at its first decision; `energies` are of the table."""
    table = toys.table(true, owners=owners)
    if energies is not None:
        table = replace(table, energy_pj=np.array(energies))
    defaults = {"mean_gap": 1e-9, "unit": 1.0, "window": 1, "dispatch": True}
    fleet = Simulation(table, SimulationSettings(**defaults | options, jobs=jobs), reconfiguration=reconfiguration)
    fleet.reset(*seed_arrays([seed], [0]), np.ones(1, bool))
    return fleet


def finished(fleet, actions):
    rewards = toys.play(fleet, actions)
    assert fleet.lanes["ended"][0]
    return rewards


@pytest.mark.parametrize(
    ("slack", "late"),
    [(0.0, [4, 8, 12]), (6.0, [0, 2, 6]), (7.4, [0, 1, 5]), (8.0, [0, 0, 4]), (11.0, [0, 0, 1]), (12.0, [0, 0, 0])],
)
def test_a_missed_deadline_is_charged_by_how_much_it_was_missed(slack, late):
    """Three jobs of four cycles one after another finish at 4, 8 and 12; due to the nearest cycle."""
    fleet = fleet_of([[4]], jobs=3, slack=(slack, slack), tardiness=2.0, **NOTHING)
    assert fleet.jobs["due"][0].tolist() == [round(slack)] * 3
    assert finished(fleet, [0, 0, 0]) == [0.0, 0.0, -2.0 * sum(late)]


def test_lateness_is_charged_when_the_job_finishes():
    """In Queue the next decision comes when the accelerator is free again: each step ends with a completion."""
    fleet = fleet_of([[4]], jobs=3, dispatch=False, window=3, slack=(6.0, 6.0), tardiness=1.0, **NOTHING)
    assert finished(fleet, [0, 0, 0]) == [0.0, -2.0, -6.0]


def test_deadlines_alone_charge_nothing():
    assert sum(finished(fleet_of([[4]], jobs=3, slack=(0.0, 0.0)), [0, 0, 0])) == -(4 + 8 + 12)
    assert sum(finished(fleet_of([[4]], jobs=3, tardiness=5.0), [0, 0, 0])) == -(4 + 8 + 12)  # nothing is due


def weighty(weights, **options):
    """Return a fleet of one accelerator whose jobs weigh so much, by the first seed that draws them."""
    priorities = tuple((weight, 1.0) for weight in sorted(set(weights)))
    for seed in range(1000):
        fleet = fleet_of([[4]], jobs=len(weights), seed=seed, priorities=priorities, **options)
        if fleet.jobs["weight"][0].tolist() == weights:
            return fleet
    return pytest.fail("no seed draws these weights")


def test_weights_multiply_completion_times():
    assert sum(finished(weighty([1.0, 8.0, 0.5], weighted=1.0, **NOTHING), [0] * 3)) == -(4 + 8 * 8 + 0.5 * 12)
    assert sum(finished(weighty([1.0, 8.0, 0.5], weighted=3.0, completion=2.0), [0] * 3)) == -3.0 * 74 - 2.0 * 24
    assert sum(finished(weighty([1.0, 8.0, 0.5]), [0] * 3)) == -24  # by default they are shown, not charged


def test_the_more_important_job_first_pays():
    first = weighty([1.0, 8.0], weighted=1.0, dispatch=False, window=2, **NOTHING)
    assert finished(first, [0, 0]) == [-9.0 * 4, -8.0 * 4]
    second = weighty([1.0, 8.0], weighted=1.0, dispatch=False, window=2, **NOTHING)
    assert finished(second, [1, 0]) == [-9.0 * 4, -1.0 * 4]


def test_time_under_prediction_weighs_as_much():
    """Predicted at 10 and 20, done at 14 and 24."""
    fleet = weighty([8.0, 1.0], weighted=1.0, decision=10, **NOTHING)
    assert sum(finished(fleet, [0, 0])) == -(8.0 * 14 + 24)


def test_energy_is_charged_when_a_run_starts():
    """The second job starts where the first is, when that is done; the third at once on the other."""
    fleet = fleet_of([[4, 9]], [[10.0, 3.0]], jobs=3, energy=0.5, **NOTHING)
    assert toys.play(fleet, [0, 0]) == [-5.0, 0.0]
    assert toys.play(fleet, [1]) == [-5.0 - 1.5]
    assert fleet.lanes["total_energy"][0] == 23.0


def test_repeats_multiply_energy():
    fleet = fleet_of([[4]], [[10.0]], jobs=2, repeats=3, energy=0.5, **NOTHING)
    assert sum(finished(fleet, [0, 0])) == -0.5 * 2 * 30.0


def failing_seed():
    """Return a seed whose accelerator fails after 20 to 60 cycles and not again for long, and its first moments."""
    for seed in range(100_000):
        following = naive_draws.changes(seed, 0, 0, *FAILING.values())
        failed, repaired, again = (next(following) for _ in range(3))
        if 20 <= failed <= 60 and again > repaired + 400:
            return seed, failed, repaired
    return pytest.fail("no seed fails like this")


def test_a_failure_gives_back_the_energy_that_was_not_used():
    """It fails after F of 100 cycles: F / 100 of the energy is used up, the second run takes all of it."""
    seed, failed, _ = failing_seed()
    fleet = fleet_of([[100]], [[7.0]], jobs=1, energy=1.0, seed=seed, **FAILING, **NOTHING, dispatch=False)
    rewards = finished(fleet, [0, 0])
    assert rewards == pytest.approx([-7.0 * failed / 100, -7.0])
    assert fleet.lanes["total_energy"][0] == pytest.approx(7.0 * (1 + failed / 100))


def test_a_refund_counts_the_reconfiguration_as_part_of_the_run():
    """A job of 10, then one of 90 under another dataflow, whose run takes 90 + 10 cycles from 10 on."""
    seed, failed, _ = failing_seed()
    fleet = fleet_of(
        [[10, 90]], [[1.0, 7.0]], jobs=2, energy=1.0, seed=seed, owners=[0, 0], reconfiguration=[10], **FAILING,
        **NOTHING,
    )  # fmt: skip
    assert sum(finished(fleet, [0, 1])) == pytest.approx(-(1.0 + 7.0 * (failed - 10) / 100 + 7.0))


def test_a_job_under_repair_is_in_the_system_and_may_be_late():
    seed, _, repaired = failing_seed()
    fleet = fleet_of([[100]], jobs=1, seed=seed, slack=(110.0, 110.0), tardiness=2.0, **FAILING)
    assert sum(finished(fleet, [0])) == -(repaired + 100) - 2.0 * (repaired - 10)


def test_parts_add_up_in_units():
    fleet = weighty(
        [1.0, 8.0], unit=10.0, completion=1.0, weighted=0.5, tardiness=2.0, slack=(5.0, 5.0), dispatch=False, window=2
    )
    assert finished(fleet, [0, 0]) == pytest.approx([-(8 + 0.5 * 36) / 10, -(4 + 0.5 * 32 + 2.0 * 3) / 10])


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("name", TERMS)
def test_each_term_charges_in_steps_what_it_states_of_whole_episodes(name, dispatch):
    fleet = fleet_of(
        [[100, 300], [250, 90], [40, 50]], [[1.0, 2.0], [3.0, 5.0], [7.0, 4.0]], jobs=200, mean_gap=60.0, seed=3,
        dispatch=dispatch, window=4, slack=(100.0, 600.0), priorities=((1.0, 2.0), (5.0, 1.0)), mean_up=900.0,
        mean_down=100.0, **{**dict.fromkeys(TERMS, 0.0), name: 1.0},
    )  # fmt: skip
    actions = iter(np.random.default_rng(5).integers(0, 2 if dispatch else 9, 10_000).tolist())
    rewards = []
    while not fleet.lanes["ended"][0]:
        rewards += toys.play(fleet, [next(actions)])
        assert not any(fleet.lanes[term.accrued][0] for term in TERMS.values())
    charged = TERMS[name].total(fleet.jobs, fleet.lanes)[0]
    assert charged > 0 and fleet.lanes["aborted"][0] > 0
    assert -sum(rewards) == pytest.approx(charged, rel=1e-9)
    assert episode_charges(fleet.settings, fleet.jobs, fleet.lanes).tolist() == [charged]


def test_shaping_adds_what_telescopes():
    """Three jobs of four cycles on one accelerator: at the first decision only one is seen (4 to drain)."""
    plain = finished(fleet_of([[4]], jobs=3), [0, 0, 0])
    shaped = finished(fleet_of([[4]], jobs=3, shaped=True), [0, 0, 0])
    assert sum(plain) == -24.0
    # A decision with one job seen (4), then with one running and one seen (4 + 8), two ahead and one seen (24), none.
    assert shaped == [-(12.0 - 4.0), -(24.0 - 12.0), -24.0 + 24.0]
    assert sum(shaped) == sum(plain) + 4.0


def test_energy_needs_a_table_with_energies():
    with pytest.raises(ConfigError, match="energy can only be charged with a table that has energies"):
        fleet_of([[4]], jobs=1, energy=1.0)
