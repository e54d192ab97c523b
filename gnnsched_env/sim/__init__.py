"""The fleet simulator: arrivals, queues, the one compiled transition, capacity and metrics."""

from gnnsched_env.sim.capacity import Capacity, fleet_capacity, policy_capacity
from gnnsched_env.sim.metrics import EpisodeMetrics, episode_metrics, summarise
from gnnsched_env.sim.state import Simulation, SimulationSettings, WindowOrder, seed_arrays

__all__ = [
    "Capacity",
    "EpisodeMetrics",
    "Simulation",
    "SimulationSettings",
    "WindowOrder",
    "episode_metrics",
    "fleet_capacity",
    "policy_capacity",
    "seed_arrays",
    "summarise",
]
