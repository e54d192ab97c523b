"""Score a predictor on graph files: a record per file and batch size, and one per file over all."""

import math
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, ListOf, Number, OneOf, check_fields, require
from gnnsched_env.common.disk_cache import code_digest
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.common.stats import CONFIDENCE
from gnnsched_env.cycles import uses_self_loops
from gnnsched_env.graphs import GraphSet, load_graph_set
from gnnsched_env.hardware import MODEL_KINDS, Fleet, make_model
from gnnsched_env.predictors.protocol import ROOMS, Predictor
from gnnsched_env.predictors.scores import confusion, score_record
from gnnsched_env.tables import DistinctPairs, distinct_pairs, pair_cycles
from gnnsched_env.version import __version__
from gnnsched_env.workload import JobClasses
from gnnsched_env.workload.job_classes import BATCH_SIZES

IntArray = NDArray[np.int64]
Record = dict[str, Any]

SAMPLES = 200
LIBRARIES = ("lightgbm", "numba", "numpy", "scikit-learn", "scipy", "torch", "torch-geometric")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringSpec:
    """Options of scoring: the batches drawn from each file, and the model (kind and hidden widths, F -> hidden -> G).

    `samples`: number of different batches of each size (or all, if there are fewer); `confidence`: of the intervals.
    """

    model_kind: Annotated[str, OneOf(MODEL_KINDS)] = "gcn"
    hidden: Annotated[tuple[int, ...], ListOf(Integer(1))] = (16,)
    batch_sizes: Annotated[tuple[int, ...], ListOf(Integer(1), 1)] = BATCH_SIZES
    samples: Annotated[int, Integer(1)] = SAMPLES
    seed: Annotated[int, Integer(0)] = 0
    confidence: Annotated[float, Number(above=0, below=1)] = CONFIDENCE

    def __post_init__(self) -> None:
        check_fields(self, "scoring")
        sizes = self.batch_sizes
        require("scoring", "batch_sizes", sizes, "different integers" if len(set(sizes)) < len(sizes) else "")


DEFAULT_SCORING = ScoringSpec()


def load_distinct_sets(paths: Sequence[str | Path]) -> dict[Path, GraphSet]:
    """Read graph files; raise ConfigError if two are equal in path or content, as one would count twice."""
    if not paths:
        raise ConfigError("graphs: needs at least one graph file, got none")
    sets: dict[Path, GraphSet] = {}
    origins: dict[str, Path] = {}
    for path in map(Path, paths):
        graphs = load_graph_set(path)
        earlier = origins.setdefault(graphs.digest(), path)
        if earlier is not path:
            raise ConfigError(f"graphs: files must differ, but {path} holds the same graphs as {earlier}")
        sets[path] = graphs
    return sets


def scoring_classes(graphs: GraphSet, spec: ScoringSpec = DEFAULT_SCORING) -> tuple[JobClasses, IntArray]:
    """Return the classes on which a file is scored, and int64 [C], the batch size of each.

    A batch holds different graphs of the set, and no two batches of a size hold the same; sizes above the number of
    graphs are left out. What is drawn for a size depends on the seed, the set's content and the size alone. A file
    of one graph is one class.
    """
    model = make_model(spec.model_kind, graphs.num_features, graphs.num_classes, spec.hidden)
    loops = uses_self_loops(model)
    batches = draw_batches(graphs, spec)
    if not batches:
        raise ConfigError(
            f"scoring: {graphs.name}: batch_sizes must include one of at most its {len(graphs)} graphs, "
            f"got {spec.batch_sizes}"
        )
    count = len(batches)
    classes = JobClasses(
        names=tuple(f"{graphs.name} x{len(ids)} #{i}" for i, ids in enumerate(batches)),
        models=(model,) * count,
        degrees=tuple(graphs.degrees(ids, self_loops=loops) for ids in batches),
        weights=np.full(count, 1.0 / count),
        groups=np.zeros(count, np.int64),
        group_names=(graphs.name,),
        graphs=tuple(graphs.batch(ids) for ids in batches),
    )
    return classes, np.array([len(ids) for ids in batches], np.int64)


def draw_batches(graphs: GraphSet, spec: ScoringSpec = DEFAULT_SCORING) -> list[IntArray]:
    """Return the graph ids int64 [batch size] of each class, smallest batches first; see `scoring_classes`."""
    if len(graphs) == 1:
        return [np.zeros(1, np.int64)]
    content, batches = int(graphs.digest()[:16], 16), []
    for size in sorted(size for size in spec.batch_sizes if size <= len(graphs)):
        rng = np.random.default_rng((spec.seed, content, size))
        batches += list(_distinct_batches(len(graphs), size, spec.samples, rng))
    return batches


def score_graph_set(
    predictor: Predictor,
    graphs: GraphSet,
    fleet: Fleet,
    spec: ScoringSpec = DEFAULT_SCORING,
    *,
    workers: int | None = None,
) -> list[Record]:
    """Return one record per batch size and one over all (`batch_size` None), which also holds the confusion.

    Scores are over the fleet's distinct (accelerator, dataflow) pairs: equal devices would tie with each other. All
    classes of a file count the same in the record over all. Units: `scores.Scores`.
    """
    classes, sizes = scoring_classes(graphs, spec)
    distinct = distinct_pairs(fleet)
    true = pair_cycles(classes, distinct.pairs, workers=workers)
    predicted = np.asarray(predictor.predict(classes, distinct.pairs))
    if predicted.shape != true.shape:
        raise ConfigError(f"predictor {predictor.name}: must give [classes, pairs] {true.shape}, got {predicted.shape}")
    outside = predictor.out_of_domain(classes)
    about = {"graphs": graphs.name, "predictor": predictor.name, "level": str(predictor.level), "fleet": fleet.name}
    every = np.ones(len(classes), np.bool_)
    parts: list[tuple[int | None, NDArray[np.bool_]]] = [(int(size), sizes == size) for size in np.unique(sizes)]
    records = []
    for size, members in [*parts, (None, every)]:
        chosen = [outside[c] for c in np.flatnonzero(members)]
        scores = score_record(true[members], predicted[members], confidence=spec.confidence)
        records.append({**about, "batch_size": size, **scores, **_domain(chosen)})
    records[-1]["choices"] = pair_names(distinct)
    records[-1]["confusion"] = confusion(true, predicted).tolist()
    return records


def score_sets(
    predictor: Predictor,
    sets: Mapping[Path, GraphSet],
    fleet: Fleet,
    spec: ScoringSpec = DEFAULT_SCORING,
    *,
    workers: int | None = None,
    progress: bool | None = False,
) -> list[Record]:
    """Return the records of all files (see `load_distinct_sets`), file by file; `progress`: a bar on stderr."""
    records = []
    with progress_bar("scoring", len(sets), shown=progress) as advance:
        for path, graphs in sets.items():
            part = score_graph_set(predictor, graphs, fleet, spec, workers=workers)
            records += [{**record, "file": str(path), "digest": graphs.digest()} for record in part]
            advance(1)
    return records


def scoring_provenance(predictor: Predictor, fleet: Fleet, spec: ScoringSpec, arguments: Mapping[str, Any]) -> Record:
    """Return the provenance of the records: versions, sources, fleet, predictor and options."""
    return {
        "gnnsched_env": __version__,
        "python": platform.python_version(),
        "libraries": dict(_versions()),
        "code": code_digest(*ROOMS),
        "fleet": fleet.to_dict(),
        "predictor": {"name": predictor.name, "level": str(predictor.level)}
        | {"provenance": getattr(predictor, "provenance", None)},
        "scoring": asdict(spec),
        "arguments": dict(arguments),
    }


def pair_names(distinct: DistinctPairs) -> list[str]:
    """Return the names of the pairs: the first device of each kind, and the dataflow."""
    return [f"{accelerator.name}/{dataflow.name}" for accelerator, dataflow in distinct.pairs]


def _distinct_batches(graphs: int, size: int, samples: int, rng: np.random.Generator) -> Iterator[IntArray]:
    """Yield `samples` different sets of ids (or all, if there are fewer), each in random order."""
    if math.comb(graphs, size) <= samples:
        for every in combinations(range(graphs), size):
            yield rng.permutation(np.array(every, np.int64))
        return
    seen: set[bytes] = set()
    while len(seen) < samples:
        ids = rng.choice(graphs, size, replace=False)
        key = np.sort(ids).tobytes()
        if key not in seen:
            seen.add(key)
            yield ids


def _domain(outside: Sequence[tuple[str, ...]]) -> Record:
    """Return the number of classes outside the training domain, and the features in which they are."""
    return {
        "out_of_domain": sum(bool(features) for features in outside),
        "out_of_domain_features": dict(Counter(feature for features in outside for feature in features).most_common()),
    }


def _versions() -> Iterator[tuple[str, str]]:
    for library in LIBRARIES:
        try:
            yield library, metadata.version(library)
        except metadata.PackageNotFoundError:
            yield library, "not installed"
