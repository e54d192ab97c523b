"""Policy iteration in near ties: a policy is improved where it is least sure, by the costs that it would itself cause.

Each iteration labels near ties in new worlds (`near_ties.py`) and learns from those of the latest iterations
(`trust_region.py`). Small steps matter: labels tell what an action costs under the policy that played the futures.
"""

import weakref
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gnnsched_agents.first_weights import first_weights, widened
from gnnsched_agents.methods.lookahead_labels import gather, joined
from gnnsched_agents.methods.near_ties import OwnLookahead, typical_gap
from gnnsched_agents.methods.registry import PolicyIterationConfig
from gnnsched_agents.methods.trust_region import Ties, improve, ties_of
from gnnsched_agents.worlds import Workloads, fewer, make_world, training_scenario
from gnnsched_baselines.learned.pair_features import FEATURES
from gnnsched_baselines.learned.pair_network import Network, initial_network
from gnnsched_env.common.disk_cache import content_key
from gnnsched_env.common.files import reading
from gnnsched_env.common.parallel.kept_results import Result
from gnnsched_env.common.parallel.task_runs import TaskRunner, Where
from gnnsched_env.common.progress import Advance
from gnnsched_env.nn.checkpoint import arrays_of, read_checkpoint, write_checkpoint
from gnnsched_env.scenario.options import LOAD_LIMIT

KIND = "policy iteration 2"  # kind and format of checkpoints
SHORT = (8, 64)  # number of jobs in short episodes
SHORT_LOADS = 1.5  # times the highest load: the highest of short episodes, which end before jobs pile up
ARRAYS = tuple(entry.name for entry in fields(Ties))
GAP_WORLDS, GAP_LANES, GAP_STEPS = 8, 8, 100  # what is played to find the gap that is near


class PolicyIteration:
    """Trains a network; an iteration depends on the seed, its number, the weights and the labels in memory only."""

    def __init__(
        self, config: PolicyIterationConfig, workloads: Workloads, seed: int, *, start: Network | None = None
    ) -> None:
        """Begin with the network `start`, the config's weights, or a network that decides as `assignment` does."""
        self.config = config
        self.workloads = workloads
        self.seed = seed
        self.iteration = 0
        self.memory: list[Ties] = []
        rng = np.random.default_rng((seed, 0))
        if start is None and config.weights is not None:
            start = first_weights("policy_iteration", config.weights, workloads)
        first = initial_network(config.width, rng, slope=1.0) if start is None else widened(start, config.width, rng)
        self._network = self._averaged = first
        self.run_on(None)

    def run_on(self, ray: str | None) -> None:
        """Label on the Ray cluster at an address; None: in the config's number of processes.

        The weights do not depend on it.
        """
        self._runner = TaskRunner(label_world, where=Where(workers=self.config.workers, ray=ray))
        weakref.finalize(self, self._runner.close)

    def close(self) -> None:
        """End the processes that label."""
        self._runner.close()

    def network(self) -> Network:
        """Return the average of the policy's weights over the latest iterations, whose noise differs."""
        return self._averaged

    def update(self) -> dict[str, float]:
        """Label near ties in new worlds, and learn from those in memory.

        "gain" is by how much an expected action in them costs less than at the iteration's beginning, over a job's mean
        cost, and "kl" the mean divergence in them, both during the last pass.
        """
        torch.set_num_threads(1)
        config, rng = self.config, np.random.default_rng((self.seed, 2, self.iteration))
        if self.iteration == 0:
            self._network = self._averaged = scaled(self._network, 1.0 / self._gap())
        worlds = config.worlds + config.short
        numbers = range(self.iteration * worlds, (self.iteration + 1) * worlds)
        shared: Any = {"config": config, "workloads": self.workloads, "seed": self.seed, "network": self._network}
        results = self._runner.results([TiesToLabel(number=number, **shared) for number in numbers])
        new = joined([Ties(**{name: result[name] for name in ARRAYS}) for result in results])
        self.memory = [*self.memory, new][-config.memory :]
        ties = joined(self.memory)
        figures = {"labelled": float(len(new)), "decisions": float(sum(result["decisions"] for result in results))}
        if len(ties):
            faded = 0.5 ** (self.iteration / config.half_life) if config.half_life else 1.0
            faded *= np.sqrt(len(self.memory) / config.memory)  # the fewer labels, the more of a step is noise
            self._network, learned = improve(
                self._network,
                ties,
                rng,
                passes=config.passes,
                batch=config.batch,
                learning_rate=config.learning_rate * faded,
                sharpness=config.sharpness,
                trust=config.trust,
                features=config.features,
            )
            figures |= learned
        self.iteration += 1
        self._averaged = mixed(self._averaged, self._network, max(1.0 - config.average, 1.0 / self.iteration))
        return figures

    def _gap(self) -> float:
        """Return the gap of scores that the config's share of visited states is below."""
        worlds = []
        for number in range(GAP_WORLDS):
            rng = np.random.default_rng((self.seed, 3, number))
            scenario = training_scenario(self.workloads, self.workloads.draw(rng))
            load = float(rng.uniform(*self.workloads.loads))
            worlds.append(make_world(self.workloads, scenario, load, GAP_LANES, dataflow="predicted_best"))
            worlds[-1].reset(number)
        return typical_gap(worlds, self._network, GAP_STEPS, self.config.share)

    def state(self) -> dict[str, Any]:
        """Return everything that the next iteration depends on: arrays, and the number of iterations so far."""
        networks = {"network": asdict(self._network), "averaged": asdict(self._averaged)}
        memory = [{name: getattr(part, name) for name in ARRAYS} for part in self.memory]
        return {"iteration": self.iteration, **networks, "memory": memory}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        self.iteration = state["iteration"]
        self._network, self._averaged = (Network(**state[name]) for name in ("network", "averaged"))
        self.memory = [Ties(**part) for part in state["memory"]]

    def save(self, path: Path) -> None:
        """Write the state; an interrupted write leaves the old file intact."""
        write_checkpoint(path, KIND, self._key(), self.state())

    def load(self, path: Path) -> None:
        """Restore what `save` wrote, so that the training continues as if it had never stopped.

        Raise FileFormatError if `save` did not write the file or it is damaged, and ConfigError if it belongs to
        another configuration or other workloads.
        """
        state: Mapping[str, Any] = arrays_of(read_checkpoint(path, KIND, self._key(), torch.device("cpu")))
        with reading(str(path), "the checkpoint"):
            self.restore(state)

    def _key(self) -> str:
        """Return the settings in which a checkpoint and this training must agree."""
        config = {name: value for name, value in asdict(self.config).items() if name not in ("workers", "weights")}
        return content_key(config=config, workloads=asdict(self.workloads), seed=self.seed, features=list(FEATURES))


def scaled(network: Network, factor: float) -> Network:
    """Return the network whose scores are so many times those of another: it decides the same."""
    return replace(network, w3=network.w3 * factor, skip=network.skip * factor)


def mixed(network: Network, other: Network, share: float) -> Network:
    """Return the network whose weights are the mean of those of two, the other's counting by its share."""
    weights = zip(fields(Network), network.arrays, other.arrays, strict=True)
    arrays: dict[str, Any] = {entry.name: (1.0 - share) * one + share * another for entry, one, another in weights}
    return Network(**arrays)


@dataclass(frozen=True, slots=True, kw_only=True)
class TiesToLabel:
    """A task: world `number` of a training, which `network` plays; near is a gap of 1 between scores."""

    config: PolicyIterationConfig
    workloads: Workloads
    seed: int
    number: int
    network: Network


def label_world(shared: None, task: TiesToLabel, advance: Advance) -> Result:
    """Return the fields of a world's `Ties`, and the number of decisions played."""
    config, workloads = task.config, task.workloads
    rng = np.random.default_rng((task.seed, 1, task.number))
    scenario = training_scenario(workloads, workloads.draw(rng))
    place, (low, high) = task.number % (config.worlds + config.short), workloads.loads
    if place < config.worlds:
        load = low + (high - low) * (place + float(rng.uniform())) / config.worlds
    else:
        load = float(rng.uniform(low, min(SHORT_LOADS * high, LOAD_LIMIT)))
        workloads = replace(workloads, jobs=min(workloads.jobs, int(rng.integers(*SHORT))))
    lanes = fewer(config.lanes, workloads, scenario)
    world = make_world(workloads, scenario, load, lanes, dataflow="predicted_best")
    lookahead = OwnLookahead(
        futures=config.futures,
        arrivals=config.arrivals * world.simulation.accelerators.shape[1],
        candidates=config.candidates,
        network=task.network,
        gap=1.0,
    )
    states = fewer(config.states, workloads, scenario)
    labels, decisions = gather(world, lookahead, states, config.spacing, rng, task.network)
    ties = ties_of(labels)
    return {**{name: getattr(ties, name) for name in ARRAYS}, "decisions": decisions}
