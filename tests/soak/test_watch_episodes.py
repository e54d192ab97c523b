"""The checks of the soak must be able to fail: each is shown records of an episode that breaks it."""

import numpy as np
import pytest

from tests.soak.rules import Violation
from tests.soak.situations import LANES, first, played


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


@pytest.mark.slow
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


def test_a_potential_that_is_left_over_is_told():
    watch = played(dispatch=False, failing=False)
    watch.finish(10_000)
    watch.simulation.settings["shaped"] = 1
    watch.simulation.lanes["potential"] = 5.0
    with pytest.raises(Violation, match="nothing is left to drain"):
        watch._check_episodes(np.arange(LANES))
