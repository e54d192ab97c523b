"""The protocol of latency predictors, and what those that follow it share."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import GraphError
from gnnsched_env.cycles.domain import MOST_WORK, as_degrees
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import GnnModel
from gnnsched_env.predictors.levels import Level
from gnnsched_env.tables import Pair
from gnnsched_env.tables.table import CYCLE_LIMIT
from gnnsched_env.workload import JobClasses

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

ROOMS = ("graphs", "hardware", "cycles", "workload", "tables", "predictors")
"""The rooms of the package whose sources labels and predictions depend on (`disk_cache.code_digest`)."""


class Job(NamedTuple):
    """One job to predict: row degrees int64 [V] of the matrix that its model aggregates over, model and graph."""

    degrees: IntArray
    model: GnnModel
    graph: Graph | None = None


class Predictor(Protocol):
    """Predicts latencies of jobs under (accelerator, dataflow) pairs."""

    @property
    def name(self) -> str:
        """The predictor's name on the command line."""
        ...

    @property
    def level(self) -> Level:
        """The level of knowledge of a job that the predictor needs."""
        ...

    def predict(self, classes: JobClasses, pairs: Sequence[Pair]) -> IntArray:
        """Return predicted cycles of job classes under pairs, int64 [C, P], at least 1."""
        ...

    def out_of_domain(self, classes: JobClasses) -> tuple[tuple[str, ...], ...]:
        """Return, for each class, the features that lie outside what the predictor was trained on."""
        ...


@runtime_checkable
class KeptPredictor(Predictor, Protocol):
    """A predictor that reads graphs, and so slow that tables cache its predictions."""

    def digest(self) -> str:
        """Return a hash (SHA-256, hexadecimal) of everything that predictions depend on."""
        ...


def sizes_of(job: Job) -> tuple[int, int]:
    """Return the numbers of rows and entries; raise GraphError if the degrees are invalid."""
    rows, entries = job.degrees.size, int(job.degrees.sum())
    if rows == 0 or job.degrees.min() < 0 or entries > MOST_WORK:
        as_degrees(job.degrees)
        raise GraphError(f"a graph of {rows} rows and {entries} entries is beyond the cost model's bounds")
    return rows, entries


def one_by_one(cycles: Callable[[Job], IntArray], classes: JobClasses) -> IntArray:
    """Return cycles, int64 [C, P], from a function of one job."""
    return np.stack([cycles(job) for job in jobs_of(classes)])


def jobs_of(classes: JobClasses) -> list[Job]:
    """Return a job of each class."""
    graphs = classes.graphs or (None,) * len(classes)
    return [Job(*job) for job in zip(classes.degrees, classes.models, graphs, strict=True)]


def as_cycles(values: FloatArray) -> IntArray:
    """Round to whole cycles that a latency table accepts."""
    return np.clip(np.rint(values), 1, CYCLE_LIMIT - 1).astype(np.int64)
