"""Synthetic training jobs (a graph or batch of graphs, and one layer), drawn in chunks that depend on the seed only."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, check_fields
from gnnsched_env.graphs import Graph, GraphSet
from gnnsched_env.hardware import GnnModel, Layer
from gnnsched_env.predictors.datasets.training_families import (
    MOST_ENTRIES,
    SMALLEST,
    TRAINING_FAMILIES,
    USUAL_SHARE,
    decorated,
)
from gnnsched_env.workload import JobClasses
from gnnsched_env.workload.job_classes import log_uniform

IntArray = NDArray[np.int64]

JOBS_A_SET = 12
LAYERS_A_CHUNK = 100  # layers per chunk; for each, tilings are compiled under every dataflow
POOL, POOL_VERTICES = 64, 30_000  # graphs, and approximate vertices, drawn for a made-up data set
LARGEST_BATCH = 256
USUAL_BATCHES = tuple(2**power for power in range(9))
FEWEST_VERTICES = 32

WIDTHS_IN, WIDTHS_OUT = (1, 8_000), (1, 512)
HIDDEN = (16, 8, 32, 64, 128, 256)
HIDDEN_SHARES = (0.5, 0.1, 0.1, 0.1, 0.1, 0.1)
WIDE_IN_SHARE, HIDDEN_OUT_SHARE, SAGE_SHARE = 0.6, 0.5, 0.125


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """A synthetic data set: `graphs` jobs, each of them a graph or a batch of graphs and a layer.

    `chunk_jobs` jobs are drawn together; a job depends on seed, chunk_jobs, most_vertices and its place only, so that
    a larger data set begins with a smaller one. `most_vertices` bounds graphs and batches alike.
    """

    graphs: Annotated[int, Integer(1)] = 100_000
    seed: Annotated[int, Integer(0)] = 0
    chunk_jobs: Annotated[int, Integer(1)] = 500
    most_vertices: Annotated[int, Integer(FEWEST_VERTICES)] = 100_000

    def __post_init__(self) -> None:
        check_fields(self, "training data")

    @property
    def chunks(self) -> int:
        """The number of chunks; the last may be shorter."""
        return -(-self.graphs // self.chunk_jobs)

    def jobs_of(self, chunk: int) -> int:
        """Return the number of jobs in a chunk."""
        chunk = Integer(0, self.chunks - 1).check("training data", "chunk", chunk)
        return min(self.chunk_jobs, self.graphs - chunk * self.chunk_jobs)


def training_chunk(spec: DatasetSpec, chunk: int) -> JobClasses:
    """Return the jobs of one chunk, a function of (spec, chunk) alone; `groups` are families, `graphs` are given.

    Every twelve jobs share a made-up data set: a family, its parameters, a typical size and a pool of graphs, of
    which a job takes one or a batch. Models have one layer, from the chunk's own palette of a hundred.
    """
    count, chunk = spec.jobs_of(chunk), int(chunk)
    palette = _palette(np.random.default_rng((spec.seed, chunk)))
    jobs = []
    for number in range(-(-count // JOBS_A_SET)):
        rng = _set_generator(spec, chunk, number)
        jobs += _set_jobs(rng, spec, palette, min(JOBS_A_SET, count - number * JOBS_A_SET))
    first = chunk * spec.chunk_jobs
    return JobClasses(
        names=tuple(f"{TRAINING_FAMILIES[group].name} #{first + i}" for i, (group, _, _, _) in enumerate(jobs)),
        models=tuple(model for _, model, _, _ in jobs),
        degrees=tuple(degrees for _, _, degrees, _ in jobs),
        weights=np.full(count, 1.0 / count),
        groups=np.array([group for group, _, _, _ in jobs], np.int64),
        group_names=tuple(family.name for family in TRAINING_FAMILIES),
        graphs=tuple(graph for _, _, _, graph in jobs),
    )


def training_graphs(spec: DatasetSpec, chunk: int, number: int) -> list[Graph]:
    """Return the graphs of a chunk's made-up data set, numbered from 0, from which its jobs take theirs."""
    return _draw_pool(_set_generator(spec, chunk, number), spec)[1]


_Job = tuple[int, GnnModel, IntArray, Graph]


def _set_generator(spec: DatasetSpec, chunk: int, number: int) -> np.random.Generator:
    return np.random.default_rng((spec.seed, chunk, 1 + number))


def _set_jobs(rng: np.random.Generator, spec: DatasetSpec, palette: list[GnnModel], count: int) -> list[_Job]:
    """Return up to JOBS_A_SET jobs of a new made-up data set: (family, model, row degrees, adjacency)."""
    group, graphs = _draw_pool(rng, spec)
    pool = GraphSet.from_graphs(graphs, name=TRAINING_FAMILIES[group].name, num_features=1, num_classes=1)
    jobs = []
    for _ in range(count):
        model = palette[rng.integers(len(palette))]
        ids = _draw_batch(rng, pool, spec.most_vertices)
        degrees = pool.degrees(ids, self_loops=model.layers[0].self_loops)
        jobs.append((group, model, degrees, pool.batch(ids)))
    return jobs


def _draw_pool(rng: np.random.Generator, spec: DatasetSpec) -> tuple[int, list[Graph]]:
    """Return the family and the graphs of a made-up data set, whose sizes spread around a typical one."""
    shares = np.array([family.share for family in TRAINING_FAMILIES])
    group = int(rng.choice(len(shares), p=shares / shares.sum()))
    family = TRAINING_FAMILIES[group]
    most = min(family.most, spec.most_vertices)
    usual = rng.random() < USUAL_SHARE
    low, high = family.usual if usual else (SMALLEST, most)
    typical = log_uniform(rng, min(low, most), min(high, most))
    spread = max(0.0, rng.uniform(-0.2, 0.8))
    draw = decorated(rng, family.parameters(rng))
    count = int(np.clip(POOL_VERTICES // typical, 1, POOL))
    sizes = np.clip(np.exp(rng.normal(np.log(typical), spread, count)), SMALLEST, most)
    kept = 1 + int(np.searchsorted(np.cumsum(sizes), POOL_VERTICES))  # a wide spread may draw far more than typical
    return group, [draw(rng, int(size)) for size in sizes[:kept]]


def _draw_batch(rng: np.random.Generator, pool: GraphSet, most_vertices: int) -> IntArray:
    """Return ids of 1..LARGEST_BATCH graphs within the bounds on size, without repeats if there are enough."""
    sizes = np.diff(pool.graph_ptr)
    entries = np.diff(pool.indptr[pool.graph_ptr])
    limit = most_vertices if rng.random() < 0.15 else most_vertices // 4
    most = int(np.clip(limit / sizes.mean(), 1, LARGEST_BATCH))
    kind = rng.random()
    if kind < 0.25:
        wanted = 1
    elif kind < 0.65:
        usual = [size for size in USUAL_BATCHES if size <= most]
        wanted = usual[rng.integers(len(usual))]
    else:
        wanted = log_uniform(rng, 1, most)
    ids = rng.choice(len(pool), wanted, replace=wanted > len(pool))
    fits = (np.cumsum(sizes[ids]) <= most_vertices) & (np.cumsum(entries[ids]) <= MOST_ENTRIES)
    return ids[: max(1, int(fits.sum()))]


def _palette(rng: np.random.Generator) -> list[GnnModel]:
    return [GnnModel(name="layer", layers=(_draw_layer(rng),)) for _ in range(LAYERS_A_CHUNK)]


def _draw_layer(rng: np.random.Generator) -> Layer:
    """Return a GCN's layer, or less often GraphSAGE's; hidden widths on either side, both or neither."""
    hidden = [int(width) for width in rng.choice(HIDDEN, 2, p=HIDDEN_SHARES)]
    wide = log_uniform(rng, *WIDTHS_IN), log_uniform(rng, *WIDTHS_OUT)
    in_features = wide[0] if rng.random() < WIDE_IN_SHARE else hidden[0]
    out_features = hidden[1] if rng.random() < HIDDEN_OUT_SHARE else wide[1]
    sage = bool(rng.random() < SAGE_SHARE)
    return Layer(
        in_features=in_features,
        combination_features=2 * in_features if sage else in_features,
        out_features=out_features,
        self_loops=not sage,
    )
