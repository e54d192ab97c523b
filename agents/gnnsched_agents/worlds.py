"""Worlds to train in: simulations of a fleet under fresh synthetic workloads, at loads drawn from a range."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.assignment_playing import AssignmentPlayer
from gnnsched_baselines.learned.pair_features import machine_features
from gnnsched_baselines.learned.pair_network import Network
from gnnsched_baselines.learned.player import Player
from gnnsched_env.common.checks import Integer, ListOf, Number, check_fields, require
from gnnsched_env.common.policy import IntArray
from gnnsched_env.envs import Layout
from gnnsched_env.envs.construction import scenario_batch
from gnnsched_env.predictors import build_table
from gnnsched_env.scenario import load_scenario, simulation_settings
from gnnsched_env.scenario.options import LOAD_LIMIT, MOST_JOBS
from gnnsched_env.sim import Simulation, episode_metrics
from gnnsched_env.tables import LatencyTable
from gnnsched_env.workload import synthetic_classes

FIRST_TRAINING_SEED = 1_000  # of synthetic classes; 0 is the embedded workload's, those around 100 are for validation
PLAIN_EVERY, PLAIN = 3, 2  # seeds that leave this rest are not varied
MOST_SKEW = 4.0
EPISODE_SEEDS = 1 << 40  # episodes of training are of seeds below this


@dataclass(frozen=True, kw_only=True)
class Workloads:
    """What a training draws its worlds from: a fleet, a range of loads, and how many sets of synthetic classes.

    Each set has `classes` classes, drawn with a seed of its own and predicted as a user's would be; two sets of three
    are `varied`. An episode has `jobs` arrivals.
    """

    scenario: str = "hetero4"
    """A preset or the path of a scenario's TOML file: its fleet is trained for."""
    loads: Annotated[tuple[float, float], ListOf(Number(above=0, below=LOAD_LIMIT), 2)] = (0.4, 1.0)
    """Loads are uniform over this range."""
    sets: Annotated[int, Integer(1, MOST_JOBS)] = 48
    """Sets of synthetic classes."""
    skew: Annotated[float, Number(least=0, most=MOST_SKEW)] = 0.7
    """How much the sets differ in what suits which accelerator; 0 where accelerators are alike."""
    classes: Annotated[int, Integer(1, MOST_JOBS)] = 256
    """Classes a set."""
    jobs: Annotated[int, Integer(1, MOST_JOBS)] = 1000
    """Arrivals an episode."""
    window: Annotated[int, Integer(1, MOST_JOBS)] = 32
    """Waiting jobs that the agent sees."""

    def __post_init__(self) -> None:
        check_fields(self, "workloads")
        require("workloads", "loads", self.loads, "in ascending order" if self.loads[0] > self.loads[1] else "")


@dataclass(slots=True, kw_only=True, eq=False)
class World:
    """Lanes of Queue-v0 of one fleet, workload and load; the dataflow is the predicted best.

    `machines` float64 [A, 5 + T] and `unit` (cycles, the reward's) are what a trained policy knows of the workload.
    """

    simulation: Simulation
    layout: Layout
    unit: float
    load: float
    machines: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.machines = machine_features(self.simulation.table)

    def reset(self, seed: int) -> None:
        """Start an episode in each lane, of seeds seed, seed + 1, ..."""
        lanes = self.simulation.num_lanes
        seeds = np.arange(seed, seed + lanes, dtype=np.uint64)
        self.simulation.reset(seeds, np.zeros(lanes, np.uint64), np.ones(lanes, np.bool_))

    def play(self, act: Callable[[], IntArray], seed: int) -> NDArray[np.float64]:
        """Play an episode in each lane, of seeds seed, seed + 1, ...; return its mean completion, cycles, float64 [L].

        `act` gives the actions int64 [L] of the lanes as they stand.
        """
        self.reset(seed)
        while not self.simulation.lanes["ended"].all():
            self.simulation.step(act())
        return np.asarray(episode_metrics(self.simulation).completion.mean(axis=1), np.float64)

    def actor(self, network: Network | None) -> Callable[[], IntArray]:
        """Return what gives the actions int64 [L] of the lanes as they stand: a network's, or `assignment`'s (None)."""
        if network is None:
            return AssignmentPlayer(self.simulation, self.layout).actions
        return Player(self.simulation, self.layout, self.machines, self.unit, network.arrays).act


def make_world(workloads: Workloads, table: LatencyTable, load: float, lanes: int) -> World:
    """Return a world of `lanes` lanes; its table holds the cycles of one inference."""
    scenario = load_scenario(workloads.scenario).with_options(
        load=load, jobs=workloads.jobs, window=workloads.window, dataflow="predicted_best"
    )
    settings = simulation_settings(scenario, table, dispatch=False)
    batch = scenario_batch(scenario, table, settings, lanes=lanes)
    return World(simulation=batch.simulation, layout=batch.layout, unit=settings.unit, load=load)


@lru_cache(maxsize=64)
def training_table(workloads: Workloads, number: int) -> LatencyTable:
    """Return the latencies of set `number`, true and predicted (remembered)."""
    return synthetic_table(workloads, FIRST_TRAINING_SEED + number)


def synthetic_table(workloads: Workloads, seed: int) -> LatencyTable:
    """Return the latencies of the synthetic classes of a seed on the fleet, `varied` but for every third seed."""
    fleet = load_scenario(workloads.scenario).fleet
    table = build_table(synthetic_classes(workloads.classes, seed=seed), fleet)
    return table if seed % PLAIN_EVERY == PLAIN else varied(table, np.random.default_rng(seed), workloads.skew)


def varied(table: LatencyTable, rng: np.random.Generator, skew: float) -> LatencyTable:
    """Return the table with other shares of its families, and other accelerators that suit them.

    Shares are drawn evenly from all there are (Dirichlet, all parameters 1); each family's latencies on each
    accelerator, true and predicted, are multiplied by 2 to the power of a normal variable of deviation `skew`. Real
    graphs differ more in which accelerator suits them than the synthetic families do; a policy trained on these alone
    does worse on real ones.
    """
    families = len(table.group_names)
    counts = np.bincount(table.class_groups, minlength=families)
    shares = rng.dirichlet(np.ones(families)) / np.maximum(counts, 1)
    factors = np.exp2(skew * rng.standard_normal((families, table.num_accelerators)))
    own = factors[table.class_groups][:, table.choice_accelerators]
    true, predicted = (np.maximum(1, np.rint(cycles * own)) for cycles in (table.true_cycles, table.predicted_cycles))
    return replace(
        table,
        true_cycles=true.astype(np.int64),
        predicted_cycles=predicted.astype(np.int64),
        weights=shares[table.class_groups],
        energy_pj=None,
    )
