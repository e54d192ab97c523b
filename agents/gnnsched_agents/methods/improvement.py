"""Policy improvement by lookahead, then evolution: the training of the shipped agents.

First, many states are labelled with the cost of each action if `assignment` made all later decisions, on common
sampled futures (`lookahead_labels.py`), and the network learns these costs (`label_regression.py`): one step of policy
iteration, distilled. This ignores that futures are cut off, and that the improved policy meets other states and makes
the later decisions itself. From there, evolution strategies improve the network on whole episodes (`evolution.py`).
"""

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gnnsched_agents.methods.evolution import Evolution
from gnnsched_agents.methods.label_regression import fit
from gnnsched_agents.methods.lookahead_labels import Labels, Lookahead, gather, joined
from gnnsched_agents.methods.registry import ImprovementConfig
from gnnsched_agents.worlds import Workloads, fewer, make_world, training_scenario
from gnnsched_baselines.learned.pair_features import FEATURES
from gnnsched_baselines.learned.pair_network import Network, initial_network
from gnnsched_env.common.disk_cache import content_key
from gnnsched_env.common.files import reading
from gnnsched_env.common.parallel.kept_results import Result
from gnnsched_env.common.parallel.task_runs import TaskRunner, Where
from gnnsched_env.common.progress import Advance
from gnnsched_env.nn.checkpoint import arrays_of, read_checkpoint, write_checkpoint

KIND = "improvement 2"  # kind and format of checkpoints
BUSY = 0.6  # loads above this share of the range count as high
SHORT = (8, 64)  # number of jobs in a short episode


class Improvement:
    """Trains a network; an iteration labels the states of one world, or takes one generation of the evolution."""

    def __init__(self, config: ImprovementConfig, workloads: Workloads, seed: int) -> None:
        """Begin with a network that decides as `assignment` does; `seed` determines all random draws."""
        self.config = config
        self.workloads = workloads
        self.seed = seed
        self.labels: list[Labels] = []
        self.labelled = self.worlds = self.rounds = 0
        self._network = initial_network(config.width, np.random.default_rng((seed, 0)))
        self._evolution: Evolution | None = None
        self.run_on(None)

    def run_on(self, ray: str | None) -> None:
        """Label and evolve on the Ray cluster at an address; None: in the config's number of processes.

        The weights do not depend on it.
        """
        self._ray = ray
        self._runner = TaskRunner(label_world, where=Where(workers=self.config.workers, ray=ray))
        self._ahead: Iterator[Result] | None = None  # the labels of this round's next worlds
        weakref.finalize(self, self._runner.close)
        if self._evolution is not None:
            self._evolution.run_on(ray)

    def close(self) -> None:
        """End the processes that label or play."""
        self._runner.close()
        if self._evolution is not None:
            self._evolution.close()

    def network(self) -> Network:
        """Return the present policy's weights."""
        return self._network if self._evolution is None else self._evolution.network()

    def update(self) -> dict[str, float]:
        """Label a world's states and, once a round is complete, learn them; after the last round, take a generation."""
        torch.set_num_threads(1)
        if self._evolution is not None:
            return self._evolution.update()
        figures = self._label() if self.labelled < self.config.states else {"decisions": 0.0}
        while self.rounds < self.config.rounds and self.labelled * self.config.rounds >= self.config.states * (
            self.rounds + 1
        ):
            figures |= self._learn()
        if self.rounds == self.config.rounds:
            self._evolution = self._evolve()
        return figures

    def _label(self) -> dict[str, float]:
        result = self._next_world()
        self.labels.append(Labels(**{entry.name: result[entry.name] for entry in fields(Labels)}))
        self.labelled += len(self.labels[-1])
        self.worlds += 1
        return {"decisions": float(result["decisions"]), "labelled": float(self.labelled), "load": result["load"]}

    def _next_world(self) -> Result:
        """Return the labels of the next world; worlds are labelled ahead, as many as this round needs at least."""
        while True:
            if self._ahead is None:
                numbers = range(self.worlds, self.worlds + self._worlds_left())
                visitor = self._network if self.rounds else None
                shared: Any = {
                    "config": self.config, "workloads": self.workloads, "seed": self.seed, "visitor": visitor
                }  # fmt: skip
                self._ahead = self._runner.run([WorldToLabel(number=number, **shared) for number in numbers])
            try:
                result = next(self._ahead, None)
            except BaseException:  # such as a second Ctrl-C
                self._runner.close()
                self._ahead = None
                raise
            if result is not None:
                return result
            self._ahead = None  # wide fleets gave fewer states, so that the round needs more worlds

    def _worlds_left(self) -> int:
        """Return how many worlds this round needs if each gives `states_a_world` states."""
        states = -(-self.config.states * (self.rounds + 1) // self.config.rounds) - self.labelled
        return -(-states // self.config.states_a_world)

    def _learn(self) -> dict[str, float]:
        config = self.config
        self.rounds += 1
        self._ahead = None
        if not self.labels:
            return {}
        self.labels = [joined(self.labels)]
        fitted = fit(
            self.labels[0],
            np.random.default_rng((self.seed, 2, self.rounds)),
            width=config.width,
            passes=config.passes,
            batch=config.batch,
            learning_rate=config.learning_rate,
            caution=config.caution,
        )
        self._network = fitted.network
        return {"explained": fitted.explained, "gain": fitted.gain}

    def _evolve(self) -> Evolution:
        self.labels = []
        self._runner.close()
        evolution = Evolution(self.config.evolution(), self.workloads, self.seed, start=self._network)
        evolution.run_on(self._ray)
        return evolution

    def save(self, path: Path) -> None:
        """Write everything that the next iteration depends on; an interrupted write leaves the old file intact."""
        state: dict[str, Any] = {
            "counters": (self.labelled, self.worlds, self.rounds),
            "evolving": self._evolution is not None,
            "network": asdict(self._network),
        }
        if self._evolution is not None:
            state["evolution"] = self._evolution.state()
        elif self.labels:
            labels = joined(self.labels)
            state["labels"] = {field.name: getattr(labels, field.name) for field in fields(labels)}
        write_checkpoint(path, KIND, self._key(), state)

    def load(self, path: Path) -> None:
        """Restore what `save` wrote, so that the training continues as if it had never stopped.

        Raise FileFormatError if `save` did not write the file or it is damaged, and ConfigError if it belongs to
        another configuration or other workloads.
        """
        state: Mapping[str, Any] = arrays_of(read_checkpoint(path, KIND, self._key(), torch.device("cpu")))
        self._ahead = None
        with reading(str(path), "the checkpoint"):
            self.labelled, self.worlds, self.rounds = state["counters"]
            self._network = Network(**state["network"])
            self.labels = [Labels(**state["labels"])] if "labels" in state else []
            if state["evolving"]:
                self._evolution = self._evolve()
                self._evolution.restore(state["evolution"])

    def _key(self) -> str:
        """Return the settings in which a checkpoint and this training must agree."""
        config = {name: value for name, value in asdict(self.config).items() if name != "workers"}
        return content_key(config=config, workloads=asdict(self.workloads), seed=self.seed, features=list(FEATURES))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldToLabel:
    """A task: world `number` of a training, whose states `visitor` visits (None: `assignment`)."""

    config: ImprovementConfig
    workloads: Workloads
    seed: int
    number: int
    visitor: Network | None


def label_world(shared: None, task: WorldToLabel, advance: Advance) -> Result:
    """Return the fields of a world's `Labels`, its load, and the number of decisions played."""
    config = task.config
    rng = np.random.default_rng((task.seed, 1, task.number))
    scenario = training_scenario(task.workloads, task.workloads.draw(rng))
    kind = _kind_of_world(task, rng)
    lanes = fewer(config.world_lanes, kind, scenario)
    world = make_world(kind, scenario, float(rng.uniform(*kind.loads)), lanes, dataflow="predicted_best")
    lookahead = Lookahead(futures=config.futures, arrivals=config.arrivals, candidates=config.candidates)
    states = fewer(config.states_a_world, task.workloads, scenario)
    labels, decisions = gather(world, lookahead, states, config.spacing, rng, task.visitor)
    return {
        **{entry.name: getattr(labels, entry.name) for entry in fields(labels)},
        "decisions": decisions,
        "load": world.load,
    }


def _kind_of_world(task: WorldToLabel, rng: np.random.Generator) -> Workloads:
    """Return a world's settings; every fourth has short episodes, to cover beginnings and ends."""
    workloads = task.workloads
    low, high = workloads.loads
    if task.number % 2:  # high loads are harder: every second world has one
        workloads = replace(workloads, loads=(low + BUSY * (high - low), high))
    if task.number % 4 == 2:
        workloads = replace(workloads, jobs=min(workloads.jobs, int(rng.integers(*SHORT))))
    return workloads
