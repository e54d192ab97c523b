"""Training worlds: simulations of a fleet under fresh synthetic workloads, at loads drawn from a range."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.assignment_playing import AssignmentPlayer
from gnnsched_baselines.learned.dispatch_features import DispatchFleet, dispatch_fleet
from gnnsched_baselines.learned.dispatcher import DispatchPlayer
from gnnsched_baselines.learned.pair_features import machine_features
from gnnsched_baselines.learned.pair_network import DISPATCH, INPUTS, QUEUE, Inputs, Network
from gnnsched_baselines.learned.player import Player
from gnnsched_env.common.checks import Integer, ListOf, Number, OneOf, Text, check_fields, require
from gnnsched_env.common.policy import IntArray
from gnnsched_env.envs import Layout
from gnnsched_env.envs.construction import scenario_batch
from gnnsched_env.scenario import load_scenario, simulation_settings
from gnnsched_env.scenario.options import LOAD_LIMIT, MOST_JOBS
from gnnsched_env.scenario.varied import FIRST_TRAINING_SEED, MOST_SKEW, synthetic_table
from gnnsched_env.sim import Simulation, episode_metrics
from gnnsched_env.tables import LatencyTable

EPISODE_SEEDS = 1 << 40  # training episodes use seeds below this


@dataclass(frozen=True, kw_only=True)
class Workloads:
    """The distribution of training worlds: a fleet, a range of loads, and a number of sets of synthetic classes.

    Each set has `classes` classes, drawn with a seed of its own and predicted as a user's would be; two sets of three
    are varied (`scenario.varied`). An episode has `jobs` arrivals.
    """

    environment: Annotated[str, OneOf(tuple(INPUTS))] = QUEUE.environment
    """Environment to train for: "queue" or "dispatch"."""
    scenario: str = "hetero4"
    """Preset scenario, or path of a scenario's or a fleet's TOML file, whose fleet is trained for."""
    also: Annotated[tuple[str, ...], ListOf(Text())] = ()
    """Further scenarios, for a policy of several fleets: worlds take turns with them; for the method evolution."""
    loads: Annotated[tuple[float, float], ListOf(Number(above=0, below=LOAD_LIMIT), 2)] = (0.4, 1.0)
    """Range of loads, drawn uniformly."""
    sets: Annotated[int, Integer(1, MOST_JOBS)] = 48
    """Number of sets of synthetic classes."""
    skew: Annotated[float, Number(least=0, most=MOST_SKEW)] = 0.7
    """Variation between sets in which accelerator suits a class; 0 for identical accelerators."""
    classes: Annotated[int, Integer(1, MOST_JOBS)] = 256
    """Number of classes per set."""
    jobs: Annotated[int, Integer(1, MOST_JOBS)] = 1000
    """Arrivals an episode."""
    window: Annotated[int, Integer(1, MOST_JOBS)] = 32
    """Number of waiting jobs that the agent sees."""

    def __post_init__(self) -> None:
        check_fields(self, "workloads")
        require("workloads", "loads", self.loads, "in ascending order" if self.loads[0] > self.loads[1] else "")

    def of_turn(self, number: int) -> "Workloads":
        """Return the workloads of one scenario, that of turn `number`."""
        scenarios = (self.scenario, *self.also)
        return replace(self, scenario=scenarios[number % len(scenarios)], also=())

    @property
    def inputs(self) -> Inputs:
        """Return what networks for the environment read."""
        return INPUTS[self.environment]


@dataclass(slots=True, kw_only=True, eq=False)
class World:
    """Lanes of one environment with one fleet, workload and load; the dataflow is the predicted best.

    `machines` float64 [A, 5 + T] and `unit` (the reward's, in cycles) are a trained policy's knowledge of the workload;
    `fleet` is a trained dispatcher's, None in Queue-v0.
    """

    simulation: Simulation
    layout: Layout
    unit: float
    load: float
    machines: NDArray[np.float64] = field(init=False)
    fleet: DispatchFleet | None = field(init=False)

    def __post_init__(self) -> None:
        self.machines = machine_features(self.simulation.table)
        self.fleet = dispatch_fleet(self.simulation.table, self.machines) if self.layout.dispatch else None

    def reset(self, seed: int) -> None:
        """Start an episode in each lane, of seeds seed, seed + 1, ..."""
        lanes = self.simulation.num_lanes
        seeds = np.arange(seed, seed + lanes, dtype=np.uint64)
        self.simulation.reset(seeds, np.zeros(lanes, np.uint64), np.ones(lanes, np.bool_))

    def play(self, act: Callable[[], IntArray], seed: int) -> NDArray[np.float64]:
        """Play an episode in each lane, of seeds seed, seed + 1, ...; return its mean completion, cycles, float64 [L].

        `act` returns the actions int64 [L] for the lanes' present state.
        """
        self.reset(seed)
        self.simulation.play(act)
        return np.asarray(episode_metrics(self.simulation).completion.mean(axis=1), np.float64)

    def actor(self, network: Network | None) -> Callable[[], IntArray]:
        """Return a function that gives the lanes' actions int64 [L]: those of a network, or of the heuristic (None).

        The heuristic is that of the environment's inputs (`pair_network.Inputs`).
        """
        if self.fleet is not None:
            return DispatchPlayer(self.simulation, self.layout, self.fleet, network).act
        if network is None:
            return AssignmentPlayer(self.simulation, self.layout).actions
        return Player(self.simulation, self.layout, self.machines, self.unit, network.arrays).act


def make_world(workloads: Workloads, table: LatencyTable, load: float, lanes: int, *, split: str = "train") -> World:
    """Return a world of `lanes` lanes that play episodes of a split; its table holds the cycles of one inference."""
    shape = {"load": load, "jobs": workloads.jobs, "window": workloads.window, "split": split}
    scenario = load_scenario(workloads.scenario).with_options(dataflow="predicted_best", returns="total", **shape)
    settings = simulation_settings(scenario, table, dispatch=workloads.inputs is DISPATCH)
    batch = scenario_batch(scenario, table, settings, lanes=lanes)
    return World(simulation=batch.simulation, layout=batch.layout, unit=settings.unit, load=load)


@lru_cache(maxsize=128)
def training_table(workloads: Workloads, number: int) -> LatencyTable:
    """Return the latencies of set `number`, true and predicted (cached)."""
    return world_table(workloads, FIRST_TRAINING_SEED + number)


def world_table(workloads: Workloads, seed: int) -> LatencyTable:
    """Return the latencies of a seed's synthetic classes on the fleet."""
    fleet = load_scenario(workloads.scenario).fleet
    return synthetic_table(fleet, seed, classes=workloads.classes, skew=workloads.skew)
