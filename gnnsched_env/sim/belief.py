"""What may be known of running fleets, and futures drawn from that knowledge: what planning policies are given.

A `Belief` is copied from a `Simulation` field by field: predicted latencies, the jobs that have come to the scheduler,
and when running jobs are believed to finish. Neither true latencies nor true finish times nor jobs still to come are in
it. `Belief.futures` continues it: fleets on which every prediction comes true, with arrivals drawn anew.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim.arrivals import Modulation
from gnnsched_env.sim.belief_records import KNOWN_ACCELERATOR, KNOWN_JOB, KNOWN_LANE, gather, lay_out
from gnnsched_env.sim.records import NEVER, RecordArray
from gnnsched_env.sim.settings import SimulationSettings
from gnnsched_env.sim.state import Simulation
from gnnsched_env.tables import LatencyTable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Belief:
    """What may be known of L lanes with A accelerators: copies, which outlive the simulation's next step.

    `table`: latencies of a job, the predicted ones as its truth; `settings`: those of one lane's future, but for its
    number of jobs (which is 1 here); `reconfiguration` [A] cycles; `lanes` KNOWN_LANE [L]; `accelerators`
    KNOWN_ACCELERATOR [L, A]; `jobs` KNOWN_JOB [L, n] (those in the system in order of arrival, numbered from 0; rows
    from `lanes["in_system"]` on mean nothing); `queue` int64 [L, n]: the waiting jobs' numbers, in the window's order.
    """

    table: LatencyTable
    settings: SimulationSettings
    reconfiguration: tuple[int, ...]
    lanes: RecordArray
    accelerators: RecordArray
    jobs: RecordArray
    queue: NDArray[np.int64]

    def futures(self, lanes: NDArray[np.int64], seeds: NDArray[np.uint64], arrivals: int) -> Simulation:
        """Return a simulation of n lanes that continue `lanes` int64 [n] as believed; none of them has acted yet.

        Its true latencies are the predicted ones, and running jobs finish when they are believed to. Lane i draws at
        most `arrivals` further jobs (no more than are to come in its original) from the workload's mix, as a Poisson
        process of its mean rate, and failures and repairs from now on, with `seeds[i]` (uint64 [n]): lanes of the same
        origin and seed meet the same. Predicting takes no time, whatever it costs in the original.

        All lanes have the same number of jobs. Those that a lane does not need come first, as jobs that arrived and
        finished at time 0. Raise ConfigError where an argument is bad.
        """
        lanes, seeds = self._check(lanes, seeds, arrivals)
        further = np.minimum(self.lanes["to_come"][lanes], min(arrivals, NEVER))
        jobs = max(1, int((self.lanes["in_system"][lanes] + further).max()))
        future = Simulation(
            self.table, replace(self.settings, jobs=jobs), lanes=len(lanes), reconfiguration=self.reconfiguration
        )
        future.reset(seeds, np.zeros(len(lanes), np.uint64), np.ones(len(lanes), np.bool_))
        lay_out(
            self.lanes, self.accelerators, self.jobs, self.queue, lanes, further, future.settings,
            future.lanes, future.accelerators, future.jobs, future.queue,
        )  # fmt: skip
        return future

    def _check(
        self, lanes: NDArray[np.int64], seeds: NDArray[np.uint64], arrivals: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        Integer(0).check("simulation", "arrivals", arrivals)
        lanes, seeds = np.asarray(lanes), np.asarray(seeds)
        if lanes.ndim != 1 or len(lanes) == 0 or lanes.dtype.kind not in "iu":
            raise ConfigError(f"futures: lanes must be integers of shape [n], got {lanes.dtype} {list(lanes.shape)}")
        if (outside := (lanes < 0) | (lanes >= len(self.lanes))).any():
            raise ConfigError(f"futures: lanes must be in [0, {len(self.lanes)}), got {lanes[outside][0]}")
        if seeds.shape != lanes.shape or seeds.dtype != np.uint64:
            expected = f"uint64 of shape {list(lanes.shape)}"
            raise ConfigError(f"futures: seeds must be {expected}, got {seeds.dtype} {list(seeds.shape)}")
        return lanes.astype(np.int64, copy=False), seeds


def belief_of(simulation: Simulation) -> Belief:
    """Return what may be known of a simulation's lanes now."""
    places = max(1, int((simulation.lanes["arrived"] - simulation.lanes["done"]).max()))
    count, fleet = simulation.accelerators.shape
    lanes = np.zeros(count, KNOWN_LANE)
    accelerators = np.zeros((count, fleet), KNOWN_ACCELERATOR)
    jobs = np.zeros((count, places), KNOWN_JOB)
    queue = np.zeros((count, places), np.int64)
    gather(
        simulation.config.jobs, simulation.lanes, simulation.accelerators, simulation.jobs,
        simulation.queue, lanes, accelerators, jobs, queue, np.zeros(places, np.int64),
    )  # fmt: skip
    return Belief(
        table=_believed(simulation.table),
        settings=_future_settings(simulation.config),
        reconfiguration=tuple(simulation.devices["reconfiguration"].tolist()),
        lanes=lanes,
        accelerators=accelerators,
        jobs=jobs,
        queue=queue,
    )


@lru_cache(maxsize=16)
def _believed(table: LatencyTable) -> LatencyTable:
    return replace(table, true_cycles=table.predicted_cycles)


def _future_settings(settings: SimulationSettings) -> SimulationSettings:
    """Return the settings of futures: the table is of a job already, predicting takes no time, nothing drifts."""
    return replace(
        settings,
        jobs=1,
        repeats=1,
        decision=0,
        workers=1,
        cached=False,
        lookup=0,
        modulation=Modulation.STEADY,
        phases=(),
        drift=0.0,
    )
