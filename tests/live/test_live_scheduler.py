"""The live scheduler on a virtual clock: the simulated episode's twin, and what becomes of failures."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import gnnsched_baselines  # noqa: F401
from gnnsched_env.common.errors import ConfigError, FileFormatError, GnnSchedError
from gnnsched_env.envs import EnvBatch
from gnnsched_env.evaluation.policies import policy_factory
from gnnsched_env.evaluation.runs import decide, make_checked
from gnnsched_env.live.executor import Kind
from gnnsched_env.live.run_log import RunLog, read_log
from gnnsched_env.live.scheduler import FleetLost, JobFailed, LiveScheduler
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
        batch = EnvBatch(table, replace(settings, waiting=Waiting[says.waiting.upper()]), observation=says.observation)
        policy, _ = make_checked(lambda *given: Watched(factory(*given)), batch.layout, table)
    batch.reset([seed])
    while not batch.ended[0]:
        batch.step(decide(batch, policy))
    return batch, policy


def scheduler(table, settings, name, seed=0, **options):
    """Return a live scheduler on virtual devices that take exactly the table's times."""
    watched = {name: options.pop(name) for name in ("fault", "losses", "repair", "begin") if name in options}
    executor = VirtualExecutor(table.true_cycles, table.choice_accelerators, **watched)
    factory = policy_factory(name, dispatch=False)
    options.setdefault("planned", planned(table, settings, seed))
    return LiveScheduler(table, settings, lambda *given: Watched(factory(*given)), executor, **options)


@hypothesis_settings(max_examples=25)
@given(st.integers(0, 1 << 30), st.sampled_from(POLICIES), st.floats(0.2, 2.0), st.sampled_from([1, 10**7]))
def test_a_live_run_on_exact_devices_is_the_simulated_episode(seed, name, load, scale):
    table = toys.random_table(np.random.default_rng(seed))
    cycles = (table.true_cycles * scale, table.predicted_cycles * scale)  # some longer than a scheduler ever waits
    table = replace(table, true_cycles=cycles[0], predicted_cycles=cycles[1])
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


SETTINGS = SimulationSettings(mean_gap=100.0, unit=100.0, jobs=40, window=8)


def toy():
    return toys.random_table(np.random.default_rng(3))


def counts(live):
    return [event for event in (entry["event"] for entry in live.entries) if event not in ("arrive", "choose", "wait")]


def test_lost_devices_give_their_jobs_back_and_come_back():
    table = toy()
    span = int(planned(table, SETTINGS, 0)["arrival"][-1])
    losses = tuple((1 + span * k // 12, k % 3) for k in range(12))
    live = scheduler(table, SETTINGS, "assignment", losses=losses, repair=span // 20)
    live.run()
    records = live.fleet.jobs[0]
    assert (records["finish"] >= records["start"]).all() and not live.fleet.given_up.any()
    assert sorted(entry["job"] for entry in live.entries if entry["event"] == "done") == list(range(40))
    happened = counts(live)
    assert happened.count("down") == happened.count("up") == len(live.fleet.down_intervals()) >= 8
    assert happened.count("abort") == int(live.fleet.lanes["aborted"][0]) > 0
    found = summarise(driven_metrics(live.fleet))
    assert 0.5 < found["availability"] < 1.0 and found["mean_failures"] == happened.count("down")
    busy = schedule_of(live.fleet).runs
    assert int((busy["finish"] - busy["start"]).sum()) == int(live.fleet.accelerators["busy_cycles"].sum())


def test_a_job_that_raises_is_given_up_and_the_others_are_done():
    live = scheduler(toy(), SETTINGS, "sjf", fault=lambda job, attempt: "bad graph" if job in (3, 9) else "", tries=2)
    live.run()
    assert np.flatnonzero(live.fleet.given_up).tolist() == [3, 9]
    assert counts(live).count("abort") == counts(live).count("give_up") == 2
    assert driven_metrics(live.fleet).totals[0].jobs == 38
    live = scheduler(toy(), SETTINGS, "sjf", fault=lambda job, attempt: "once" if attempt == 0 else "", tries=2)
    live.run()
    assert not live.fleet.given_up.any() and counts(live).count("done") == counts(live).count("abort") == 40


def test_where_no_device_is_left_the_run_ends():
    with pytest.raises(FleetLost, match="no device is left for 40 jobs"):
        scheduler(toy(), SETTINGS, "sjf", losses=((0, 0), (0, 1), (0, 2)), repair=None).run()


class Killed(BaseException):
    pass


class Stopped:
    """An executor whose scheduler is killed after so many reports."""

    def __init__(self, inner, reports):
        self.inner, self.left = inner, reports

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def wait(self, until):
        found = self.inner.wait(until)
        self.left -= len(found)
        if self.left < 0:
            raise Killed
        return found


class Repeating(Stopped):
    """An executor that tells of each end of a run twice, and again with the next one."""

    told = ()

    def wait(self, until):
        found = self.inner.wait(until)
        ends = tuple(report for report in found if report.kind is Kind.DONE)
        again, self.told = (*self.told, *ends, *ends), ends
        return [*found, *again]


def test_an_end_that_is_told_again_counts_once():
    plain, live = scheduler(toy(), SETTINGS, "sjf"), scheduler(toy(), SETTINGS, "sjf")
    live.executor = Repeating(live.executor, 0)
    plain.run()
    live.run()
    assert counts(live) == counts(plain) and np.array_equal(live.fleet.jobs, plain.fleet.jobs)


@pytest.mark.parametrize("torn", [b"", b'{"event":"done","at":12', b'{"event"'])
def test_a_stopped_run_goes_on_without_losing_or_repeating_a_job(torn, tmp_path):
    table, path = toy(), tmp_path / "log.jsonl"
    sessions, restored = 0, []
    while True:
        with RunLog(path) as log:
            begin = max((entry["at"] for entry in restored), default=0)
            live = scheduler(table, SETTINGS, "assignment", log=log, restored=restored, begin=begin)
            live.executor = Stopped(live.executor, 7)
            sessions += 1
            try:
                live.run()
                break
            except Killed:
                pass
        with path.open("ab") as file:
            file.write(torn)
        restored = read_log(path, mend=True)
        assert restored == live.entries
    entries = read_log(path)
    assert sessions > 4 and entries == live.entries
    assert sorted(entry["job"] for entry in entries if entry["event"] == "done") == list(range(40))
    assert [entry["job"] for entry in entries if entry["event"] == "arrive"] == list(range(40))
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    assert {entry["cause"] for entry in entries if entry["event"] == "abort"} == {"stopped"}


def test_a_damaged_log_is_refused_by_its_line(tmp_path):
    path = tmp_path / "log.jsonl"
    for line, told in ((b"nonsense", "must be an entry"), (b'{"event":"done","at":3}', "must have job, choice")):
        path.write_bytes(b'{"event":"close","at":1}\n' + line + b'\n{"event":"close","at":2}\n')
        with pytest.raises(FileFormatError, match=f"line 2: .*{told}"):
            read_log(path)


def test_jobs_are_handed_in_from_a_thread_and_their_futures_told():
    table = toy()
    live = scheduler(table, SETTINGS, "sjf", planned=None, fault=lambda job, attempt: "bad" if job == 1 else "")
    futures = [live.submit(job_class) for job_class in (2, 0, 5)]
    with pytest.raises(ConfigError, match="submit: job_class must be at most 11"):
        live.submit(12)
    live.close()
    with pytest.raises(ConfigError, match="takes no more jobs"):
        live.submit(0)
    live.run()
    assert [futures[k].result(0).job for k in (0, 2)] == [0, 2]
    with pytest.raises(JobFailed, match="job 1 was given up: bad"):
        futures[1].result(0)
    first = futures[0].result(0)
    choice = table.choice_names.index(first.choice)
    assert first.finished - first.started == table.true_cycles[2, choice] and first.attempts == 1


def test_a_predictor_that_says_something_else_than_the_table_is_refused():
    table = toy()
    live = scheduler(table, SETTINGS, "sjf", predict=lambda job_class: table.predicted_cycles[job_class])
    live.run()
    with pytest.raises(GnnSchedError, match="must predict what the table holds"):
        scheduler(table, SETTINGS, "sjf", predict=lambda job_class: table.predicted_cycles[job_class] + 1).run()


def test_a_job_that_runs_too_long_is_ended_and_given_up(monkeypatch):
    monkeypatch.setattr("gnnsched_env.live.scheduler.LEAST_LIMIT", 1)
    table = toys.table([[1_000, 900], [1_000, 900]], [[10, 900], [1_000, 900]])
    live = scheduler(table, replace(SETTINGS, jobs=6), "sjf", tries=2)
    live.run()
    overdue = [entry["job"] for entry in live.entries if entry.get("cause") == "overdue"]
    assert overdue and set(overdue) <= set(np.flatnonzero(live.fleet.jobs["job_class"][0] == 0).tolist())
    assert counts(live).count("up") == counts(live).count("down") == len(overdue)
    assert all(overdue.count(job) == 2 for job in np.flatnonzero(live.fleet.given_up).tolist())
