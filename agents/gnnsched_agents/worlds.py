"""Training worlds: simulations of a fleet, or of a new one each, under fresh workloads, at loads drawn from a range."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Annotated, cast

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.assignment_playing import AssignmentPlayer
from gnnsched_baselines.equal_hardware import hardware_of
from gnnsched_baselines.learned.dispatch_features import DispatchFleet, dispatch_fleet
from gnnsched_baselines.learned.dispatcher import DispatchPlayer
from gnnsched_baselines.learned.pair_features import known_machines, machine_features
from gnnsched_baselines.learned.pair_network import DISPATCH, INPUTS, QUEUE, Inputs, Network
from gnnsched_baselines.learned.player import Player, Reader
from gnnsched_baselines.learned.portfolio import imagined
from gnnsched_env.common.checks import Integer, ListOf, Number, OneOf, Text, check_fields, require
from gnnsched_env.common.policy import IntArray
from gnnsched_env.envs import Layout
from gnnsched_env.envs.construction import scenario_batch
from gnnsched_env.scenario import Scenario, load_scenario, scenario_table, simulation_settings
from gnnsched_env.scenario.options import LOAD_LIMIT, MOST_JOBS, Failures, PredictionError
from gnnsched_env.scenario.random_scenarios import (
    MOST_ACCELERATORS,
    MOST_KINDS,
    PES,
    fleets_within,
    longest_services,
    random_scenario,
)
from gnnsched_env.scenario.varied import FIRST_TRAINING_SEED, MOST_SKEW, freshly_varied, synthetic_table
from gnnsched_env.sim import Simulation, episode_metrics
from gnnsched_env.tables import LatencyTable

SETS, FRESH, OWN = MIXES = ("sets", "fresh", "own")  # where workloads come from
RANDOM = "random"  # the scenario that stands for a fleet of its own in each world
NARROW = 8  # accelerators of a random fleet up to which as much is played as asked
MANY = 1 << 32  # number of the workloads that may be drawn where each world has one of its own
EPISODE_SEEDS = 1 << 40  # training episodes use seeds below this


@dataclass(frozen=True, kw_only=True)
class Workloads:
    """The distribution of training worlds: a fleet, a range of loads, and a number of sets of synthetic classes.

    Each set has `classes` classes, drawn with a seed of its own and predicted as a user's would be; two sets of three
    are varied (`scenario.varied`). An episode has `jobs` arrivals. Of the scenario "random", each set is a scenario of
    its own (`scenario.random_scenarios`): a fleet, classes, arrivals, failures and errors of predictions.

    Where `mixes` are "fresh", every world has a workload of its own: a set, varied more widely
    (`scenario.varied.freshly_varied`). Where they are "own", worlds have the scenario's own classes and mix as policies
    know them: predictions are taken for true, and err as they are known to (`portfolio.imagined`).
    """

    environment: Annotated[str, OneOf(tuple(INPUTS))] = QUEUE.environment
    """Environment to train for: "queue" or "dispatch"."""
    scenario: str = "hetero4"
    """Preset scenario, or path of a scenario's or a fleet's TOML file, whose fleet is trained for; or "random"."""
    also: Annotated[tuple[str, ...], ListOf(Text())] = ()
    """Further scenarios, for a policy of several fleets: worlds take turns with them; for the method evolution."""
    loads: Annotated[tuple[float, float], ListOf(Number(above=0, below=LOAD_LIMIT), 2)] = (0.4, 1.0)
    """Range of loads, drawn uniformly."""
    sets: Annotated[int, Integer(1, MOST_JOBS)] = 48
    """Number of sets of synthetic classes; of the scenario "random", of scenarios."""
    mixes: Annotated[str, OneOf(MIXES)] = SETS
    """Workloads: "sets" (each set is one), "fresh" (another in each world), "own" (the scenario's own graphs)."""
    skew: Annotated[float, Number(least=0, most=MOST_SKEW)] = 0.7
    """Variation between sets in which accelerator suits a class; 0 for identical accelerators; "random" has its own."""
    classes: Annotated[int, Integer(1, MOST_JOBS)] = 256
    """Number of classes per set."""
    jobs: Annotated[int, Integer(1, MOST_JOBS)] = 1000
    """Arrivals an episode."""
    window: Annotated[int, Integer(1, MOST_JOBS)] = 32
    """Number of waiting jobs that the agent sees."""
    accelerators: Annotated[tuple[int, int], ListOf(Integer(2, MOST_ACCELERATORS), 2)] = (2, MOST_ACCELERATORS)
    """Least and most accelerators of a random fleet; a single one is left out: every agent plays `sjf` there."""
    kinds: Annotated[tuple[int, int], ListOf(Integer(1, MOST_KINDS), 2)] = (1, MOST_KINDS)
    """Least and most kinds of accelerators in a random fleet."""

    def __post_init__(self) -> None:
        check_fields(self, "workloads")
        for name in ("loads", "accelerators", "kinds"):
            low, high = getattr(self, name)
            require("workloads", name, (low, high), "in ascending order" if low > high else "")
        rule = "'sets' or 'fresh' for random scenarios" if self.mixes == OWN and self.scenario == RANDOM else ""
        require("workloads", "mixes", self.mixes, rule)

    def of_turn(self, number: int) -> "Workloads":
        """Return the workloads of one scenario, that of turn `number`."""
        scenarios = (self.scenario, *self.also)
        return replace(self, scenario=scenarios[number % len(scenarios)], also=())

    def draw(self, rng: np.random.Generator) -> int:
        """Return the number of the workload of a new world: `training_scenario` makes it."""
        return int(rng.integers({SETS: self.sets, FRESH: MANY, OWN: 1}[self.mixes]))

    @property
    def inputs(self) -> Inputs:
        """Return what networks for the environment read."""
        return INPUTS[self.environment]


@dataclass(slots=True, kw_only=True, eq=False)
class World:
    """Lanes of one environment with one fleet, workload and load.

    `machines` float64 [A, M + T] and `unit` (the reward's, in cycles) are a trained policy's knowledge of the workload,
    with latencies pooled in `groups` int64 [A] of equal hardware (None: there is nothing to pool; a dispatcher never
    pools). `fleet` is a trained dispatcher's, None in Queue-v0.
    """

    simulation: Simulation
    layout: Layout
    unit: float
    load: float
    groups: IntArray | None = field(init=False)
    machines: NDArray[np.float64] = field(init=False)
    fleet: DispatchFleet | None = field(init=False)

    def __post_init__(self) -> None:
        table = self.simulation.table
        self.groups, self.machines = known_machines(table, pools=not self.layout.dispatch)
        self.fleet = dispatch_fleet(table, self.machines) if self.layout.dispatch else None

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
        return self.player(self.simulation, network).act

    def player(self, simulation: Simulation, network: Network) -> Player:
        """Return what decides by a network in a simulation of the same workload: the world's own, or its futures."""
        pools = network.pools or self.groups is None
        machines = self.machines if pools else machine_features(self.simulation.table)
        groups = self.groups if pools else None
        return Player(simulation, self.layout, machines, self.unit, network.read, groups=groups, pools=network.pools)

    def reader(self) -> Reader:
        """Return what describes the lanes to a network in training."""
        return Reader(self.simulation, self.layout, self.machines, self.unit, groups=self.groups, pools=True)


def make_world(
    workloads: Workloads, scenario: Scenario, load: float, lanes: int, *, split: str = "train", dataflow: str = "agent"
) -> World:
    """Return a world of `lanes` lanes that play episodes of a split, of a scenario that brings its table.

    Actions name the dataflow, or none under "predicted_best", which rows of features need. Policies that pool
    predictions of equal hardware know better than the single predictions which dataflow is the best.
    """
    shape = {"load": load, "jobs": workloads.jobs, "window": workloads.window, "split": split}
    chosen = scenario.with_options(dataflow=dataflow, returns="total", **shape)
    table = scenario_table(chosen)
    settings = simulation_settings(chosen, table, dispatch=workloads.inputs is DISPATCH)
    batch = scenario_batch(chosen, table, settings, lanes=lanes)
    return World(simulation=batch.simulation, layout=batch.layout, unit=settings.unit, load=load)


@lru_cache(maxsize=1_024)
def training_scenario(workloads: Workloads, number: int) -> Scenario:
    """Return the scenario of workload `number`, with its table of latencies, true and predicted (cached)."""
    if workloads.mixes == FRESH:
        base = training_scenario(replace(workloads, mixes=SETS, skew=0.0), number % workloads.sets)
        return _with_fresh_table(base, np.random.default_rng(number))
    return world_scenario(workloads, number if workloads.scenario == RANDOM else FIRST_TRAINING_SEED + number)


def _with_fresh_table(scenario: Scenario, rng: np.random.Generator) -> Scenario:
    """Return a scenario, which has a table, with another workload; without failures if these were too frequent for it.

    A job longer than accelerators work between two failures would be repeated again and again.
    """
    old = cast(LatencyTable, scenario.table)
    table = freshly_varied(old, rng, hardware_of(old))
    failures = scenario.failures if longest_services(table) <= scenario.failures.up else Failures()
    return replace(scenario, table=table, failures=failures)


def world_scenario(workloads: Workloads, seed: int, *, split: str = "train") -> Scenario:
    """Return the fleet under a seed's synthetic classes; of the scenario "random", the random scenario of that number.

    Where `mixes` are "own", it is the scenario's own workload, whatever the seed.
    Of a split's random scenarios those are numbered, from 0, that have as many accelerators and kinds as the workloads
    say. The split is of random scenarios alone: other seeds are of the split that they belong to.
    """
    if workloads.scenario == RANDOM:
        numbers = fleets_within(split, seed + 1, workloads.accelerators, workloads.kinds)
        return random_scenario(numbers[seed], split=split, classes=workloads.classes)
    base = load_scenario(workloads.scenario)
    if workloads.mixes == OWN:
        return replace(base, table=imagined(scenario_table(base)), prediction_error=PredictionError())
    return replace(base, table=synthetic_table(base.fleet, seed, classes=workloads.classes, skew=workloads.skew))


def shown_scenario(workloads: Workloads) -> Scenario:
    """Return the scenario on which a trained agent is shown: its own, or the first random one of the tests."""
    return random_scenario(0) if workloads.scenario == RANDOM else load_scenario(workloads.scenario)


def trained_range(workloads: Workloads) -> dict[str, tuple[float, float]]:
    """Return the least and the most of what random fleets are trained for, by name; nothing for a single fleet."""
    if workloads.scenario != RANDOM:
        return {}
    least, most = workloads.accelerators
    accelerators = (1 if least == 2 else least, most)
    return {"accelerators": accelerators, "kinds": workloads.kinds, "PEs": (PES[0], PES[-1]), "load": workloads.loads}


def fewer(count: int, workloads: Workloads, scenario: Scenario) -> int:
    """Return how many lanes or states to play of `count`: of wide random fleets fewer, as each costs as much more."""
    wide = workloads.scenario == RANDOM and len(scenario.fleet.accelerators) > NARROW
    return max(1, count * NARROW // len(scenario.fleet.accelerators)) if wide else count
