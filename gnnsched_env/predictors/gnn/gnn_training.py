"""Training of the GNN predictor: seeded, resumable, validated on held-out synthetic families."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnsched_env.common.checks import Integer, Number, check_fields
from gnnsched_env.common.disk_cache import content_key
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.files import reading
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.hardware import load_fleet
from gnnsched_env.nn.checkpoint import read_checkpoint, write_checkpoint
from gnnsched_env.nn.device import pick_device
from gnnsched_env.nn.schedule import rate_share, set_rate
from gnnsched_env.predictors.datasets.training_jobs import FEWEST_VERTICES, DatasetSpec
from gnnsched_env.predictors.gnn.gnn_predictor import SIZES, GnnPredictor
from gnnsched_env.predictors.gnn.latency_networks import ModelConfig, ReadoutModel, TileModel, make_network
from gnnsched_env.predictors.gnn.training_samples import Samples, join_samples, training_samples
from gnnsched_env.predictors.scores import mape, selection_accuracy
from gnnsched_env.tables import Pair, distinct_pairs

IntArray = NDArray[np.int64]

KIND = "latency network 1"  # the format of checkpoints
VALIDATION_BATCH = 64
CHOICE_PES = 512  # accuracy is measured over the pairs with this many PEs, as in fleet flexible4


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Training options: everything that determines the result.

    `graphs` synthetic jobs of at most `most_vertices`, each under `layers_a_graph` layers and every distinct pair of
    the preset `fleet`; `small_graphs` more of at most `small_vertices` under `small_layers` (where tiles are rarely
    full). A step takes `batch` samples of all under `pairs_a_step` pairs, half of them small ones, if there are any.
    `held_out` families are for validation.
    """

    graphs: Annotated[int, Integer(1)] = 5_000
    most_vertices: Annotated[int, Integer(FEWEST_VERTICES)] = 3_000
    layers_a_graph: Annotated[int, Integer(1)] = 4
    small_graphs: Annotated[int, Integer(0)] = 5_000
    small_vertices: Annotated[int, Integer(FEWEST_VERTICES)] = 64
    small_layers: Annotated[int, Integer(1)] = 8
    fleet: str = "big_little"
    held_out: tuple[str, ...] = ("protein", "ego", "citation", "thread")
    validation_samples: Annotated[int, Integer(1)] = 1_000
    steps: Annotated[int, Integer(1)] = 5_000
    batch: Annotated[int, Integer(1)] = 80
    pairs_a_step: Annotated[int, Integer(1)] = 9
    learning_rate: Annotated[float, Number(above=0)] = 5e-3
    validate_every: Annotated[int, Integer(1)] = 500
    seed: Annotated[int, Integer(0)] = 0
    model: ModelConfig = field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        check_fields(self, "gnn training")

    def draw(self, pairs: Sequence[Pair], *, progress: bool | None = False) -> Samples:
        """Return the samples; the small ones are last."""
        large = DatasetSpec(graphs=self.graphs, seed=self.seed, most_vertices=self.most_vertices)
        parts = [
            training_samples(
                large, pairs, layers_a_graph=self.layers_a_graph, depth=self.model.depth, progress=progress
            )
        ]
        if self.small_graphs:
            small = DatasetSpec(graphs=self.small_graphs, seed=self.seed + 1, most_vertices=self.small_vertices)
            parts.append(
                training_samples(
                    small, pairs, layers_a_graph=self.small_layers, depth=self.model.depth, progress=progress
                )
            )
        return join_samples(parts)


def train_gnn(
    config: TrainConfig,
    *,
    checkpoint: Path | None = None,
    device: str = "auto",
    progress: bool | None = False,
    report: Callable[[str], None] = lambda line: None,
) -> GnnPredictor:
    """Train, and return the predictor with the best validation.

    With a `checkpoint` file, a killed training is resumed, with the same result as if it had not been killed. A
    checkpoint of another configuration raises an error. `progress`: bars on stderr (None: if that is a terminal).
    """
    pairs = distinct_pairs(load_fleet(config.fleet)).pairs
    samples = config.draw(pairs, progress=progress)
    run = TrainingRun(config, samples, pairs, pick_device(device))
    if checkpoint is not None and checkpoint.exists():
        run.load(checkpoint)
        report(f"resumed at step {run.step} of {config.steps}")
    with progress_bar("training", config.steps, shown=progress) as advance:
        advance(run.step)
        while run.step < config.steps:
            run.take_step()
            advance(1)
            if run.step % config.validate_every == 0 or run.step == config.steps:
                report(run.validate())
                if checkpoint is not None:
                    run.save(checkpoint)
    return run.predictor()


class TrainingRun:
    """A running training of a network; each step depends only on the seed and its number."""

    def __init__(self, config: TrainConfig, samples: Samples, pairs: tuple[Pair, ...], device: torch.device) -> None:
        self.config = config
        self.samples = samples
        self.step = 0
        self.best: dict[str, Tensor] = {}
        self.history: list[dict[str, float]] = []
        self._device = device
        self._train = samples.members(config.held_out, inside=False)
        self._held = samples.members(config.held_out, inside=True)
        if not len(self._train) or not len(self._held):
            raise ConfigError(
                f"gnn training: held_out must leave samples on both sides, got {len(self._train)} to train on and "
                f"{len(self._held)} to validate on"
            )
        order = np.random.default_rng((config.seed, 1)).permutation(len(self._held))
        self._held = self._held[order[: config.validation_samples]]
        self._pairs = pairs
        self._columns = np.flatnonzero([accelerator.pes == CHOICE_PES for accelerator, _ in pairs])
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            self.network: TileModel | ReadoutModel = make_network(config.model).to(device)
        layers = torch.from_numpy(np.unique(samples.layer_of[self._train]))
        self.network.fit_scaling(samples.features[layers].flatten(0, 1).float().to(device))
        self._optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)

    def take_step(self) -> float:
        """Take one step down the mean absolute error of log cycles; return it."""
        config = self.config
        rng = np.random.default_rng((config.seed, 2, self.step))
        members = self._draw(rng)
        columns = rng.choice(len(self._pairs), min(config.pairs_a_step, len(self._pairs)), replace=False)
        set_rate(self._optimizer, config.learning_rate * rate_share(self.step / config.steps))
        self.network.train()
        with torch.random.fork_rng(enabled=config.model.dropout > 0.0):
            if config.model.dropout > 0.0:
                torch.manual_seed(config.seed + self.step)
            predicted, true = self._forward(members, columns)
            loss = (predicted - true).abs().mean()
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        self.step += 1
        return float(loss.detach())

    def validate(self) -> str:
        """Score the held-out families, keep the weights if they are the best so far, and return a line to print."""
        predicted = self.predict(self._held)
        true = self.samples.cycles[self._held]
        entry = {"step": float(self.step), "mape": mape(true, predicted)}
        if len(self._columns):
            entry["accuracy"] = selection_accuracy(true[:, self._columns], predicted[:, self._columns])
        if not self.history or entry["mape"] < min(past["mape"] for past in self.history):
            self.best = {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}
        self.history.append(entry)
        right = f", accuracy {entry['accuracy']:.1f} %" if "accuracy" in entry else ""
        return f"step {self.step}: held-out families: MAPE {entry['mape']:.3f} %{right}"

    def predict(self, members: IntArray) -> NDArray[np.float64]:
        """Return cycles, float64 [members, P], of samples, rounded to whole cycles."""
        columns = np.arange(len(self._pairs))
        self.network.eval()
        with torch.no_grad():
            parts = [
                self._forward(members[i : i + VALIDATION_BATCH], columns)[0].double().exp().cpu()
                for i in range(0, len(members), VALIDATION_BATCH)
            ]
        cycles: NDArray[np.float64] = np.maximum(np.rint(torch.cat(parts).numpy()), 1.0)
        return cycles

    def predictor(self) -> GnnPredictor:
        """Return a predictor with the best weights so far."""
        sizes = self.samples.sizes[self._train]
        return GnnPredictor.of(
            self.config.model,
            {name: value.float().numpy() for name, value in self.best.items()},
            domain={name: (int(sizes[:, k].min()), int(sizes[:, k].max())) for k, name in enumerate(SIZES)},
            provenance={"training": asdict(self.config), "samples": len(self._train), "validation": self.history},
        )

    def save(self, path: Path) -> None:
        """Write everything that the next step depends on, atomically."""
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best": self.best,
            "history": self.history,
        }
        write_checkpoint(path, KIND, self._key(), state)

    def load(self, path: Path) -> None:
        """Restore what `save` wrote."""
        state = read_checkpoint(path, KIND, self._key(), self._device)
        with reading(str(path), "the checkpoint"):
            self.network.load_state_dict(state["network"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.best = {name: value.cpu() for name, value in state["best"].items()}
            self.step, self.history = state["step"], state["history"]

    def _draw(self, rng: np.random.Generator) -> IntArray:
        """Return the samples of a step."""
        large = self.config.graphs * self.config.layers_a_graph
        parts = [part for part in (self._train[self._train < large], self._train[self._train >= large]) if len(part)]
        share = max(1, self.config.batch // len(parts))
        return np.concatenate([rng.choice(part, min(share, len(part)), replace=False) for part in parts])

    def _forward(self, members: IntArray, columns: IntArray) -> tuple[Tensor, Tensor]:
        graphs, features, geometry, logs = self.samples.batch(members, columns)
        graphs, features, geometry = graphs.to(self._device), features.to(self._device), geometry.to(self._device)
        predicted = self.network(self.network.embed(graphs), graphs, features, geometry)
        return predicted, logs.to(self._device, predicted.dtype)

    def _key(self) -> str:
        return content_key(config=asdict(self.config))
