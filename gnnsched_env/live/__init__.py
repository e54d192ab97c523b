"""A live fleet: real devices behind the scheduler, in place of simulated ones."""

from gnnsched_env.live.executor import Executor, Kind, Report
from gnnsched_env.live.live_fleet import LiveDevice, LiveFleet, load_live_fleet
from gnnsched_env.live.scheduler import FleetLost, JobFailed, JobResult, LiveScheduler

__all__ = [
    "Executor",
    "FleetLost",
    "JobFailed",
    "JobResult",
    "Kind",
    "LiveDevice",
    "LiveFleet",
    "LiveScheduler",
    "Report",
    "load_live_fleet",
]
