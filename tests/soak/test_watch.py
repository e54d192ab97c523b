"""The checks of the soak must be able to fail: each is shown a state that breaks it."""

import numpy as np
import pytest

from tests.soak.rules import Violation
from tests.soak.situations import LANES, first, played


def complaints(watch):
    """Return what each part of the watch says of the state."""
    told = []
    for name in ("shown", "clocks", "accelerators", "counts", "jobs"):
        try:
            getattr(watch, "_look_at_jobs" if name == "jobs" else f"_check_{name}")()
        except Violation as violation:
            told.append(str(violation))
    return told


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
    (lambda watch: watch.batch.ended.fill(True), "an episode ends when all jobs are done"),
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


@pytest.mark.slow
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
        if field == "reward":
            watch.batch.rewards[:] = np.nan
        else:
            watch.simulation.lanes[field] = 7

    watch.batch.step = wrong
    with pytest.raises(Violation, match=told):
        watch.step(watch.batch.mask.argmax(axis=1))


def test_a_false_word_on_legality_is_told():
    watch = played(dispatch=False, failing=False)
    step = watch.batch.step

    def lied(actions):
        step(actions)
        watch.batch.legal[:] = ~watch.batch.legal

    watch.batch.step = lied
    with pytest.raises(Violation, match="legal where the mask said so"):
        watch.step(watch.batch.mask.argmax(axis=1))


@pytest.mark.parametrize("word", ["rewards", "elapsed", "times", "legal", "ended"])
def test_a_word_that_is_not_the_simulations_is_told(word):
    watch = played(dispatch=False, failing=False)
    step = watch.batch.step

    def wrong(actions):
        step(actions)
        told = getattr(watch.batch, word)
        told[:] = ~told if told.dtype == bool else told + 1

    watch.batch.step = wrong
    told = "legal where the mask said so" if word == "legal" else "the batch tells what the simulation holds"
    with pytest.raises(Violation, match=told):
        watch.step(watch.batch.mask.argmax(axis=1))
