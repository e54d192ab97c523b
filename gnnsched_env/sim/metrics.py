"""What an episode's job records amount to: completion, execution, slowdown, utilisation, throughput."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.errors import GnnSchedError
from gnnsched_env.sim.state import Simulation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EpisodeMetrics:
    """Every job of L finished episodes of J jobs each, and each episode's use of the fleet.

    `completion` and `execution` int64 [L, J] cycles (finish - arrival, finish - start), `slowdown` float64 [L, J]
    (completion / smallest true latency), `utilisation` float64 [L] (busy cycles / (accelerators x makespan)),
    `makespan` int64 [L] cycles, `predicting` float64 [L] (mean cycles from a job's arrival until it was predicted and
    came to the scheduler: part of its completion time).
    """

    completion: NDArray[np.int64]
    execution: NDArray[np.int64]
    slowdown: NDArray[np.float64]
    utilisation: NDArray[np.float64]
    makespan: NDArray[np.int64]
    predicting: NDArray[np.float64]


def summarise(metrics: EpisodeMetrics) -> dict[str, float]:
    """Return the means over all jobs ("completion", "execution", cycles; "slowdown") and over episodes (the rest)."""
    return {
        "mean_completion": float(metrics.completion.mean()),
        "mean_execution": float(metrics.execution.mean()),
        "mean_slowdown": float(metrics.slowdown.mean()),
        "utilisation": float(metrics.utilisation.mean()),
        "makespan": float(metrics.makespan.mean()),
        "mean_predicting": float(metrics.predicting.mean()),
    }


def episode_metrics(simulation: Simulation) -> EpisodeMetrics:
    """Return the metrics of all lanes; raise where a lane has not ended."""
    if not simulation.lanes["ended"].all():
        running = np.flatnonzero(simulation.lanes["ended"] == 0).tolist()
        raise GnnSchedError(f"metrics: every lane must have ended, but lanes {running[:8]} still run")
    jobs = simulation.jobs
    completion = jobs["finish"] - jobs["arrival"]
    best = simulation.true.min(axis=1)[jobs["job_class"]]
    makespan = jobs["finish"].max(axis=1)
    busy = simulation.accelerators["busy_cycles"].sum(axis=1)
    return EpisodeMetrics(
        completion=completion,
        execution=jobs["finish"] - jobs["start"],
        slowdown=completion / best,
        utilisation=busy / (simulation.accelerators.shape[1] * makespan),
        makespan=makespan,
        predicting=(jobs["ready"] - jobs["arrival"]).mean(axis=1),
    )
