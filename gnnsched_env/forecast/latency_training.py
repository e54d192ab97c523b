"""Training of the forecaster's network as a latency predictor, on synthetic jobs; deterministic in its seed."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnsched_env.cycles import uses_self_loops
from gnnsched_env.errors import ConfigError
from gnnsched_env.forecast.configs import ModelConfig
from gnnsched_env.forecast.latency import (
    SCALING,
    WIDTHS,
    ForecastPredictor,
    aggregated,
    check_config,
    job_part,
    job_scores,
    metadata_cycles,
)
from gnnsched_env.forecast.models import ForecastModel, Part
from gnnsched_env.hardware import GnnModel, load_fleet
from gnnsched_env.latency.gnn.encoding import encode_layer
from gnnsched_env.latency.gnn.stored import SIZES
from gnnsched_env.latency.gnn.train import rate_share
from gnnsched_env.latency.predictor import ModelForms
from gnnsched_env.latency.scores import mape
from gnnsched_env.latency.training_jobs import DatasetSpec, training_chunk
from gnnsched_env.tables import JobClasses, Pair, distinct_pairs, pair_cycles, progress_bar

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STRIDE = 17  # jobs apart from which a graph takes further layers: not from its own made-up data set
SCALED_VERTICES = 32  # of a graph, to fit the scaling of features: so that large graphs do not decide it alone


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyTraining:
    """How to train; everything that decides the result.

    A step takes some of all graphs, each under its layers and some of the distinct pairs of the fleet.
    """

    graphs: int = 2_500
    """Synthetic jobs."""
    most_vertices: int = 1_500
    """Of each of them."""
    small_graphs: int = 1_500
    """More of them, small ones, where tiles are rarely full."""
    small_vertices: int = 64
    """Of each small one, at most."""
    layers_a_graph: int = 2
    """Layers that each graph is labelled under."""
    fleet: str = "big_little"
    """A preset: its distinct pairs are the configurations."""
    held_out: tuple[str, ...] = ("protein", "ego", "citation", "thread")
    """Families to validate on."""
    validation_graphs: int = 150
    """Of those families, at most."""
    steps: int = 1_200
    """Of the optimizer."""
    graphs_a_step: int = 16
    """Graphs a step."""
    pairs_a_step: int = 9
    """Pairs a layer and step."""
    rate: float = 4e-3
    """Of learning (Adam), at its highest."""
    validate_every: int = 300
    """Steps."""
    seed: int = 0
    """Of all that is drawn."""
    model: ModelConfig = field(
        default_factory=lambda: ModelConfig(conv="sage_mean", width=32, depth=2, norm="none", residual=True)
    )
    """Attention and directed must stay off; references and segment are not used."""

    def __post_init__(self) -> None:
        counts = ("graphs", "layers_a_graph", "validation_graphs", "steps", "graphs_a_step")
        least = dict.fromkeys((*counts, "pairs_a_step", "validate_every"), 1) | {"small_graphs": 0, "seed": 0}
        for name, low in least.items():
            value = getattr(self, name)
            if type(value) is not int or value < low:
                raise ConfigError(
                    f"forecast latency training: {name} must be an integer of at least {low}, got {value!r}"
                )
        if not self.rate > 0.0:
            raise ConfigError(f"forecast latency training: rate must be above 0, got {self.rate!r}")
        check_config(self.model)

    @property
    def sets(self) -> tuple[DatasetSpec, ...]:
        """The synthetic data sets that the jobs are drawn from."""
        large = DatasetSpec(graphs=self.graphs, seed=self.seed, most_vertices=self.most_vertices)
        if not self.small_graphs:
            return (large,)
        return large, DatasetSpec(graphs=self.small_graphs, seed=self.seed + 1, most_vertices=self.small_vertices)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledJob:
    """A graph under L layers and P pairs.

    `features` float32 [L, P, T], not scaled; `base`, `cycles` float64 [L, P]: closed form and truth; `sizes` int64
    [L, 5]: SIZES; `family`: its name.
    """

    part: Part
    features: NDArray[np.float32]
    base: FloatArray
    cycles: FloatArray
    sizes: IntArray
    family: str


def draw_jobs(config: LatencyTraining, pairs: Sequence[Pair], *, progress: bool | None = False) -> list[LabelledJob]:
    """Draw synthetic jobs and label them by the cost model; each graph has its own layer and others of its chunk."""
    jobs: list[LabelledJob] = []
    with progress_bar("training graphs", config.graphs + config.small_graphs, shown=progress) as advance:
        for spec in config.sets:
            for chunk in range(spec.chunks):
                classes = training_chunk(spec, chunk)
                jobs += label_jobs(classes, pairs, config.model, layers_a_graph=config.layers_a_graph)
                advance(spec.jobs_of(chunk))
    return jobs


def label_jobs(
    classes: JobClasses, pairs: Sequence[Pair], config: ModelConfig, *, layers_a_graph: int = 1
) -> list[LabelledJob]:
    """Return each class's graph under its layer and those of others that aggregate over the same kind of matrix."""
    if any(len(model.layers) != 1 for model in classes.models):
        raise ConfigError("forecast latency training: classes must have models of one layer")
    forms = ModelForms(pairs)
    turns = [replace(classes, models=_other_models(classes.models, k * STRIDE)) for k in range(layers_a_graph)]
    labels = [pair_cycles(turn, pairs).astype(np.float64) for turn in turns]
    jobs = []
    for c, rows in enumerate(classes.degrees):
        layers = [turn.models[c].layers[0] for turn in turns]
        widths = [[getattr(layer, name) for name in SIZES[2:]] for layer in layers]
        jobs.append(
            LabelledJob(
                part=job_part(aggregated(classes, c), config, dtype=torch.float32),
                features=np.stack([encode_layer(layer, pairs).features for layer in layers]).astype(np.float32),
                base=np.concatenate([metadata_cycles(forms, turn, c) for turn in turns]),
                cycles=np.stack([own[c] for own in labels]),
                sizes=np.array([[rows.size, int(rows.sum()), *own] for own in widths], np.int64),
                family=classes.group_names[classes.groups[c]],
            )
        )
    return jobs


def train_latency(
    config: LatencyTraining,
    *,
    progress: bool | None = False,
    report: Callable[[str], None] = lambda line: None,
) -> ForecastPredictor:
    """Train and return the predictor that validated best. `progress`: bars on stderr (None: if that is a terminal)."""
    pairs = distinct_pairs(load_fleet(config.fleet)).pairs
    run = LatencyRun(config, draw_jobs(config, pairs, progress=progress))
    report(f"closed form of sizes alone, held-out families: MAPE {run.floor:.2f} %")
    with progress_bar("training", config.steps, shown=progress) as advance:
        while run.step < config.steps:
            run.take_step()
            advance(1)
            if run.step % config.validate_every == 0 or run.step == config.steps:
                report(f"step {run.step}: held-out families: MAPE {run.validate():.2f} %")
    return run.predictor()


class LatencyRun:
    """A network on its way; each step depends on the seed and its number only.

    `floor`: percentage error of the closed form on the held-out jobs, which the network begins with, about.
    """

    def __init__(self, config: LatencyTraining, jobs: Sequence[LabelledJob]) -> None:
        self.config = config
        self.step = 0
        self.history: list[dict[str, float]] = []
        self._best: dict[str, Tensor] = {}
        self._train = [job for job in jobs if job.family not in config.held_out]
        held = [job for job in jobs if job.family in config.held_out]
        if not self._train or not held:
            raise ConfigError(
                f"forecast latency training: held_out must leave jobs on both sides, got {len(self._train)} to train "
                f"on and {len(held)} to validate on"
            )
        order = np.random.default_rng((config.seed, 1)).permutation(len(held))
        self._held = [held[k] for k in order[: config.validation_graphs]]
        self.floor = mape(*self._both([job.base for job in self._held]))
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            self.network = ForecastModel(config.model, WIDTHS)
        some = [job.part.nodes[:: max(1, len(job.part.nodes) // SCALED_VERTICES)] for job in self._train]
        self.network.fit_scaling(torch.cat(some))
        features = np.concatenate([job.features.reshape(-1, WIDTHS.configs) for job in self._train])
        deviation = features.std(axis=0, dtype=np.float64)
        self._scaling = {
            SCALING[0]: features.mean(axis=0, dtype=np.float64).astype(np.float32),
            SCALING[1]: np.where(deviation < 1e-3, 1.0, deviation).astype(np.float32),
        }
        self._optimizer = torch.optim.Adam(self.network.parameters(), lr=config.rate)

    def take_step(self) -> float:
        """Take one step down the mean absolute error of log cycles; return it."""
        config = self.config
        rng = np.random.default_rng((config.seed, 2, self.step))
        chosen = rng.choice(len(self._train), min(config.graphs_a_step, len(self._train)), replace=False)
        for group in self._optimizer.param_groups:
            group["lr"] = config.rate * rate_share(self.step / config.steps)
        self.network.train()
        self._optimizer.zero_grad()
        total = 0.0
        with torch.random.fork_rng():
            torch.manual_seed(config.seed + self.step)  # of dropout
            for k in chosen:
                job = self._train[k]
                pairs = job.cycles.shape[1]
                columns = rng.choice(pairs, min(config.pairs_a_step, pairs), replace=False)
                wanted = torch.from_numpy(np.log(job.cycles[:, columns] / job.base[:, columns])).float().flatten()
                loss = (self._scores(job, columns) - wanted).abs().mean() / len(chosen)
                torch.autograd.backward(loss)  # a graph at a time: memory does not grow with graphs_a_step
                total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        self.step += 1
        return total

    def validate(self) -> float:
        """Return the percentage error on held-out families, and keep the weights if none were better."""
        self.network.eval()
        predicted = []
        with torch.no_grad():
            for job in self._held:
                scores = self._scores(job, np.arange(job.cycles.shape[1])).double().numpy()
                predicted.append(np.exp(scores).reshape(job.base.shape) * job.base)
        error = mape(*self._both(predicted))
        if not self.history or error < min(entry["mape"] for entry in self.history):
            self._best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.history.append({"step": float(self.step), "mape": error})
        return error

    def predictor(self) -> ForecastPredictor:
        """Return a predictor of the best weights so far."""
        sizes = np.concatenate([job.sizes for job in self._train])
        about: dict[str, Any] = {"training": asdict(self.config), "samples": len(sizes), "closed_form": self.floor}
        return ForecastPredictor.of(
            self.config.model,
            {name: value.numpy() for name, value in self._best.items()} | self._scaling,
            domain={name: (int(sizes[:, k].min()), int(sizes[:, k].max())) for k, name in enumerate(SIZES)},
            provenance=about | {"validation": self.history},
        )

    def _scores(self, job: LabelledJob, columns: IntArray) -> Tensor:
        """Return [L * columns] of a job under all its layers and some pairs."""
        features = job.features[:, columns].reshape(-1, WIDTHS.configs)
        shift, scale = (self._scaling[name] for name in SCALING)
        return job_scores(self.network, job.part, torch.from_numpy((features - shift) / scale))

    def _both(self, predicted: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Return true and predicted cycles of the held-out jobs, a layer a row."""
        return np.concatenate([job.cycles for job in self._held]), np.concatenate(predicted)


def _other_models(models: Sequence[GnnModel], by: int) -> tuple[GnnModel, ...]:
    """Return for each model the one `by` places before it, among those with self loops or those without."""
    others = np.arange(len(models))
    loops = np.array([uses_self_loops(model) for model in models])
    for kind in (True, False):
        others[loops == kind] = np.roll(others[loops == kind], by)
    return tuple(models[int(k)] for k in others)
