"""Figures of a policy's behaviour over an episode: where its jobs run, how long they wait, and idle accelerators."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Policy
from gnnsched_env.envs import Layout
from gnnsched_env.evaluation.declarations import declarations_of
from gnnsched_env.evaluation.one_episode import play_episode
from gnnsched_env.evaluation.runs import PolicyFactory, make_checked
from gnnsched_env.scenario import Scenario
from gnnsched_env.sim.records import RecordArray
from gnnsched_env.sim.schedule import RunState, Schedule, schedule_of
from gnnsched_env.tables import LatencyTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """One finished episode of one policy. Times are cycles, shares from 0 to 1.

    A job waits from when it reaches the scheduler until its last run starts, except during aborted runs. A job's size
    is its smallest predicted latency; the accelerator on which it ran is that of its last run.
    """

    completion: float  # mean of finish - arrival
    waiting: float  # mean over all jobs,
    waiting_shortest: float  # ... over the smaller half of them,
    waiting_longest: float  # ... over the tenth of largest size
    execution: float  # mean of the last runs' lengths
    fastest: float  # share of the jobs that ran on the accelerator predicted fastest for them
    stretch: float  # mean over the jobs of the predicted latency as they ran over the smallest
    work: float  # sum over the jobs of the predicted latency as they ran over the sum of the smallest
    waits: float  # share of the decisions that waited although a job could have started
    idle: float  # share of the fleet's time: accelerators that are up and run nothing while jobs wait
    utilisation: float  # share of the fleet's time in runs, aborted ones too
    makespan: float


class Watched:
    """A policy that counts, in one lane, its `decisions` and those that waited although a job could start (`waits`).

    An illegal action counts as the action that replaces it (see `QueueEnv`). Where no action waits (Dispatch-v0,
    waiting="by_choice"), none is counted.
    """

    knowledge: Knowledge

    def __init__(self, policy: Policy, layout: Layout) -> None:
        self.decisions = 0
        self.waits = 0
        self.knowledge = policy.knowledge
        self.shown_name = type(policy).__name__  # in errors
        says = declarations_of(policy, layout.num_choices)
        self.observation, self.waiting, self.skip_below = says.observation, says.waiting, says.skip_below
        self._wait = layout.wait_action
        self._policy = policy
        observe = getattr(policy, "observe_belief", None)
        if observe is not None:  # makes it a planner: the player looks for this method
            self.observe_belief = observe

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return the policy's action, and count it."""
        actions = self._policy.act(observation, mask)
        self.decisions += 1
        if self._wait >= 0 and mask[0, self._wait] and mask[0, : self._wait].any():
            action = int(actions[0])
            self.waits += action == self._wait or not mask[0, action]
        return actions


def play_watched(
    factory: PolicyFactory, scenario: Scenario, *, dispatch: bool, seed: int
) -> tuple[Schedule, LatencyTable, Behaviour]:
    """Play a scenario's episode of a seed as `play_episode` does; return its schedule, its jobs' table and figures."""
    watched: list[Watched] = []

    def watching(layout: Layout, table: LatencyTable) -> Policy:
        watched.append(Watched(make_checked(factory, layout, table)[0], layout))
        return watched[-1]

    env = play_episode(watching, scenario, dispatch=dispatch, seed=seed)
    schedule = schedule_of(env.batch.simulation)
    counts = watched[-1]
    return schedule, env.table, behaviour_of(schedule, env.table, decisions=counts.decisions, waits=counts.waits)


def behaviour_of(schedule: Schedule, table: LatencyTable, *, decisions: int, waits: int) -> Behaviour:
    """Return the figures of a whole finished episode; `table` holds the latencies of its jobs.

    Raise ConfigError if the schedule does not hold all jobs from arrival to finish.
    """
    jobs, runs = schedule.jobs, schedule.runs
    if schedule.since or schedule.forgotten or len(jobs) != schedule.total or (jobs["finish"] < 0).any():
        raise ConfigError(
            f"behaviour: all {schedule.total:,} jobs of an episode must be done and in memory, "
            f"got {int((jobs['finish'] >= 0).sum()):,}"
        )
    last = last_runs(schedule)
    lengths = (runs["finish"] - runs["start"]).astype(np.float64)
    waited = waited_cycles(schedule)
    shortest = table.predicted_cycles.min(axis=1)[jobs["job_class"]]
    by_size = np.argsort(shortest, kind="stable")
    fleet_time = max(1, schedule.num_accelerators * schedule.until)
    predicted = table.predicted_cycles[last["job_class"], last["choice"]]
    return Behaviour(
        completion=float((jobs["finish"] - jobs["arrival"]).mean()),
        waiting=float(waited.mean()),
        waiting_shortest=float(waited[by_size[: (len(jobs) + 1) // 2]].mean()),
        waiting_longest=float(waited[by_size[len(jobs) - (len(jobs) + 9) // 10 :]].mean()),
        execution=float((last["finish"] - last["start"]).mean()),
        fastest=float(on_fastest(last, table).mean()),
        stretch=float((predicted / shortest).mean()),
        work=float(predicted.sum(dtype=np.float64) / shortest.sum(dtype=np.float64)),
        waits=waits / max(1, decisions),
        idle=idle_while_waiting(schedule) / fleet_time,
        utilisation=float(lengths.sum()) / fleet_time,
        makespan=float(schedule.until),
    )


def waited_cycles(schedule: Schedule) -> NDArray[np.int64]:
    """Return int64 [jobs]: the cycles that each job of a finished episode waited in queues, runs left out."""
    waited: NDArray[np.int64] = schedule.jobs["finish"] - schedule.jobs["ready"]
    np.subtract.at(waited, schedule.runs["job"], schedule.runs["finish"] - schedule.runs["start"])
    return waited


def last_runs(schedule: Schedule) -> RecordArray:
    """Return the run with which each done job finished (RUN records), by number of the job."""
    finished: RecordArray = schedule.runs[schedule.runs["state"] == RunState.FINISHED]
    return finished[np.argsort(finished["job"])]


def on_fastest(runs: RecordArray, table: LatencyTable) -> NDArray[np.bool_]:
    """Return bool [runs]: whether each run is on an accelerator with its job's smallest predicted latency.

    Only the accelerator matters, not the dataflow of the run.
    """
    predicted = table.predicted_cycles[runs["job_class"]]
    own = table.choice_accelerators == runs["accelerator"][:, np.newaxis]
    there = np.where(own, predicted, np.iinfo(np.int64).max).min(axis=1)
    fastest: NDArray[np.bool_] = there == predicted.min(axis=1)
    return fastest


def idle_while_waiting(schedule: Schedule) -> float:
    """Return the cycles, summed over accelerators, in which they were up but idle while some job waited."""
    starts = np.concatenate([schedule.runs["start"], schedule.downs["start"]])
    ends = np.concatenate([schedule.runs["finish"], schedule.downs["end"]])
    ends = np.minimum(ends, schedule.until)
    times = np.unique(np.concatenate([starts, ends, schedule.waiting_times, [schedule.since, schedule.until]]))
    times = times[(times >= schedule.since) & (times <= schedule.until)]
    begins = times[:-1]
    taken = np.searchsorted(np.sort(starts), begins, side="right") - np.searchsorted(
        np.sort(ends), begins, side="right"
    )
    waiting = schedule.waiting_counts[np.searchsorted(schedule.waiting_times, begins, side="right") - 1]
    return float(((schedule.num_accelerators - taken) * np.diff(times).astype(np.float64))[waiting > 0].sum())
