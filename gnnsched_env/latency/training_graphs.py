"""Synthetic job classes to train a predictor on: many small made-up data sets, no two alike."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.cycles import uses_self_loops
from gnnsched_env.errors import ConfigError
from gnnsched_env.graphs import Graph
from gnnsched_env.graphs.generators import (
    RmatParameters,
    citation_graph,
    ego_graph,
    graphlaxy_graph,
    molecule_graph,
    rmat_graph,
)
from gnnsched_env.hardware import GnnModel, Layer
from gnnsched_env.tables import JobClasses
from gnnsched_env.tables.workload import log_uniform

IntArray = NDArray[np.int64]

LARGEST_DENSE = 400  # an ego network takes V^2 memory
POOL = 20  # graphs drawn for a made-up data set
MOST_VERTICES = 20_000
LARGEST_BATCH = 64
WIDTHS_IN, WIDTHS_OUT = (1, 4_000), (1, 512)
PALETTE_IN, PALETTE_OUT = 320, 96  # distinct widths: each costs a compilation of its tilings


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """How many training classes, from how many made-up data sets, with which seed."""

    classes: int = 6_000
    sets: int = 150
    seed: int = 20_240

    def __post_init__(self) -> None:
        if not 1 <= self.sets <= self.classes:
            raise ConfigError(f"training: sets must lie in 1..classes, got {self.sets} sets, {self.classes} classes")


DEFAULT_TRAINING = TrainingSpec()


def training_classes(template: GnnModel, spec: TrainingSpec = DEFAULT_TRAINING) -> JobClasses:
    """Return classes that run models of the template's shape: its hidden widths, with F and G of their own.

    A made-up data set has a family (molecules, ego networks, uniform random and R-MAT graphs with or without isolated
    vertices, Graphlaxy's R-MAT, citations), parameters and a typical size, log-uniform over 2..20,000 vertices. Its
    classes are batches of 1..64 of its graphs, F and G log-uniform over 1..4,000 and 1..512.
    """
    rng = np.random.default_rng(spec.seed)
    widths_in = [log_uniform(rng, *WIDTHS_IN) for _ in range(PALETTE_IN)]
    widths_out = [log_uniform(rng, *WIDTHS_OUT) for _ in range(PALETTE_OUT)]
    loops = uses_self_loops(template)
    models, degrees, groups = [], [], []
    for i in range(spec.sets):
        pool = [graph.row_degrees(self_loops=loops) for graph in _draw_set(rng)]
        for _ in range(spec.classes // spec.sets + (i < spec.classes % spec.sets)):
            width_in, width_out = widths_in[rng.integers(PALETTE_IN)], widths_out[rng.integers(PALETTE_OUT)]
            models.append(reshaped(template, width_in, width_out))
            degrees.append(_draw_batch(rng, pool))
            groups.append(i)
    return JobClasses(
        names=tuple(f"training #{i}" for i in range(spec.classes)),
        models=tuple(models),
        degrees=tuple(degrees),
        weights=np.full(spec.classes, 1.0 / spec.classes),
        groups=np.array(groups, np.int64),
        group_names=tuple(f"set {i}" for i in range(spec.sets)),
    )


def reshaped(model: GnnModel, in_features: int, out_features: int) -> GnnModel:
    """Return the model with other input and output widths; what is between them stays."""
    last = len(model.layers) - 1
    layers = []
    for i, layer in enumerate(model.layers):
        if layer.combination_features % layer.in_features:
            raise ConfigError(
                f"model {model.name!r}: combination_features must be a multiple of in_features to train a predictor, "
                f"got {layer.combination_features} and {layer.in_features} in layer {i}"
            )
        width = in_features if i == 0 else layer.in_features
        layers.append(
            Layer(
                in_features=width,
                combination_features=width * (layer.combination_features // layer.in_features),
                out_features=out_features if i == last else layer.out_features,
                self_loops=layer.self_loops,
            )
        )
    return GnnModel(name=model.name, layers=tuple(layers))


def _draw_batch(rng: np.random.Generator, pool: list[IntArray]) -> IntArray:
    """Return the row degrees of 1..64 graphs of the pool (repeats allowed), at most about 20,000 vertices."""
    typical = float(np.mean([len(degrees) for degrees in pool]))
    most = int(np.clip(MOST_VERTICES / typical, 1, LARGEST_BATCH))
    return np.concatenate([pool[k] for k in rng.integers(len(pool), size=log_uniform(rng, 1, most))])


def _draw_set(rng: np.random.Generator) -> list[Graph]:
    """Return the graphs of a made-up data set, whose sizes spread around a typical one."""
    typical, spread = log_uniform(rng, 2, MOST_VERTICES), rng.uniform(0.0, 0.9)
    families = (_molecules, _egos, _uniform, _rmat, _graphlaxy, _citations)
    draw = families[rng.integers(len(families))](rng)
    count = int(np.clip(5 * MOST_VERTICES // typical, 2, POOL))
    sizes = np.clip(np.exp(rng.normal(np.log(typical), spread, count)), 2, MOST_VERTICES).astype(np.int64)
    return [draw(rng, int(size)) for size in sizes]


_Family = Callable[[np.random.Generator, int], Graph]


def _molecules(rng: np.random.Generator) -> _Family:
    shares = {name: rng.uniform() for name in ("ring_share", "fused_share", "hexagon_share")}
    branching = rng.uniform()
    return lambda rng, size: molecule_graph(rng, size, branching=branching, **shares)


def _egos(rng: np.random.Generator) -> _Family:
    circle, newcomers = rng.uniform(1.5, 20.0), rng.uniform(0.3, 1.0)
    return lambda rng, size: ego_graph(rng, min(size, LARGEST_DENSE), circle=circle, newcomers=newcomers)


def _uniform(rng: np.random.Generator) -> _Family:
    degree, connected = np.exp(rng.uniform(np.log(1.0), np.log(16.0))), bool(rng.random() < 0.5)
    return lambda rng, size: _quadrants(rng, size, degree, (0.25, 0.25, 0.25), connected)


def _rmat(rng: np.random.Generator) -> _Family:
    degree, connected = np.exp(rng.uniform(np.log(1.5), np.log(16.0))), bool(rng.random() < 0.5)
    a, b, c, _ = np.sort(rng.dirichlet((3.0, 3.0, 3.0, 3.0)))[::-1]
    return lambda rng, size: _quadrants(rng, size, degree, (a, b, c), connected)


def _quadrants(
    rng: np.random.Generator, size: int, degree: float, abc: tuple[float, float, float], connected: bool
) -> Graph:
    edges = max(1, int(min(degree, size - 1) * size / 2))
    a, b, c = (float(share) for share in abc)
    return rmat_graph(rng, RmatParameters(vertices=size, edges=edges, a=a, b=b, c=c), connected=connected)


def _graphlaxy(rng: np.random.Generator) -> _Family:
    return lambda rng, size: graphlaxy_graph(rng, edges=(max(20, size), max(20, 4 * size)))


def _citations(rng: np.random.Generator) -> _Family:
    references, copying, fame = 1.0 + rng.exponential(1.5), rng.uniform(0.0, 0.9), rng.uniform(0.0, 0.6)
    return lambda rng, size: citation_graph(rng, size, references=references, copying=copying, fame=fame)
