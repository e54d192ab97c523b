"""The checks of the soak must be able to fail: each is shown a state that breaks it."""

from functools import cache

import numpy as np
import pytest

from tests.soak.rules import Violation
from tests.soak.run import random_actions
from tests.soak.scenarios import draw
from tests.soak.watch import Watch

LANES = 16


@cache
def scenario(*, dispatch, failing):
    """Return the number of a scenario of the kind asked for that has long episodes."""
    for seed in range(1000):
        drawn = draw(seed, LANES)
        simulation = drawn.batch.simulation
        fits = drawn.dispatch == dispatch and bool(drawn.options["failures"]) == failing
        big = simulation.jobs.shape[1] > 100 and simulation.accelerators.shape[1] > 1
        if fits and big and drawn.options["load"] > 0.4 and drawn.options["shaping"] != "drain":
            return seed
    pytest.fail("no scenario is of this kind")


def played(*, dispatch, failing, steps=60):
    """Return the watch of such a scenario, in the midst of its episodes."""
    seed = scenario(dispatch=dispatch, failing=failing)
    rng = np.random.default_rng(seed)
    watch = Watch(draw(seed, LANES).batch)
    watch.reset(list(range(LANES)), [0] * LANES, np.ones(LANES, bool))
    for _ in range(steps):
        watch.step(random_actions(rng, watch.batch, [0.8, 0.0, 0.1, 0.1]))
    assert not watch.batch.ended.all()
    return watch


def complaints(watch):
    """Return what each part of the watch says of the state."""
    told = []
    for name in ("shown", "clocks", "accelerators", "counts", "jobs"):
        try:
            getattr(watch, "_look_at_jobs" if name == "jobs" else f"_check_{name}")()
        except Violation as violation:
            told.append(str(violation))
    return told


def first(condition):
    """Return the first place where a condition holds."""
    places = np.argwhere(condition)
    assert len(places), "the state has no such place"
    return tuple(places[0].tolist())


def lose_a_job(watch):
    simulation = watch.simulation
    lane = first(simulation.lanes["waiting"] > 0)[0]
    simulation.lanes["head"][lane] += 1
    simulation.lanes["waiting"][lane] -= 1


def double_a_job(watch):
    accelerators = watch.simulation.accelerators
    lane, machine = first(accelerators["job"] >= 0)
    other = (machine + 1) % accelerators.shape[1]
    accelerators[lane, other] = accelerators[lane, machine]
    watch.simulation.lanes["running"][lane] = (accelerators[lane]["job"] >= 0).sum()
    watch.simulation.lanes["idle"][lane] = ((accelerators[lane]["job"] < 0) & (accelerators[lane]["up"] == 1)).sum()


def start_early(watch):
    jobs = watch.simulation.jobs
    place = first(jobs["finish"] >= 0)
    jobs["start"][place] = jobs["ready"][place] - 1


def swap_waiting(watch):
    simulation = watch.simulation
    lane = first(simulation.lanes["waiting"] > 1)[0]
    head = simulation.lanes["head"][lane]
    simulation.queue[lane, [head, head + 1]] = simulation.queue[lane, [head + 1, head]]


def change(array, value, lane=0):
    """Return a corruption that writes a value to a field of the lanes, the accelerators or the jobs."""
    owner, field = array.split(".")

    def corrupt(watch):
        records = getattr(watch.simulation, owner)
        records[field][lane] = value(records[field][lane]) if callable(value) else value

    return corrupt


def show(name, value):
    def corrupt(watch):
        array = watch.batch.mask if name == "mask" else watch.batch.observation[name]
        array[1, ...] = value

    return corrupt


def take_no_time(watch):
    jobs = watch.simulation.jobs
    place = first(jobs["finish"] >= 0)
    jobs["finish"][place] = jobs["start"][place]


def start_while_waiting(watch):
    simulation = watch.simulation
    lane = first(simulation.lanes["waiting"] > 0)[0]
    job = simulation.queue["job"][lane, simulation.lanes["head"][lane]]
    simulation.jobs["start"][lane, job] = simulation.jobs["ready"][lane, job]


STATES = [
    (take_no_time, "jobs take time"),
    (start_while_waiting, "started jobs run or are done"),
    (change("lanes.ended", 1), "an episode ends when all jobs are done"),
    (change("lanes.arrived", lambda arrived: arrived + 1), "arrived is waiting + running + queued + done"),
    (lose_a_job, "no job is lost or doubled"),
    (double_a_job, "no job is lost or doubled"),
    (start_early, "no job starts early"),
    (swap_waiting, "the queue is in order"),
    (change("lanes.time", lambda time: time - 1), "clocks do not run back"),
    (change("lanes.next_ready", 0), "what comes is not over"),
    (change("lanes.soonest", lambda soonest: soonest + 1), "the first completion is known"),
    (change("lanes.done", lambda done: done + 1), "jobs that are done are counted"),
    (change("lanes.steps", 10**6), "each step starts a job or lets something happen"),
    (change("lanes.running", 9), "running ones are counted"),
    (change("lanes.idle", 9), "idle ones are counted"),
    (change("lanes.waiting_work", lambda work: work + 1), "waiting work is summed up"),
    (change("lanes.shown_work", lambda work: work + 1), "work in the window is summed up"),
    (change("lanes.waiting", 0), "a decision is due until the end"),
    (change("accelerators.preferred_work", lambda work: work + 1), "preferring work is summed up"),
    (change("jobs.ready", 0), "no job comes early or late"),
    (show("mask", False), "an action is always legal"),
    (show("mask", True), "the mask follows from the state"),
    (show("slots", np.nan), "observation slots is in [0, 1]"),
    (show("system", 1.0001), "observation system is in [0, 1]"),
]


@pytest.mark.parametrize(("corrupt", "told"), STATES, ids=[told for _, told in STATES])
def test_a_broken_state_is_told(corrupt, told):
    watch = played(dispatch=False, failing=False)
    assert complaints(watch) == []
    corrupt(watch)
    with pytest.raises(Violation):
        watch._look()
    assert any(line.startswith(f"{told}: broken at") for line in complaints(watch))


def run_while_down(watch):
    accelerators = watch.simulation.accelerators
    accelerators["up"][first(accelerators["job"] >= 0)] = 0


def test_what_runs_while_down_is_told():
    for dispatch in (False, True):
        watch = played(dispatch=dispatch, failing=True)
        run_while_down(watch)
        assert any("nothing runs while down" in line for line in complaints(watch))


def test_a_down_accelerator_that_keeps_its_dataflow_is_told():
    watch = played(dispatch=True, failing=True)
    accelerators = watch.simulation.accelerators
    accelerators["choice"][first(accelerators["up"] == 0)] = 0
    assert any("what is down is set to no dataflow" in line for line in complaints(watch))


def test_a_wrong_count_of_an_own_queue_is_told():
    for field, told in (("queued", "queues of accelerators are counted"), ("queued_work", "work in accelerators'")):
        watch = played(dispatch=True, failing=False)
        watch.simulation.accelerators[field][2, 0] += 1
        assert any(told in line for line in complaints(watch))


def finished_run(watch):
    """Return the place (lane, job) of a run that is over, not the first of its accelerator."""
    return first((watch.simulation.jobs["finish"] >= 0) & (watch.simulation.jobs["start"] > 0))


def overlap(watch):
    jobs, owners = watch.simulation.jobs, watch.simulation.choice_accelerators
    for lane in range(LANES):
        done = np.flatnonzero(jobs["finish"][lane] >= 0)
        own = done[owners[jobs["choice"][lane, done]] == owners[jobs["choice"][lane, done[0]]]]
        if len(own) > 1:
            jobs["start"][lane, own[1]] = jobs["start"][lane, own[0]]
            jobs["finish"][lane, own[1]] = jobs["finish"][lane, own[0]]
            return
    pytest.fail("no accelerator ran two jobs")


def lengthen(watch):
    watch.simulation.jobs["finish"][finished_run(watch)] += 1


def shift(array, field, by):
    def corrupt(watch):
        getattr(watch.simulation, array)[field][0] += by

    return corrupt


def overpay(watch):
    watch.returns[0] += 1e-3 * abs(watch.returns[0]) + 1.0


def forget_an_abort(watch):
    lane = next(k for k, log in enumerate(watch.logs) if log)
    watch.logs[lane].pop()


def miscount_aborts(watch):
    watch.simulation.jobs["aborted"][0, 0] += 1


def arrive_late(watch):
    jobs = watch.simulation.jobs
    jobs["arrival"][0, 0] = jobs["ready"][0, 0] + 1


def finish_in_downtime(watch):
    """Let a failed run have lasted a cycle into the downtime that ended it."""
    lane = next(k for k, log in enumerate(watch.logs) if log)
    job, machine, choice, start, finish = watch.logs[lane][-1]
    watch.logs[lane][-1] = (job, machine, choice, start, finish + 1)
    count = int(watch.simulation.lanes["aborted"][lane]) - 1
    watch.simulation.aborted["finish"][lane, count % watch.simulation.aborted.shape[1]] += 1


def fail_early(watch):
    """Let a failed run have ended a cycle before its accelerator failed."""
    for lane, log in enumerate(watch.logs):
        for k, (job, machine, choice, start, finish) in enumerate(log):
            if finish > start:
                log[k] = (job, machine, choice, start, finish - 1)
                watch.simulation.aborted["finish"][lane, k] -= 1
                return
    pytest.fail("no run was aborted after its start")


def remember_wrongly(watch):
    lane = next(k for k, log in enumerate(watch.logs) if log)
    watch.simulation.aborted["choice"][lane, 0] += 1


def come_out_of_order(watch):
    jobs = watch.simulation.jobs
    jobs["ready"][0, 0] = jobs["ready"][0].max() + 1


EPISODES = [
    (True, fail_early, "a run is aborted when its accelerator fails"),
    (True, remember_wrongly, "aborted runs are remembered"),
    (False, come_out_of_order, "jobs come in order of arrival"),
    (False, shift("jobs", "due", -(1 << 63) + 1), "no job is due before it arrives"),
    (False, shift("lanes", "time", -(1 << 50)), "nothing starts in the future"),
    (False, overlap, "overlap|a run takes"),
    (False, lengthen, "overlap|a run takes"),
    (False, shift("accelerators", "busy_cycles", 1), "busy cycles are those of the runs"),
    (False, shift("lanes", "total_energy", 1e6), "energy is that of the runs"),
    (False, overpay, "the return is minus the objective"),
    (False, arrive_late, "arrive one after another|before it arrives"),
    (False, miscount_aborts, "nothing is aborted where nothing fails"),
    (True, miscount_aborts, "aborted runs of each job are counted"),
    (True, forget_an_abort, "aborted runs of each job are counted"),
    (True, finish_in_downtime, "overlap"),
]


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize(("failing", "corrupt", "told"), EPISODES)
def test_a_broken_episode_is_told(failing, corrupt, told, dispatch):
    watch = played(dispatch=dispatch, failing=failing)
    watch._check_episodes(np.arange(LANES))
    corrupt(watch)
    with pytest.raises(Violation, match=told):
        watch._check_episodes(np.arange(LANES))


def test_an_overtaken_job_of_an_own_queue_is_told():
    watch = played(dispatch=True, failing=False)
    jobs, owners = watch.simulation.jobs, watch.simulation.choice_accelerators
    for lane in range(LANES):
        done = np.flatnonzero(jobs["finish"][lane] >= 0)
        own = done[owners[jobs["choice"][lane, done]] == owners[jobs["choice"][lane, done[0]]]]
        same = [k for k in own[1:] if jobs["job_class"][lane, k] == jobs["job_class"][lane, own[0]]]
        if same:
            swapped = jobs[lane, [own[0], same[0]]][["start", "finish", "choice"]].copy()
            for name in ("start", "finish", "choice"):
                jobs[name][lane, own[0]], jobs[name][lane, same[0]] = swapped[name][1], swapped[name][0]
            break
    else:
        pytest.fail("no accelerator ran two jobs of a class")
    with pytest.raises(Violation, match="first come, first served"):
        watch._check_episodes(np.array([lane]))


def test_an_endless_episode_is_told():
    watch = played(dispatch=False, failing=False)
    with pytest.raises(Violation, match="every episode ends"):
        watch.finish(1)


def test_a_lane_that_moves_after_its_end_is_told():
    watch = played(dispatch=True, failing=False)
    watch.finish(10_000)
    step = watch.batch.step

    def moved(actions):
        step(actions)
        watch.simulation.lanes["time"][3] += 1

    watch.batch.step = moved
    with pytest.raises(Violation, match="ended lanes stay as they are"):
        watch.step(np.zeros(LANES, np.int64))


@pytest.mark.parametrize(
    ("field", "told"), [("elapsed", "elapsed is the time since the last decision"), ("reward", "rewards are finite")]
)
def test_a_wrong_word_on_a_step_is_told(field, told):
    watch = played(dispatch=False, failing=False)
    step = watch.batch.step

    def wrong(actions):
        step(actions)
        watch.simulation.lanes[field] = 7 if field == "elapsed" else np.nan

    watch.batch.step = wrong
    with pytest.raises(Violation, match=told):
        watch.step(watch.batch.mask.argmax(axis=1))


def test_a_potential_that_is_left_over_is_told():
    watch = played(dispatch=False, failing=False)
    watch.finish(10_000)
    watch.simulation.settings["shaped"] = 1
    watch.simulation.lanes["potential"] = 5.0
    with pytest.raises(Violation, match="nothing is left to drain"):
        watch._check_episodes(np.arange(LANES))


def test_a_false_word_on_legality_is_told():
    watch = played(dispatch=False, failing=False)
    step = watch.batch.step

    def lied(actions):
        step(actions)
        watch.simulation.lanes["legal"] ^= 1

    watch.batch.step = lied
    with pytest.raises(Violation, match="legal where the mask said so"):
        watch.step(watch.batch.mask.argmax(axis=1))
