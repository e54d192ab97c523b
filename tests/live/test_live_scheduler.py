"""The live scheduler on a virtual clock: the simulated episode's twin, and what becomes of failures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import gnnsched_baselines  # noqa: F401
from gnnsched_env.envs import EnvBatch
from gnnsched_env.evaluation.policies import policy_factory
from gnnsched_env.evaluation.runs import decide, make_checked
from gnnsched_env.live.scheduler import LiveScheduler
from gnnsched_env.live.virtual_executor import VirtualExecutor
from gnnsched_env.sim import Simulation, SimulationSettings, Waiting, episode_metrics, summarise
from gnnsched_env.sim.driven import driven_metrics
from gnnsched_env.sim.schedule import schedule_of
from tests import toys

POLICIES = ("sjf", "assignment", "random", "index", "agent:queue_hetero4")


class Watched:
    """A policy that remembers all that it was shown and did."""

    def __init__(self, inner):
        self.inner, self.seen = inner, []
        self.knowledge = inner.knowledge
        for name in ("observation", "waiting"):
            if hasattr(inner, name):
                setattr(self, name, getattr(inner, name))
        if hasattr(inner, "observe_belief"):
            self.observe_belief = inner.observe_belief

    def act(self, observation, mask):
        action = self.inner.act(observation, mask)
        arrays = observation if isinstance(observation, dict) else {"": observation}
        self.seen.append(({name: array.copy() for name, array in arrays.items()}, mask.copy(), int(action[0])))
        return action


def planned(table, settings, seed):
    """Return the jobs of a simulated episode."""
    drawn = Simulation(table, settings)
    drawn.reset(np.array([seed], np.uint64), np.zeros(1, np.uint64), np.ones(1, bool))
    return drawn.jobs[0]


def simulated(table, settings, name, seed):
    """Play a simulated episode; return its batch and the watched policy."""
    factory, made = policy_factory(name, dispatch=False), []
    batch = EnvBatch(table, settings)
    policy, says = make_checked(lambda *given: made.append(Watched(factory(*given))) or made[-1], batch.layout, table)
    if says.observation != "dict" or says.waiting != "free":
        from dataclasses import replace

        batch = EnvBatch(table, replace(settings, waiting=Waiting[says.waiting.upper()]), observation=says.observation)
        policy, _ = make_checked(lambda *given: Watched(factory(*given)), batch.layout, table)
    batch.reset([seed])
    while not batch.ended[0]:
        batch.step(decide(batch, policy))
    return batch, policy


def scheduler(table, settings, name, seed=0, **options):
    watched = {name: options.pop(name) for name in ("fault", "losses", "repair") if name in options}
    executor = VirtualExecutor(table.true_cycles, table.choice_accelerators, **watched)
    factory = policy_factory(name, dispatch=False)
    options.setdefault("planned", planned(table, settings, seed))
    return LiveScheduler(table, settings, lambda *given: Watched(factory(*given)), executor, **options)


@hypothesis_settings(max_examples=25)
@given(st.integers(0, 1 << 30), st.sampled_from(POLICIES), st.floats(0.2, 2.0))
def test_a_live_run_on_exact_devices_is_the_simulated_episode(seed, name, load):
    rng = np.random.default_rng(seed)
    table = toys.random_table(rng)
    gap = float(table.true_cycles.min(axis=1).mean()) / 3 / load
    settings = SimulationSettings(mean_gap=gap, unit=100.0, jobs=25, window=6)
    batch, expected = simulated(table, settings, name, seed)
    live = scheduler(table, settings, name, seed)
    live.run()
    assert len(live.policy.seen) == len(expected.seen)
    for one, other in zip(live.policy.seen, expected.seen, strict=True):
        assert one[2] == other[2] and np.array_equal(one[1], other[1])
        assert all(np.array_equal(one[0][key], other[0][key]) for key in other[0])
    own, theirs = schedule_of(live.fleet), schedule_of(batch.simulation)
    assert np.array_equal(own.runs, theirs.runs) and np.array_equal(own.jobs, theirs.jobs)
    assert summarise(driven_metrics(live.fleet)) == pytest.approx(summarise(episode_metrics(batch.simulation)))
