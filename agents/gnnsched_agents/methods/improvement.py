"""Policy improvement by lookahead, then by policy iteration: how configs train whose names have no method.

First, many states are labelled with the cost of each action if `assignment` made all later decisions, on common
sampled futures (`lookahead_labels.py`), and the network learns these costs (`label_regression.py`): one step of policy
iteration, distilled. This ignores that futures are cut off, and that the improved policy meets other states and makes
the later decisions itself. From there, policy iteration goes on (`policy_iteration.py`).
"""

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gnnsched_agents.methods.label_regression import fit
from gnnsched_agents.methods.lookahead_labels import Labels, Lookahead, gather, joined
from gnnsched_agents.methods.policy_iteration import SHORT, PolicyIteration
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

KIND = "improvement 3"  # kind and format of checkpoints
BUSY = 0.6  # loads above this share of the range count as high


class Improvement:
    """Trains a network; an iteration labels the states of some worlds, or is one of the policy iteration."""

    def __init__(self, config: ImprovementConfig, workloads: Workloads, seed: int) -> None:
        """Begin with a network that decides as `assignment` does; `seed` determines all random draws."""
        self.config = config
        self.workloads = workloads
        self.seed = seed
        self.labels: list[Labels] = []
        self.labelled = self.worlds = self.rounds = 0
        self._network = initial_network(config.width, np.random.default_rng((seed, 0)))
        self._then: PolicyIteration | None = None
        self.run_on(None)

    def run_on(self, ray: str | None) -> None:
        """Label and play on the Ray cluster at an address; None: in the config's number of processes.

        The weights do not depend on it.
        """
        self._ray = ray
        self._runner = TaskRunner(label_world, where=Where(workers=self.config.workers, ray=ray))
        self._ahead: Iterator[Result] | None = None  # the labels of this round's next worlds
        weakref.finalize(self, self._runner.close)
        if self._then is not None:
            self._then.run_on(ray)

    def close(self) -> None:
        """End the processes that label or play."""
        self._runner.close()
        if self._then is not None:
            self._then.close()

    def network(self) -> Network:
        """Return the present policy's weights."""
        return self._network if self._then is None else self._then.network()

    def update(self) -> dict[str, float]:
        """Label the states of some worlds and, once a round is complete, learn them; after the last round, go on."""
        torch.set_num_threads(1)
        if self._then is not None:
            return self._then.update()
        figures = self._label()
        while self.rounds < self.config.rounds and self._left() <= 0:
            figures |= self._learn()
        if self.rounds == self.config.rounds:
            self._then = self._policy_iteration()
        return figures

    def _left(self) -> int:
        """Return how many states this round has yet to label; none are left if it is not above 0."""
        return -(-self.config.states * (self.rounds + 1) // self.config.rounds) - self.labelled

    def _label(self) -> dict[str, float]:
        decisions = 0
        for _ in range(self.config.worlds):
            if self._left() <= 0:
                break
            result = self._next_world()
            self.labels.append(Labels(**{entry.name: result[entry.name] for entry in fields(Labels)}))
            self.labelled += len(self.labels[-1])
            self.worlds += 1
            decisions += result["decisions"]
        return {"decisions": float(decisions), "labelled": float(self.labelled)}

    def _next_world(self) -> Result:
        """Return the labels of the next world; worlds are labelled ahead, as many as this round needs at least."""
        while True:
            if self._ahead is None:
                worlds = -(-self._left() // self.config.states_a_world)
                numbers = range(self.worlds, self.worlds + worlds)
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

    def _policy_iteration(self) -> PolicyIteration:
        self.labels = []
        self._runner.close()
        config = replace(self.config.then, workers=self.config.workers)
        then = PolicyIteration(config, self.workloads, self.seed, start=self._network)
        then.run_on(self._ray)
        return then

    def save(self, path: Path) -> None:
        """Write everything that the next iteration depends on; an interrupted write leaves the old file intact."""
        state: dict[str, Any] = {
            "counters": (self.labelled, self.worlds, self.rounds),
            "went_on": self._then is not None,
            "network": asdict(self._network),
        }
        if self._then is not None:
            state["then"] = self._then.state()
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
            if state["went_on"]:
                self._then = self._policy_iteration()
                self._then.restore(state["then"])

    def _key(self) -> str:
        """Return the settings in which a checkpoint and this training must agree."""
        config = asdict(replace(self.config, workers=1))
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
    """Return the fields of a world's `Labels`, and the number of decisions played."""
    config = task.config
    rng = np.random.default_rng((task.seed, 1, task.number))
    scenario = training_scenario(task.workloads, task.workloads.draw(rng))
    kind = _kind_of_world(task, rng)
    lanes = fewer(config.lanes, kind, scenario)
    world = make_world(kind, scenario, float(rng.uniform(*kind.loads)), lanes, dataflow="predicted_best")
    lookahead = Lookahead(futures=config.futures, arrivals=config.arrivals, candidates=config.candidates)
    states = fewer(config.states_a_world, task.workloads, scenario)
    labels, decisions = gather(world, lookahead, states, config.spacing, rng, task.visitor)
    return {**{entry.name: getattr(labels, entry.name) for entry in fields(labels)}, "decisions": decisions}


def _kind_of_world(task: WorldToLabel, rng: np.random.Generator) -> Workloads:
    """Return a world's settings; every fourth has short episodes, to cover beginnings and ends."""
    workloads = task.workloads
    low, high = workloads.loads
    if task.number % 2:  # high loads are harder: every second world has one
        workloads = replace(workloads, loads=(low + BUSY * (high - low), high))
    if task.number % 4 == 2:
        workloads = replace(workloads, jobs=min(workloads.jobs, int(rng.integers(*SHORT))))
    return workloads
