"""`JobClasses`: the kinds of job in a workload, from graph files or from the embedded synthetic families."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, ListOf, number_array, shown
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.cycles import uses_self_loops
from gnnsched_env.cycles.domain import as_degrees
from gnnsched_env.graphs import Graph, GraphSet, block_diagonal, load_graph_set
from gnnsched_env.graphs.generators import draw_graphs
from gnnsched_env.hardware import GnnModel, make_model

BATCH_SIZES = (1, 4, 16, 64)
CLASSES_PER_FILE = 120
SYNTHETIC_SEED = 0
MOST_CLASSES = 10_000_000

# The embedded workload: input and output widths of each family, both ends included, drawn log-uniformly.
SYNTHETIC_WIDTHS: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "molecule": ((4, 64), (2, 8)),
    "ego": ((16, 256), (2, 8)),
    "rmat": ((8, 512), (2, 64)),
    "citation": ((64, 2_048), (3, 40)),
}
SINGLE_GRAPH_FAMILIES = ("citation",)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JobClasses:
    """C classes of jobs: a graph or a batch of graphs, and the model that runs on it.

    `degrees[c]` int64 [V_c]: row degrees of the matrix that the class's model aggregates over (A+I for GCN and GIN, A
    for GraphSAGE), graph after graph. `models[c]`: its model. `weights` float64 [C]: shares of the jobs, summing to 1.
    `groups` int64 [C]: the file or family that a class came from, index into `group_names`. `graphs`: the classes'
    adjacency A, a batch as one block-diagonal graph, for predictors that read more than degrees; None if unknown.
    """

    names: tuple[str, ...]
    models: tuple[GnnModel, ...]
    degrees: tuple[NDArray[np.int64], ...]
    weights: NDArray[np.float64]
    groups: NDArray[np.int64]
    group_names: tuple[str, ...]
    graphs: tuple[Graph, ...] | None = None

    def __post_init__(self) -> None:
        if not self.names:
            raise ConfigError("job classes: at least one class is needed, got none")
        count = (len(self.names),)
        checked = {
            "degrees": tuple(as_degrees(degrees) for degrees in self.degrees),
            "weights": number_array("job classes", "weights", self.weights, np.float64, shape=count),
            "groups": number_array("job classes", "groups", self.groups, np.int64, shape=count),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        fields = ("models", "degrees", *(("graphs",) if self.graphs is not None else ()))
        for field in fields:
            if len(getattr(self, field)) != len(self.names):
                raise ConfigError(
                    f"job classes: {field} must have one entry per class, {len(self.names)}, "
                    f"got {len(getattr(self, field))}"
                )
        if not (np.isfinite(self.weights).all() and self.weights.min() >= 0):
            raise ConfigError(f"job classes: weights must be finite and not negative, got {shown(self.weights)}")
        for array in (*self.degrees, self.weights, self.groups):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, members: Sequence[int]) -> "JobClasses":
        """Return a subset of the classes, with their relative weights."""
        members = ListOf(Integer(0, len(self) - 1), fewest=1).check("job classes", "members", members)
        weights = self.weights[list(members)]
        return JobClasses(
            names=tuple(self.names[c] for c in members),
            models=tuple(self.models[c] for c in members),
            degrees=tuple(self.degrees[c] for c in members),
            weights=weights / weights.sum(),
            groups=self.groups[list(members)],
            group_names=self.group_names,
            graphs=None if self.graphs is None else tuple(self.graphs[c] for c in members),
        )

    def digest(self) -> str:
        """Return a hash (SHA-256, hexadecimal) of everything that latencies depend on: degrees and models, in order."""
        state = hashlib.sha256()
        for degrees, model in zip(self.degrees, self.models, strict=True):
            layers = [layer.to_dict() for layer in model.layers]
            state.update(json.dumps([len(degrees), layers], sort_keys=True).encode())
            state.update(degrees.astype("<i8").tobytes())
        return state.hexdigest()


def classes_from_files(
    paths: Sequence[str | Path],
    *,
    model_kind: str = "gcn",
    hidden: Sequence[int] = (16,),
    batch_sizes: Sequence[int] = BATCH_SIZES,
    classes_per_file: int = CLASSES_PER_FILE,
    seed: int = 0,
) -> JobClasses:
    """Return one mix of all files, each equally likely; models have a file's F inputs, `hidden` layers and G outputs.

    A graph set gives `classes_per_file` classes, the batch sizes taking turns, so that each has an equal share; a
    batch holds different graphs of the set, drawn from the whole set with the seed and the set's content, so that a
    file gives the same classes alone and in any mix. Batch sizes above the number of graphs are left out for that
    file. A file of one graph is one class.
    """
    if isinstance(paths, str | Path) or not paths:
        raise ConfigError(f"workload: paths must be a list of at least one graph file, got {paths!r}")
    batch_sizes = ListOf(Integer(1), fewest=1).check("workload", "batch_sizes", batch_sizes)
    classes_per_file = Integer(1, MOST_CLASSES).check("workload", "classes_per_file", classes_per_file)
    seed = Integer(0).check("workload", "seed", seed)
    sets = [load_graph_set(path) for path in paths]
    group_names = _distinct_names([graphs.name for graphs in sets])
    parts = []
    for graphs, group in zip(sets, group_names, strict=True):
        model = make_model(model_kind, graphs.num_features, graphs.num_classes, hidden)
        batches = class_batches(graphs, batch_sizes=batch_sizes, classes_per_file=classes_per_file, seed=seed)
        loops = uses_self_loops(model)
        parts.append(
            [
                (name, model, graphs.degrees(ids, self_loops=loops), graphs.batch(ids))
                for name, ids in _named(group, batches)
            ]
        )
    return _join(parts, group_names)


def class_batches(
    graphs: GraphSet,
    *,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    classes_per_file: int = CLASSES_PER_FILE,
    seed: int = 0,
) -> list[NDArray[np.int64]]:
    """Return the graph ids int64 [batch size] of each class that `classes_from_files` makes of a file."""
    return _draw_batches(graphs, batch_sizes, classes_per_file, _generator(seed, graphs))


def synthetic_classes(
    count: int = 256, *, model_kind: str = "gcn", hidden: Sequence[int] = (16,), seed: int = SYNTHETIC_SEED
) -> JobClasses:
    """Return the embedded workload: `count` classes, spread evenly over four families, from a seeded generator.

    Molecule-like, ego and R-MAT graphs come in batches of 1, 4, 16 and 64 in turn, citation-like graphs singly; sizes
    are the families' (`graphs.generators.FAMILIES`), F and G are log-uniform over `SYNTHETIC_WIDTHS`, class by class.
    """
    count = Integer(1, MOST_CLASSES).check("workload", "count", count)
    seed = Integer(0).check("workload", "seed", seed)
    if count < len(SYNTHETIC_WIDTHS):
        raise ConfigError(f"workload: count must be at least {len(SYNTHETIC_WIDTHS)}, one a family, got {count}")
    parts = []
    for place, family in enumerate(SYNTHETIC_WIDTHS):
        rng = np.random.default_rng((seed, place))
        own = count // len(SYNTHETIC_WIDTHS) + (place < count % len(SYNTHETIC_WIDTHS))
        sizes = (1,) if family in SINGLE_GRAPH_FAMILIES else BATCH_SIZES
        parts.append([_synthetic_class(rng, family, sizes[i % len(sizes)], i, model_kind, hidden) for i in range(own)])
    return _join(parts, tuple(SYNTHETIC_WIDTHS))


def _generator(seed: int, graphs: GraphSet) -> np.random.Generator:
    return np.random.default_rng((seed, int(graphs.digest()[:16], 16)))


def log_uniform(rng: np.random.Generator, low: int, high: int) -> int:
    """Draw an integer from low..high, log-uniformly."""
    return min(high, int(np.exp(rng.uniform(np.log(low), np.log(high + 1)))))


_Class = tuple[str, GnnModel, NDArray[np.int64], Graph]


def _synthetic_class(
    rng: np.random.Generator, family: str, batch: int, i: int, model_kind: str, hidden: Sequence[int]
) -> _Class:
    in_range, out_range = SYNTHETIC_WIDTHS[family]
    model = make_model(model_kind, log_uniform(rng, *in_range), log_uniform(rng, *out_range), hidden)
    graph = block_diagonal(draw_graphs(family, rng, batch))
    widths = f"F={model.in_features} G={model.out_features}"
    name = f"{family} x{batch} #{i} {widths}"
    return name, model, graph.row_degrees(self_loops=uses_self_loops(model)), graph


def _draw_batches(
    graphs: GraphSet, batch_sizes: Sequence[int], count: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return the graph ids of each class."""
    if len(graphs) == 1:
        return [np.zeros(1, np.int64)]
    sizes = [size for size in batch_sizes if size <= len(graphs)]
    if not sizes:
        raise ConfigError(
            f"workload: {graphs.name}: batch_sizes must include one of at most its {len(graphs)} graphs, "
            f"got {tuple(batch_sizes)}"
        )
    if count < len(sizes):
        raise ConfigError(
            f"workload: classes_per_file must be at least the number of batch sizes, {len(sizes)}, got {count}"
        )
    return [rng.choice(len(graphs), sizes[i % len(sizes)], replace=False) for i in range(count)]


def _named(group: str, batches: Sequence[NDArray[np.int64]]) -> list[tuple[str, NDArray[np.int64]]]:
    if len(batches) == 1:
        return [(group, batches[0])]
    return [(f"{group} x{len(ids)} #{i}", ids) for i, ids in enumerate(batches)]


def _distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the files' names, with repeated names numbered: PROTEINS, PROTEINS (2)."""
    distinct: list[str] = []
    for i, name in enumerate(names):
        earlier = names[:i].count(name)
        distinct.append(f"{name} ({earlier + 1})" if earlier else name)
    return tuple(distinct)


def _join(parts: Sequence[Sequence[_Class]], group_names: tuple[str, ...]) -> JobClasses:
    """Return the classes of all groups, each group equally likely, and each class within its group."""
    classes = [entry for part in parts for entry in part]
    weights = np.concatenate([np.full(len(part), 1.0 / (len(parts) * len(part))) for part in parts])
    groups = np.repeat(np.arange(len(parts), dtype=np.int64), [len(part) for part in parts])
    return JobClasses(
        names=tuple(name for name, _, _, _ in classes),
        models=tuple(model for _, model, _, _ in classes),
        degrees=tuple(degrees for _, _, degrees, _ in classes),
        weights=weights,
        groups=groups,
        group_names=group_names,
        graphs=tuple(graph for _, _, _, graph in classes),
    )
