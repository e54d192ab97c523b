"""Evolution strategies on the native batch: whole episodes are scored, without gradients or torch.

Each generation draws pairs of opposite steps around the present weights (antithetic sampling), plays the same episodes
with every member (common random numbers), and moves the weights by Adam (Kingma and Ba 2015) along the sum of the
steps, each weighted by the rank of its result (Salimans et al. 2017; centred ranks as in Wierstra et al. 2014).
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnsched_agents.first_weights import first_weights
from gnnsched_agents.methods.registry import EvolutionConfig
from gnnsched_agents.worlds import EPISODE_SEEDS, Workloads, World, fewer, make_world, training_scenario
from gnnsched_baselines.learned.pair_features import NUM_FEATURES
from gnnsched_baselines.learned.pair_network import Network, initial_network, shapes
from gnnsched_env.common import store
from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.common.files import reading
from gnnsched_env.common.parallel.kept_results import Result
from gnnsched_env.common.parallel.task_runs import TaskRunner, Where
from gnnsched_env.common.progress import Advance

FloatArray = NDArray[np.float64]

STATE = ("parameters", "first_moment", "second_moment")  # the arrays of a checkpoint, besides the number of generations
OUTPUTS = ("w3", "skip")
FIRST_MOMENT, SECOND_MOMENT, EPSILON = 0.9, 0.99, 1e-8  # Adam's betas; the second is small, as there are few steps
FIRST_EPISODE_SEED = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A world of a generation: `lanes` episodes from `seed` on, of set `table`."""

    workloads: Workloads
    table: int
    load: float
    lanes: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One process's unit of work: some members in one world, followed by the heuristic if `reference` is True."""

    place: Place
    members: tuple[Network, ...]
    reference: bool


class Evolution:
    """A training by evolution strategies; each generation depends on the seed, its number and the weights only."""

    def __init__(self, config: EvolutionConfig, workloads: Workloads, seed: int = 0) -> None:
        """Begin with the network that the config describes."""
        self.config = config
        self.workloads = workloads
        self.seed = seed
        first = _first_network(config, workloads, seed)
        workloads.inputs.check(first)
        self.size = len(first.b1), first.num_features
        self.scale = step_scale(*self.size, config.parts)
        self.parameters = flatten(first)
        self.first_moment = np.zeros_like(self.parameters)
        self.second_moment = np.zeros_like(self.parameters)
        self.generation = 0
        self.run_on(None)

    def run_on(self, ray: str | None) -> None:
        """Play the members on the Ray cluster at an address; None: in the config's number of processes.

        The weights do not depend on it.
        """
        self._runner = TaskRunner(play_task, where=Where(workers=self.config.workers, ray=ray))
        weakref.finalize(self, self._runner.close)

    def close(self) -> None:
        """End the processes that play."""
        self._runner.close()

    def update(self) -> dict[str, float]:
        """Take one generation.

        "ratio" is the members' mean completion over the heuristic's (`assignment` in Queue-v0) on the same episodes
        (geometric mean over members and worlds), "best_ratio" the best member's.
        """
        config = self.config
        rng = np.random.default_rng((self.seed, 1, self.generation))
        faded = 0.5 ** (self.generation / config.half_life) if config.half_life else 1.0
        steps = rng.normal(size=(config.pairs, len(self.parameters))) * (self.scale * config.sigma * faded)
        members = [unflatten(self.parameters + sign * step, *self.size) for step in steps for sign in (1.0, -1.0)]
        by_world, decisions = self._play(members, rng)
        costs = by_world.mean(axis=1)
        shaped = centred_ranks(-levelled(by_world, config.level).mean(axis=1))
        gradient = (shaped[0::2] - shaped[1::2]) @ steps / (2 * config.pairs * config.sigma * faded)
        self._ascend(gradient, config.learning_rate * faded)
        self.generation += 1
        return {
            "decisions": float(decisions),
            "ratio": float(np.exp(costs.mean())),
            "best_ratio": float(np.exp(costs.min())),
            "spread": float(costs.std()),
        }

    def network(self) -> Network:
        """Return the weights around which the members are drawn."""
        return unflatten(self.parameters, *self.size)

    def save(self, path: Path) -> None:
        """Write everything that the next generation depends on."""
        arrays = {name: np.asarray(getattr(self, name)) for name in STATE}
        about = {"seed": self.seed, "generation": self.generation, "features": list(self.workloads.inputs.features)}
        store.save(path, store.EVOLUTION, about, arrays)

    def load(self, path: Path) -> None:
        """Restore what `save` wrote; raise FileFormatError if the file belongs to another training or is damaged."""
        stored = store.load(path, store.EVOLUTION)
        if stored.manifest.get("seed") != self.seed:
            raise FileFormatError(f"{stored.source}: seed must be {self.seed}, got {stored.manifest.get('seed')!r}")
        if stored.manifest.get("features") != list(self.workloads.inputs.features):
            raise FileFormatError(f"{stored.source}: must be a checkpoint of this version's features, in their order")
        with reading(stored.source, "the checkpoint"):
            for name in STATE:
                value = np.asarray(stored.arrays[name])
                if value.shape != self.parameters.shape or value.dtype != np.float64:
                    expected, got = list(self.parameters.shape), list(value.shape)
                    raise ValueError(f"{name} must be float64 of shape {expected}, got {value.dtype} {got}")
                setattr(self, name, value)
            self.generation = int(stored.manifest["generation"])

    def _play(self, members: Sequence[Network], rng: np.random.Generator) -> tuple[FloatArray, int]:
        """Return log(mean completion / the heuristic's), float64 [members, worlds], and the decisions taken."""
        config = self.config
        low, high = self.workloads.loads
        blocks = _blocks(len(members), self._runner.workers(), config.worlds)
        tasks = []
        for world in range(config.worlds):
            table, part = self.workloads.draw(rng), float(rng.uniform())
            load = low + (high - low) * (world + part) / config.worlds
            seed = int(rng.integers(FIRST_EPISODE_SEED, EPISODE_SEEDS))
            workloads = self.workloads.of_turn(world + self.generation)
            place = Place(workloads=workloads, table=table, load=load, lanes=config.lanes, seed=seed)
            tasks += [
                Task(place=place, members=tuple(members[block]), reference=block.stop == len(members))
                for block in blocks
            ]
        results = self._runner.results(tasks)
        costs = np.log([completion for result in results for completion in result["completions"]])
        costs = costs.reshape(config.worlds, len(members) + 1)
        return (costs[:, :-1] - costs[:, -1:]).T, sum(result["decisions"] for result in results)

    def _ascend(self, gradient: FloatArray, rate: float) -> None:
        """Take one step of Adam up the gradient, scaled for each weight like the steps that were tried."""
        direction = gradient / np.where(self.scale > 0, self.scale, 1.0)
        self.first_moment = FIRST_MOMENT * self.first_moment + (1 - FIRST_MOMENT) * direction
        self.second_moment = SECOND_MOMENT * self.second_moment + (1 - SECOND_MOMENT) * direction**2
        first = self.first_moment / (1 - FIRST_MOMENT ** (self.generation + 1))
        second = self.second_moment / (1 - SECOND_MOMENT ** (self.generation + 1))
        self.parameters = self.parameters + rate * self.scale * first / (np.sqrt(second) + EPSILON)


def levelled(costs: FloatArray, level: float) -> FloatArray:
    """Return how much worse than the mean of its world each member is, divided by how far members differ there.

    `costs` float64 [members, worlds]. That is the world's deviation + `level`, so that a world in which members differ
    by much more than `level` does not decide alone, and one in which they differ by less counts less. A level of 0
    leaves the costs as they are.
    """
    if level == 0.0:
        return costs
    scaled: FloatArray = (costs - costs.mean(axis=0)) / (costs.std(axis=0) + level)
    return scaled


def centred_ranks(values: FloatArray) -> FloatArray:
    """Return float64 [n] from -0.5 (the smallest of `values`) to 0.5 (the largest); equal ones share their mean."""
    order = values.argsort(kind="stable")
    _, group, counts = np.unique(values[order], return_inverse=True, return_counts=True)
    last = counts.cumsum()
    ranks = np.empty(len(values))
    ranks[order] = ((2 * last - counts - 1) / 2)[group]
    return ranks / max(1, len(values) - 1) - 0.5


def flatten(network: Network) -> FloatArray:
    """Return a network's weights as one vector, float64, in the order of its arrays."""
    return np.concatenate([array.ravel() for array in network.arrays]).astype(np.float64)


def unflatten(parameters: FloatArray, width: int, features: int = NUM_FEATURES) -> Network:
    """Return the network of a vector of weights."""
    arrays, first = {}, 0
    for name, shape in shapes(width, features).items():
        size = int(np.prod(shape))
        arrays[name] = parameters[first : first + size].reshape(shape).astype(np.float32)
        first += size
    return Network(**arrays)


def step_scale(width: int, features: int, parts: str) -> FloatArray:
    """Return each weight's step size in sigmas: 1 in the linear part, 1 / sqrt(rows) in a layer, 0 if it is fixed."""
    scales = []
    for name, shape in shapes(width, features).items():
        rows = 1 if name == "skip" else shape[0]
        evolves = parts == "all" or name in OUTPUTS
        scales.append(np.full(int(np.prod(shape)), evolves / np.sqrt(rows)))
    return np.concatenate(scales)


def play_task(shared: None, task: Task, advance: Advance) -> Result:
    """Return "completions", the mean completion (cycles) of each member, then the heuristic's, and the "decisions"."""
    world = _world(task.place)
    completions, decisions = [], 0
    for member in (*task.members, *([None] if task.reference else [])):
        completions.append(float(world.play(world.actor(member), task.place.seed).mean()))
        decisions += int(world.simulation.lanes["steps"].sum())
    return {"completions": completions, "decisions": decisions}


@lru_cache(maxsize=1)
def _world(place: Place) -> World:
    scenario = training_scenario(place.workloads, place.table)
    return make_world(place.workloads, scenario, place.load, fewer(place.lanes, place.workloads, scenario))


def _blocks(members: int, workers: int, worlds: int) -> list[slice]:
    """Divide the members into parts so that every worker has work, and each part has at least one pair."""
    parts = min(members // 2, -(-workers // worlds))
    bounds = np.linspace(0, members, parts + 1).astype(int).tolist()
    return [slice(first, stop) for first, stop in pairwise(bounds)]


def _first_network(config: EvolutionConfig, workloads: Workloads, seed: int) -> Network:
    """Return the weights to start from.

    Without the slope, all actions that the heuristic would not take score equally low: a step then changes either
    nothing or, once it exceeds that gap, far too much. With the slope, a step changes the choices that cost almost the
    same by the heuristic's reckoning.
    """
    inputs = workloads.inputs
    if config.weights is not None:
        return first_weights("evolution", config.weights, workloads)
    rng = np.random.default_rng((seed, 0))
    return initial_network(config.width, rng, prior=config.prior, slope=config.slope, inputs=inputs)
