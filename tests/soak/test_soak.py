"""Random play under watch: a short version of `make soak`, and the same steered by hypothesis."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.soak import run
from tests.soak.rules import Violation
from tests.soak.scenarios import draw
from tests.soak.watch import Watch

LANES = 3


class Playing(RuleBasedStateMachine):
    """Three lanes of a random scenario, each told what to do; the watch checks after every rule."""

    @initialize(scenario=st.integers(0, 10**6), seed=st.integers(0, 2**63))
    def make(self, scenario, seed):
        self.watch = Watch(draw(scenario, LANES))
        self.batch = self.watch.batch
        self.watch.reset([seed, seed, seed + 1], [0, 1, 0], np.ones(LANES, bool))

    @property
    def actions(self):
        return self.batch.layout.num_actions

    @precondition(lambda self: not self.batch.ended.all())
    @rule(draws=st.lists(st.integers(0, 10**6), min_size=LANES, max_size=LANES))
    def take_legal_actions(self, draws):
        legal = [np.flatnonzero(row) for row in self.batch.mask]
        self.watch.step(np.array([own[k % len(own)] for own, k in zip(legal, draws, strict=True)]))

    @precondition(lambda self: not self.batch.ended.all())
    @rule(draws=st.lists(st.integers(-2, 10**6), min_size=LANES, max_size=LANES))
    def take_any_actions(self, draws):
        self.watch.step(np.array([k if k < 0 else k % (self.actions + 1) for k in draws]))

    @precondition(lambda self: not self.batch.ended.all() and not self.batch.layout.dispatch)
    @rule(times=st.integers(1, 10))
    def wait(self, times):
        for _ in range(times):
            self.watch.step(np.full(LANES, self.actions - 1))

    @precondition(lambda self: not self.batch.ended.all())
    @rule(times=st.integers(1, 20))
    def be_eager(self, times):
        for _ in range(times):
            self.watch.step(self.batch.mask.argmax(axis=1))

    @rule(which=st.lists(st.booleans(), min_size=LANES, max_size=LANES), episode=st.integers(0, 2**63))
    def reset(self, which, episode):
        self.watch.reset([7] * LANES, [episode] * LANES, np.array(which))

    def teardown(self):
        if hasattr(self, "watch"):
            self.watch.finish(run.EVENTS_A_JOB * (self.watch.size[2] + 1))


TestPlaying = pytest.mark.slow(pytest.mark.kernels(Playing.TestCase))
TestPlaying.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@pytest.mark.slow
def test_a_short_soak_finds_nothing():
    counts, kinds = run.soak(30_000, lanes=16, scenario_steps=500, world_steps=8)
    assert counts.steps >= 30_000
    assert min(kinds.values()) > 5
    assert min(vars(counts).values()) > 10  # everything happened: cut episodes, failures, aborted runs, illegal actions


def test_a_scenario_is_played_alike_again():
    first, second = run.Counts(), run.Counts()
    for counts in (first, second):
        run.play(3, counts, lanes=8, steps=400)
    assert first == second


def test_a_violation_names_its_scenario_and_fails_the_command(monkeypatch, capsys):
    def broken(watch):
        if watch.counts.steps > 300:
            raise Violation("a rule: broken")

    monkeypatch.setattr(Watch, "_check_clocks", broken)
    monkeypatch.setattr("sys.argv", ["run", "--steps", "5000", "--first", "4"])
    assert run.main() == 1
    told = capsys.readouterr()
    assert "a rule: broken" in told.err
    assert "--scenario 4" in told.err
    assert "violations" in told.out
    monkeypatch.undo()
    monkeypatch.setattr("sys.argv", ["run", "--steps", "500"])
    assert run.main() == 0
