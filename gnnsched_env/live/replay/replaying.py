"""Play a finished run again on a virtual clock: the same arrivals and policy, on simulated devices."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.policy import BoolArray, IntArray
from gnnsched_env.common.progress import Advance, no_progress
from gnnsched_env.evaluation.policies import policy_factory
from gnnsched_env.evaluation.runs import PolicyFactory
from gnnsched_env.live.executor import Executor
from gnnsched_env.live.replay.calibrated_executor import CalibratedExecutor, Draws
from gnnsched_env.live.replay.calibration import Calibration
from gnnsched_env.live.replay.finished_runs import FinishedRun
from gnnsched_env.live.scheduler import LiveScheduler, Predict
from gnnsched_env.live.virtual_executor import VirtualExecutor
from gnnsched_env.sim.records import JOB, RecordArray
from gnnsched_env.sim.state import SEED_LIMIT

REPLAYS = 20  # with a calibration, whose draws differ
MOST_REPLAYS = 10_000


def replay_run(made: FinishedRun) -> RecordArray:
    """Return a run's jobs (LIVE_JOB records [n]) as the simulator has them: devices take exactly what was profiled.

    Neither deciding nor predicting takes time. A run of devices that did so themselves is played exactly as it was.
    """
    executor = VirtualExecutor(_latencies(made), made.run.planned.table.choice_accelerators)
    return _play(made, executor, policy_factory(made.run.policy, dispatch=False), None)


def replay_calibrated(
    made: FinishedRun,
    calibration: Calibration,
    *,
    replays: int = REPLAYS,
    seed: int = 0,
    advance: Advance = no_progress,
) -> list[RecordArray]:
    """Return a run's jobs (LIVE_JOB records [n]) in each of some replays, with the draws of seed, seed + 1, ...

    Raise ConfigError where the calibration is of another fleet or table. `advance` is told of each replay.
    """
    replays = Integer(1, MOST_REPLAYS).check("replay", "replays", replays)
    seed = Integer(0, SEED_LIMIT - replays).check("replay", "seed", seed)
    calibration.check_fits(made)
    found = []
    for number in range(replays):
        found.append(_replay(made, calibration, Draws(seed + number, len(made.jobs))))
        advance(1)
    return found


def _replay(made: FinishedRun, calibration: Calibration, draws: Draws) -> RecordArray:
    of, executor = made.run.planned, CalibratedExecutor(_latencies(made), calibration, draws)
    deciding = calibration.deciding_ns.get(made.run.policy, calibration.deciding_ns[""])
    decisions, comings = count(), count()

    def decided() -> None:
        executor.spend(draws.take("deciding", next(decisions), deciding))

    def predict(job_class: int) -> NDArray[np.int64]:
        executor.spend(draws.take("coming", next(comings), calibration.coming_ns))
        predicted: NDArray[np.int64] = of.table.predicted_cycles[job_class] * of.settings.repeats
        return predicted

    return _play(made, executor, _slow(made.run.policy, decided), predict)


def _latencies(made: FinishedRun) -> NDArray[np.int64]:
    of = made.run.planned
    latencies: NDArray[np.int64] = of.table.true_cycles * of.settings.repeats
    return latencies


def _play(made: FinishedRun, executor: Executor, factory: PolicyFactory, predict: Predict | None) -> RecordArray:
    planned: RecordArray = np.zeros(len(made.jobs), JOB)
    for name in ("arrival", "due", "weight", "job_class"):
        planned[name] = made.jobs[name]
    settings = replace(made.run.planned.settings, jobs=len(planned))
    live = LiveScheduler(
        made.run.planned.table, settings, factory, executor, planned=planned, predict=predict, tries=made.run.tries
    )
    live.run()
    return replace(made.run, entries=tuple(live.entries)).jobs


def _slow(name: str, decided: Callable[[], None]) -> PolicyFactory:
    """Return what makes a named policy that tells after each of its decisions that time is to pass."""
    factory = policy_factory(name, dispatch=False)
    return lambda layout, table: _Slow(factory(layout, table), decided)


class _Slow:
    """A policy, with all its attributes, whose decisions take time of the virtual clock."""

    def __init__(self, policy: Any, decided: Callable[[], None]) -> None:
        self._policy, self._decided = policy, decided

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def act(self, observation: Any, mask: BoolArray) -> IntArray:
        """Return the policy's actions, after the time that deciding takes."""
        actions: IntArray = self._policy.act(observation, mask)
        self._decided()
        return actions
