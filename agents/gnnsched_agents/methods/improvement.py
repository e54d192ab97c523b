"""Policy improvement by lookahead, then evolution: how the agents that ship were trained.

First many states are labelled with what each action would cost if `assignment` decided all that follows, on common
sampled futures (`labels.py`), and the network learns these costs (`regression.py`): one step of policy iteration,
distilled. What is left, that futures end, that the improved policy meets other states and is followed by itself,
evolution strategies mend on whole episodes (`evolution.py`), starting from there.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from gnnsched_agents.methods.evolution import MOST_PAIRS, Evolution, EvolutionConfig
from gnnsched_agents.methods.label_regression import fit
from gnnsched_agents.methods.lookahead_labels import Labels, Lookahead, gather, joined
from gnnsched_agents.worlds import Workloads, make_world, training_table
from gnnsched_baselines.learned.pair_features import FEATURES
from gnnsched_baselines.learned.pair_network import MOST_WIDTH, Network, initial_network
from gnnsched_env.common.checks import Integer, Number, check_fields
from gnnsched_env.common.disk_cache import content_key
from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.nn.checkpoint import arrays_of, read_checkpoint, write_checkpoint

KIND = "improvement 1"  # of checkpoints, and their format
BUSY = 0.6  # high loads begin at this share of the range
SHORT = (8, 64)  # jobs of a short episode
MOST_ROUNDS = 100


@dataclass(frozen=True, kw_only=True)
class ImprovementConfig:
    """Policy improvement by lookahead, distilled, then evolution strategies."""

    states: Annotated[int, Integer(0)] = 100_000
    """States to label; 0: begin to evolve from what `assignment` does."""
    rounds: Annotated[int, Integer(1, MOST_ROUNDS)] = 3
    """Parts of the states: the first are `assignment`'s, those of each further part the policy's learned until then."""
    futures: Annotated[int, Integer(2)] = 4
    """Sampled futures a state."""
    arrivals: Annotated[int, Integer(0)] = 150
    """Jobs that come in a future: with few, it pays to leave long jobs to the end, when nobody comes any more."""
    candidates: Annotated[int, Integer(2)] = 6
    """Actions tried a state, at most."""
    states_a_world: Annotated[int, Integer(1)] = 400
    """States labelled in a world before the next one is drawn."""
    world_lanes: Annotated[int, Integer(1)] = 32
    """Lanes of such a world."""
    spacing: Annotated[int, Integer(1)] = 40
    """Decisions of a lane between two of its states, about."""
    width: Annotated[int, Integer(1, MOST_WIDTH)] = 32
    """Units in each layer of the network."""
    passes: Annotated[int, Integer(1)] = 12
    """Passes over the labels."""
    batch: Annotated[int, Integer(1)] = 256
    """States a gradient step."""
    learning_rate: Annotated[float, Number(above=0)] = 3e-3
    """The largest of the regression."""
    caution: Annotated[float, Number(least=0)] = 1.0
    """What a deviation from `assignment` must gain, mean services; more the higher the load (`regression.py`)."""
    pairs: Annotated[int, Integer(1, MOST_PAIRS)] = 8
    """Pairs of opposite members of a generation of the evolution."""
    sigma: Annotated[float, Number(above=0)] = 0.04
    """Standard deviation of the evolution's steps."""
    evolution_rate: Annotated[float, Number(above=0)] = 0.01
    """The evolution's learning rate."""
    half_life: Annotated[int, Integer(0)] = 0
    """Generations in which both halve; 0: never."""
    worlds: Annotated[int, Integer(1)] = 6
    """Worlds in which a generation plays."""
    lanes: Annotated[int, Integer(1)] = 6
    """Episodes that each member plays in each world."""
    workers: Annotated[int, Integer(1)] = 1
    """Processes that the evolution plays in; results do not depend on it."""

    def __post_init__(self) -> None:
        check_fields(self, "improvement")

    def evolution(self) -> EvolutionConfig:
        """Return the config of what follows the distillation."""
        names = ("width", "pairs", "sigma", "half_life", "worlds", "lanes", "workers")
        shared = {name: getattr(self, name) for name in names}
        return EvolutionConfig(learning_rate=self.evolution_rate, **shared)


class Improvement:
    """Trains a network; an iteration labels the states of one world, or takes one generation of the evolution."""

    def __init__(self, config: ImprovementConfig, workloads: Workloads, seed: int) -> None:
        """Begin with a network that does what `assignment` does; `seed` decides all that is drawn."""
        self.config = config
        self.workloads = workloads
        self.seed = seed
        self.labels: list[Labels] = []
        self.labelled = self.worlds = self.rounds = 0
        self._network = initial_network(config.width, np.random.default_rng((seed, 0)))
        self._evolution: Evolution | None = None

    def network(self) -> Network:
        """Return the present policy's weights."""
        return self._network if self._evolution is None else self._evolution.network()

    def update(self) -> dict[str, float]:
        """Label the states of a world and, once there are enough for a round, learn them; or else take a generation."""
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
        """Return of what kind the next world is; every fourth has short episodes, for how they begin and end."""
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
        return Evolution(self.config.evolution(), self.workloads, self.seed, start=self._network)

    def save(self, path: Path) -> None:
        """Write all that the next iteration depends on; a killed write leaves the file before."""
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
        """Take up what `save` wrote: what follows is as if it had never stopped.

        Raise FileFormatError where the file is none of `save`'s or damaged, ConfigError where it belongs to another
        configuration or other workloads.
        """
        state: Mapping[str, Any] = arrays_of(read_checkpoint(path, KIND, self._key(), torch.device("cpu")))
        try:
            self.labelled, self.worlds, self.rounds = state["counters"]
            self._network = Network(**state["network"])
            self.labels = [Labels(**state["labels"])] if "labels" in state else []
            if state["evolving"]:
                self._evolution = self._evolve()
                self._evolution.restore(state["evolution"])
        except (KeyError, ValueError, TypeError) as error:
            raise FileFormatError(f"{path}: the checkpoint is incomplete or damaged ({error})") from None

    def _key(self) -> str:
        """Return what must be equal for a checkpoint to fit."""
        config = {name: value for name, value in asdict(self.config).items() if name != "workers"}
        return content_key(config=config, workloads=asdict(self.workloads), seed=self.seed, features=list(FEATURES))
