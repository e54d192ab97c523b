"""The exact checks must be able to fail: each is shown records, metrics or a return that are slightly wrong."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.sim import METRICS, summarise
from tests.soak.exact import Facts, Played, check_exactly
from tests.soak.odd_scenarios import ODDITIES, draw_odd, everything_at_once, made_of
from tests.soak.rules import Violation
from tests.soak.run import play
from tests.soak.scenarios import draw
from tests.soak.watch import Counts, Watch
from tests.soak.worlds import play_worlds


@pytest.fixture(scope="module")
def finished():
    """Return what check_exactly takes, of an episode in which everything happens."""
    drawn = made_of([everything_at_once], np.random.default_rng(33), 1)
    watch = Watch(drawn)
    watch.reset([5], [0], np.ones(1, bool))
    watch.finish(100_000)
    played = Played.of(watch.simulation, 0, watch.logs[0])
    assert played.aborted and played.downs and len(played.jobs) > 5
    told = summarise(watch.batch.episode(0))
    return {
        "facts": watch.facts,
        "played": played,
        "told": told,
        "returned": watch.returns[0],
        "first_potential": watch.first_potential[0],
    }


def changed(played, number, **values):
    """Return records in which a job's are others."""
    return replace(played, jobs=[job | values if k == number else job for k, job in enumerate(played.jobs)])


def test_a_right_episode_passes(finished):
    assert check_exactly(**finished) > 10 * len(finished["played"].jobs)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_that_is_off_is_told(finished, name):
    value = finished["told"][name]
    for wrong in (value + 1e-7 * (abs(value) or 1.0), value - 1e-7 * (abs(value) or 1.0)):
        with pytest.raises(Violation, match=f"exactly: {name}:"):
            check_exactly(**finished | {"told": finished["told"] | {name: wrong}})


def test_a_return_that_is_off_is_told(finished):
    size = abs(finished["returned"])
    for wrong in (finished["returned"] + 1e-5 * size, finished["returned"] - 1e-5 * size):
        with pytest.raises(Violation, match="the return is minus the objective"):
            check_exactly(**finished | {"returned": wrong})


def test_records_that_are_off_are_told(finished):
    played = finished["played"]
    last = max(range(len(played.jobs)), key=lambda k: played.jobs[k]["finish"])
    job = played.jobs[last]
    job_number, owner, choice, start, finish = played.aborted[0]
    wrong = {
        "a job is done": changed(played, last, finish=-1),
        "a job starts once it has come": changed(played, last, start=job["ready"] - 1),
        "a run takes its true latency": changed(played, last, finish=job["finish"] + 1),
        "a job comes when it and those before it": changed(played, last, ready=job["ready"] + 1),
        "a job is due in time": changed(played, last, due=job["arrival"] + 10**15),
        "jobs arrive in order": changed(played, 1, arrival=played.jobs[0]["arrival"] - 1),
        "a run fails with its accelerator|one thing at a time": replace(
            played, aborted=[(job_number, owner, choice, start, finish + 1), *played.aborted[1:]]
        ),
        "a job runs once at a time": changed(played, job_number, start=finish - 1),
        "an episode ends with its last job": replace(played, time=played.time + 1),
        "an accelerator does one thing at a time": replace(played, downs=[*played.downs, played.downs[0]]),
    }
    for told, records in wrong.items():
        with pytest.raises(Violation, match=told):
            check_exactly(**finished | {"played": records})


def test_every_oddity_is_drawn_and_played():
    counts, names = Counts(), set()
    for seed in range(1, 2 * len(ODDITIES), 2):
        names |= set(play(seed, counts, lanes=2, steps=40).scenario.name.split("+"))
    assert names == {odd.__name__ for odd in ODDITIES}
    assert counts.exact > 1000


@pytest.mark.parametrize("seed", [0, 7])
def test_batches_and_single_environments_are_played_alike(seed):
    counts = Counts()
    play_worlds(seed, counts, steps=60)
    assert counts.world_steps >= 60 and counts.exact > 0


def test_a_batch_that_tells_something_else_is_told(monkeypatch):
    def wrong(self, info):
        self.told = self.told[0], self.told[1] - 1e-9, *self.told[2:]

    monkeypatch.setattr("tests.soak.worlds.Single._check", wrong)
    with pytest.raises(Violation, match="tell the same reward"):
        play_worlds(0, Counts(), steps=200)


@pytest.mark.parametrize("made", [draw, draw_odd])
def test_facts_follow_from_what_a_scenario_says(made):
    drawn = made(2, 1)
    facts, simulation = Facts.of(drawn.scenario), drawn.batch.simulation
    assert facts.true == simulation.true.tolist()
    assert facts.decision == simulation.config.decision
