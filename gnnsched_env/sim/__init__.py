"""The fleet simulator: arrivals, queues, the one compiled transition, capacity and metrics."""

from gnnsched_env.sim.arrivals import PROCESSES, Modulation
from gnnsched_env.sim.capacity import Capacity, fleet_capacity, policy_capacity
from gnnsched_env.sim.job_table import job_table
from gnnsched_env.sim.metrics import METRICS, EpisodeMetrics, episode_metrics, summarise
from gnnsched_env.sim.settings import MOST_WORKERS, SimulationSettings, Split, Waiting, WindowOrder
from gnnsched_env.sim.state import Simulation, seed_arrays

__all__ = [
    "METRICS",
    "MOST_WORKERS",
    "PROCESSES",
    "Capacity",
    "EpisodeMetrics",
    "Modulation",
    "Simulation",
    "SimulationSettings",
    "Split",
    "Waiting",
    "WindowOrder",
    "episode_metrics",
    "fleet_capacity",
    "job_table",
    "policy_capacity",
    "seed_arrays",
    "summarise",
]
