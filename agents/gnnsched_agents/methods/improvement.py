"""Policy improvement by lookahead, then evolution: the training of the shipped agents.

First, many states are labelled with the cost of each action if `assignment` made all later decisions, on common
sampled futures (`lookahead_labels.py`), and the network learns these costs (`label_regression.py`): one step of policy
iteration, distilled. This ignores that futures are cut off, and that the improved policy meets other states and makes
the later decisions itself. From there, evolution strategies improve the network on whole episodes (`evolution.py`).
"""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gnnsched_agents.methods.evolution import Evolution
from gnnsched_agents.methods.label_regression import fit
from gnnsched_agents.methods.lookahead_labels import Labels, Lookahead, gather, joined
from gnnsched_agents.methods.registry import ImprovementConfig
from gnnsched_agents.worlds import Workloads, make_world, training_table
from gnnsched_baselines.learned.pair_features import FEATURES
from gnnsched_baselines.learned.pair_network import Network, initial_network
from gnnsched_env.common.disk_cache import content_key
from gnnsched_env.common.files import reading
from gnnsched_env.nn.checkpoint import arrays_of, read_checkpoint, write_checkpoint

KIND = "improvement 1"  # kind and format of checkpoints
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
        self._ray: str | None = None

    def run_on(self, ray: str | None) -> None:
        """Let the evolution play on the Ray cluster at an address, if one is given; the weights do not depend on it."""
        self._ray = ray
        if self._evolution is not None:
            self._evolution.run_on(ray)

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
        config = self.config
        rng = np.random.default_rng((self.seed, 1, self.worlds))
        table = training_table(self.workloads, int(rng.integers(self.workloads.sets)))
        kind = self._kind_of_world(rng)
        world = make_world(kind, table, float(rng.uniform(*kind.loads)), config.world_lanes)
        lookahead = Lookahead(futures=config.futures, arrivals=config.arrivals, candidates=config.candidates)
        visitor = self._network if self.rounds else None
        labels, decisions = gather(world, lookahead, config.states_a_world, config.spacing, rng, visitor)
        self.labels.append(labels)
        self.labelled += len(labels)
        self.worlds += 1
        return {"decisions": float(decisions), "labelled": float(self.labelled), "load": world.load}

    def _kind_of_world(self, rng: np.random.Generator) -> Workloads:
        """Return the settings of the next world; every fourth has short episodes, to cover beginnings and ends."""
        workloads = self.workloads
        low, high = workloads.loads
        if self.worlds % 2:  # high loads are harder: every second world has one
            workloads = replace(workloads, loads=(low + BUSY * (high - low), high))
        if self.worlds % 4 == 2:
            workloads = replace(workloads, jobs=min(workloads.jobs, int(rng.integers(*SHORT))))
        return workloads

    def _learn(self) -> dict[str, float]:
        config = self.config
        self.rounds += 1
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
