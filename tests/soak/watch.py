"""Plays a batch of environments and checks, after every reset and step, what must hold in any scenario."""

from dataclasses import dataclass

import numpy as np

from gnnsched_env.sim import summarise
from tests.soak.episodes import check_episodes
from tests.soak.exact import Facts, Played, check_exactly
from tests.soak.rules import Violation, require

NEVER = 1 << 62
MOST_EXACT = 4  # episodes of those that end at once that are checked by exact arithmetic, which takes its time


@dataclass
class Counts:
    """What was played and checked."""

    steps: int = 0
    illegal: int = 0
    episodes: int = 0
    cut: int = 0
    jobs: int = 0
    failures: int = 0
    aborted: int = 0
    worlds: int = 0  # batches played through Gymnasium, `joined` of them of several scenarios
    joined: int = 0
    world_steps: int = 0
    world_episodes: int = 0
    exact: int = 0  # checks by exact arithmetic
    checks: int = 0


WORDS = {"rewards": "reward", "elapsed": "elapsed", "times": "time", "legal": "legal", "ended": "ended"}


class Watch:
    """A batch of environments under observation; `counts` sums up over several where it is given."""

    def __init__(self, drawn, counts=None):
        self.batch, self.simulation = drawn.batch, drawn.batch.simulation
        self.facts = Facts.of(drawn.scenario)
        self.counts = Counts() if counts is None else counts
        lanes, _, jobs = self.size
        self.returns = np.zeros(lanes)
        self.first_potential = np.zeros(lanes)
        self.logs = [[] for _ in range(lanes)]  # aborted runs of each lane's episode
        self.logged = np.zeros(lanes, np.int64)
        self.times = np.zeros(lanes, np.int64)
        self.numbers = np.arange(jobs)
        self.places = np.arange(self.simulation.queue.shape[1])
        self.flat = np.arange(lanes)[:, np.newaxis] * jobs
        self.classes = self.simulation.classes
        self.played = np.zeros(lanes, np.bool_)

    @property
    def size(self):
        """Return lanes, accelerators and jobs."""
        return (*self.simulation.accelerators.shape, self.simulation.jobs.shape[1])

    def reset(self, seeds, episodes, which):
        """Check the episodes that this cuts short, then start new ones where `which` is True."""
        cut = which & self.played & ~self.batch.ended & (self.simulation.lanes["steps"] > 0)
        self.counts.cut += int(cut.sum())
        self._check_episodes(np.flatnonzero(cut))
        self.batch.reset(seeds, episodes, which)
        self.played |= which
        self.returns[which] = 0.0
        self.first_potential[which] = self.simulation.lanes["potential"][which]
        self.logged[which] = 0
        self.times[which] = 0
        for lane in np.flatnonzero(which).tolist():
            self.logs[lane].clear()
        self._look()

    def step(self, actions):
        """Take an action a lane and check where it led; check the whole of the episodes that it ended."""
        before = self.simulation.lanes.copy()
        mask = self.batch.mask.copy()
        moved = ~self.batch.ended
        self.batch.step(actions)
        lanes = self.simulation.lanes
        inside = (actions >= 0) & (actions < mask.shape[1])
        legal = inside & mask[np.arange(len(actions)), np.where(inside, actions, 0)]
        self._require("an action is legal where the mask said so", ~moved | (legal == self.batch.legal))
        self._require("ended lanes stay as they are", moved | (lanes == before))
        passed = lanes["time"] - before["decided"]
        self._require("elapsed is the time since the last decision", ~moved | (lanes["elapsed"] == passed))
        self._require("rewards are finite", np.isfinite(self.batch.rewards))
        for word, field in WORDS.items():
            same = getattr(self.batch, word) == lanes[field]
            self._require("the batch tells what the simulation holds", same)
        self.returns += np.where(moved, self.batch.rewards, 0.0)
        self.counts.steps += int(moved.sum())
        self.counts.illegal += int((moved & ~legal).sum())
        self._log_aborted()
        self._look()
        over = np.flatnonzero(moved & self.batch.ended)
        self._check_episodes(over)
        self.counts.episodes += len(over)

    def finish(self, limit):
        """Play on, first legal actions only, until every episode has ended, which must take at most `limit` steps."""
        for _ in range(limit):
            if self.batch.ended.all():
                return
            self.step(self.batch.mask.argmax(axis=1))
        self._require(f"every episode ends (within {limit} steps)", self.batch.ended)

    def _require(self, rule, good):
        self.counts.checks += require(rule, good)

    def _check_episodes(self, which):
        if not len(which):
            return
        lanes = self.simulation.lanes[which]
        self.counts.checks += check_episodes(
            self.simulation, which, [self.logs[lane] for lane in which.tolist()], self.returns, self.first_potential
        )
        over = which[lanes["ended"] == 1]
        for lane in np.roll(over, -self.counts.episodes)[:MOST_EXACT].tolist():
            told = summarise(self.batch.episode(lane))
            played = Played.of(self.simulation, lane, self.logs[lane])
            self.counts.exact += check_exactly(
                self.facts, played, told, returned=self.returns[lane], first_potential=self.first_potential[lane]
            )
        self.counts.jobs += int(lanes["done"].sum())
        self.counts.aborted += int(lanes["aborted"].sum())
        self.counts.failures += int(((self.simulation.accelerators[which]["changes"] + 1) // 2).sum())

    def _log_aborted(self):
        aborted = self.simulation.lanes["aborted"]
        kept = self.simulation.aborted.shape[1]
        for lane in np.flatnonzero(aborted > self.logged).tolist():
            new = range(int(self.logged[lane]), int(aborted[lane]))
            if len(new) > kept:
                raise Violation(f"more runs were aborted in a step than are kept: lane {lane}, {len(new)}")
            self.logs[lane] += [self.simulation.aborted[lane, k % kept].tolist() for k in new]
        self.logged[:] = aborted

    def _look(self):
        """Check the state and what is shown of it."""
        self._check_shown()
        self._check_clocks()
        self._check_accelerators()
        self._check_counts()
        self._look_at_jobs()

    def _look_at_jobs(self):
        self._check_waiting(self._check_jobs())

    def _check_shown(self):
        batch, lanes, accelerators = self.batch, self.simulation.lanes, self.simulation.accelerators
        self._require("an action is always legal", batch.mask.any(axis=1))
        for name, array in batch.observation.items():
            self._require(f"observation {name} is in [0, 1]", ((array >= 0) & (array <= 1)).all(axis=1))
        if not isinstance(batch.observed, dict):
            rows, bound = batch.observed.reshape(len(lanes), -1), 1.0 if batch.layout.observation == "flat" else 4.0
            self._require("what is shown is in its space", (np.abs(rows) <= bound).all(axis=1))
        up = accelerators["up"] == 1
        owners = batch.layout.column_accelerators
        if batch.layout.dispatch:
            expected = (up | ~up.any(axis=1, keepdims=True))[:, owners]
        else:
            by_choice = batch.layout.waiting == "by_choice"  # then it is legal to name a busy accelerator, and waits
            named = (up & ((accelerators["job"] < 0) | by_choice))[:, owners]
            shown = np.minimum(lanes["waiting"], batch.layout.window)[:, np.newaxis]
            slots = np.repeat(np.arange(batch.layout.window) < shown, len(owners), axis=1)
            expected = np.tile(named, (1, batch.layout.window)) & slots
            wait = (lanes["arrived"] < self.size[2]) | (lanes["running"] > 0)
            wait = (wait & (batch.layout.waiting == "free")) | batch.ended
            if by_choice:
                expected[:, -1] |= batch.ended
            else:
                expected = np.concatenate([expected, wait[:, np.newaxis]], axis=1)
        self._require("the mask follows from the state", ~self.played | (expected == batch.mask).all(axis=1))

    def _check_clocks(self):
        lanes, accelerators = self.simulation.lanes, self.simulation.accelerators
        self._require("clocks do not run back", lanes["time"] >= self.times)
        self.times[:] = lanes["time"]
        soonest = np.minimum(np.minimum(lanes["soonest"], lanes["next_ready"]), lanes["next_change"])
        self._require("what comes is not over", soonest >= lanes["time"])
        finishes = accelerators["finish"].min(axis=1)
        self._require("the first completion is known", ~self.played | (finishes == lanes["soonest"]))
        due = lanes["waiting"] > 0
        if not self.batch.layout.dispatch:
            due = due & (lanes["idle"] > 0) & (soonest > lanes["time"])
        self._require("a decision is due until the end", ~self.played | due | self.batch.ended)
        over = lanes["done"] == self.size[2]
        self._require("an episode ends when all jobs are done", ~self.played | (over == self.batch.ended))
        events = 3 * self.size[2] + lanes["aborted"] + accelerators["changes"].sum(axis=1)
        self._require("each step starts a job or lets something happen", ~self.played | (lanes["steps"] <= events))

    def _check_accelerators(self):
        lanes, accelerators = self.simulation.lanes, self.simulation.accelerators
        running, up = accelerators["job"] >= 0, accelerators["up"] == 1
        self._require("nothing runs while down", (~running | up) | ~self.played[:, np.newaxis])
        self._require("what is down is set to no dataflow", up | (accelerators["choice"] < 0))
        self._require("running ones are counted", ~self.played | (running.sum(axis=1) == lanes["running"]))
        self._require("idle ones are counted", ~self.played | ((up & ~running).sum(axis=1) == lanes["idle"]))

    def _check_counts(self):
        lanes, accelerators = self.simulation.lanes, self.simulation.accelerators
        parts = lanes["waiting"] + lanes["running"] + accelerators["queued"].sum(axis=1) + lanes["done"]
        self._require("arrived is waiting + running + queued + done", ~self.played | (parts == lanes["arrived"]))

    def _check_jobs(self):
        """Check that each job that has come is in one place, the others in none; return bool [L, n]: who waits."""
        simulation, (count, machines, total) = self.simulation, self.size
        lanes, accelerators, jobs = simulation.lanes, simulation.accelerators, simulation.jobs
        came = self.numbers < lanes["arrived"][:, np.newaxis]
        place = self.places - lanes["head"][:, np.newaxis]
        queued = (place >= 0) & (place < lanes["waiting"][:, np.newaxis])
        waiting = np.bincount((self.flat + simulation.queue["job"])[queued], minlength=count * total)
        runs = accelerators["job"] >= 0
        running = np.bincount((self.flat + accelerators["job"])[runs], minlength=count * total)
        waiting, running = waiting.reshape(count, total), running.reshape(count, total)
        start, finish, choice, ready = (jobs[name] for name in ("start", "finish", "choice", "ready"))
        done = finish >= 0
        owned = came & (start < 0) & (choice >= 0)
        known = self.played[:, np.newaxis]
        self._require("no job is lost or doubled", ~known | (waiting + running + done + owned == came))
        self._require("jobs that are done are counted", ~self.played | (done.sum(axis=1) == lanes["done"]))
        now = lanes["time"][:, np.newaxis]
        self._require("no job comes early or late", ~known | np.where(came, ready <= now, ready >= now))
        self._require("no job starts early", ~known | np.where(start >= 0, (start >= ready) & (start <= now), ~done))
        self._require("started jobs run or are done", ~known | ((start >= 0) == (done | (running > 0))))
        self._require("jobs take time", ~done | ((finish > start) & (finish <= now)))
        owner = simulation.choice_accelerators[choice] + np.arange(count)[:, np.newaxis] * machines
        own = np.bincount(owner[owned], minlength=count * machines).reshape(count, machines)
        self._require("queues of accelerators are counted", own == accelerators["queued"])
        work = simulation.pairs["predicted"][jobs["job_class"], choice]
        sums = np.bincount(owner[owned], work[owned].astype(float), minlength=count * machines)
        self._require("work in accelerators' queues", sums.reshape(count, machines) == accelerators["queued_work"])
        return queued

    def _check_waiting(self, queued):
        """Check the order of the central queue and the sums over it."""
        simulation, (count, machines, _) = self.simulation, self.size
        entries, lanes = simulation.queue, simulation.lanes
        kinds = np.where(queued, entries["job_class"], 0)
        shortest = np.where(queued, self.classes["shortest"][kinds], 0)
        later = entries["job"][:, 1:] > entries["job"][:, :-1]
        if simulation.settings["shortest_first"][0]:
            later = np.where(shortest[:, 1:] == shortest[:, :-1], later, shortest[:, 1:] > shortest[:, :-1])
        self._require("the queue is in order", later | ~(queued[:, 1:] & queued[:, :-1]))
        self._require("waiting work is summed up", shortest.sum(axis=1) == lanes["waiting_work"])
        place = self.places - lanes["head"][:, np.newaxis]
        shown = np.where(place < self.batch.layout.window, shortest, 0).sum(axis=1)
        self._require("work in the window is summed up", shown == lanes["shown_work"])
        owner = self.classes["preferred"][kinds] + np.arange(count)[:, np.newaxis] * machines
        preferred = np.bincount(owner.ravel(), shortest.ravel().astype(float), minlength=count * machines)
        expected = simulation.accelerators["preferred_work"]
        self._require("preferring work is summed up", preferred.reshape(count, machines) == expected)
