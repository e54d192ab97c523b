"""True cycles of job classes under a fleet's choices: each distinct pair once, in parallel if large."""

import json
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.processes import WorkerPool
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.cycles import CORRECTED, Quirks, cycles_matrix, layer_spec, simulate_layer
from gnnsched_env.hardware import Accelerator, Dataflow, Fleet, GnnModel, Layer, bind
from gnnsched_env.workload.job_classes import JobClasses

IntArray = NDArray[np.int64]
Pair = tuple[Accelerator, Dataflow]

PARALLEL_COST = 2_000_000_000  # about ten seconds on one core
CHUNK_COST = 100_000_000
REPLAY_FACTOR = 100  # cost of replaying a row event by event, relative to evaluating it from tables


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinctPairs:
    """The pairs of a fleet that differ in more than names, in an order that does not depend on the fleet.

    `keys[p]` is the text that identifies pair p; `columns` int64 [K] gives the pair of each of the fleet's choices.
    """

    keys: tuple[str, ...]
    pairs: tuple[Pair, ...]
    columns: IntArray


def distinct_pairs(fleet: Fleet) -> DistinctPairs:
    """Return the fleet's distinct pairs: equal devices count once, whatever their names."""
    keys = choice_keys(fleet)
    first = {key: fleet.choices[keys.index(key)] for key in sorted(set(keys))}
    order = {key: i for i, key in enumerate(first)}
    return DistinctPairs(
        keys=tuple(first),
        pairs=tuple((choice.accelerator, choice.dataflow) for choice in first.values()),
        columns=np.array([order[key] for key in keys], np.int64),
    )


def choice_keys(fleet: Fleet) -> tuple[str, ...]:
    """Return the `pair_key` of each of the fleet's choices; choices that differ only in names have equal keys."""
    keys: dict[Any, str] = {}  # of wide fleets, whose choices are mostly equal
    found = []
    for accelerator, dataflow in ((choice.accelerator, choice.dataflow) for choice in fleet.choices):
        hardware = accelerator.pes, accelerator.distribution_bandwidth, accelerator.reduction_bandwidth, dataflow
        if hardware not in keys:
            keys[hardware] = pair_key(accelerator, dataflow)
        found.append(keys[hardware])
    return tuple(found)


def pair_key(accelerator: Accelerator, dataflow: Dataflow) -> str:
    """Return a text of everything that a job's cycles depend on: PEs, bandwidths, taxonomy and tile rule; no names."""
    return json.dumps(
        {
            "pes": accelerator.pes,
            "distribution_bandwidth": accelerator.distribution_bandwidth,
            "reduction_bandwidth": accelerator.reduction_bandwidth,
            "taxonomy": str(dataflow.taxonomy),
            "rule": dataflow.rule.to_dict(),
        }
    )


def true_cycles(
    classes: JobClasses,
    fleet: Fleet,
    *,
    quirks: Quirks = CORRECTED,
    workers: int | None = None,
    progress: bool | None = False,
) -> IntArray:
    """Return int64 [C, K]: the cycles of each class under each choice of the fleet; see `pair_cycles`."""
    distinct = distinct_pairs(fleet)
    cycles = pair_cycles(classes, distinct.pairs, quirks=quirks, workers=workers, progress=progress)
    return cycles[:, distinct.columns]


def pair_cycles(
    classes: JobClasses,
    pairs: Sequence[Pair],
    *,
    quirks: Quirks = CORRECTED,
    workers: int | None = None,
    progress: bool | None = False,
) -> IntArray:
    """Return int64 [C, pairs]: cycles summed over the layers of each class's model.

    Distinct layers are compiled once, for all classes that have them. `workers` processes share the work; None takes
    one process for little work and one per core for much. `progress`: a bar on stderr (None: if that is a terminal).
    """
    if workers is not None:
        workers = Integer(1).check("cycles", "workers", workers)
    chunks = list(_chunks(classes, pairs, quirks))
    cost = sum(chunk.cost for chunk in chunks)
    if workers is None:
        workers = (os.cpu_count() or 1) if cost >= PARALLEL_COST else 1
    if multiprocessing.parent_process() is not None:
        workers = 1  # a worker process may be a daemon, which may not have children
    cycles = np.zeros((len(classes), len(pairs)), np.int64)
    with progress_bar("true cycles", cost, shown=progress) as advance:
        if workers > 1 and len(chunks) > 1:
            try:
                _run_parallel(chunks, cycles, workers, advance)
                return cycles
            except BrokenProcessPool:
                warnings.warn(
                    "worker processes could not start (a script needs `if __name__ == '__main__':`); "
                    "building the table in one process",
                    RuntimeWarning,
                    stacklevel=2,
                )
                cycles[:] = 0
        for chunk in chunks:
            cycles[chunk.classes] += chunk.run()
            advance(chunk.cost)
    return cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """A unit of work: some classes that share a layer; picklable."""

    classes: IntArray
    degrees: tuple[IntArray, ...]
    layer: Layer
    pairs: tuple[Pair, ...]
    quirks: Quirks
    cost: int

    def run(self) -> IntArray:
        """Return int64 [classes of the chunk, pairs]."""
        if self.quirks == CORRECTED:
            return cycles_matrix(self.degrees, GnnModel(name="layer", layers=(self.layer,)), self.pairs)
        bound = [bind(dataflow, self.layer, accelerator) for accelerator, dataflow in self.pairs]
        rows = [
            [
                simulate_layer(degrees, layer_spec(self.layer, b), quirks=self.quirks).cycles(b.composition)
                for b in bound
            ]
            for degrees in self.degrees
        ]
        return np.array(rows, np.int64)


def _chunks(classes: JobClasses, pairs: Sequence[Pair], quirks: Quirks) -> Iterator[_Chunk]:
    """Yield the work, layer by layer, in chunks of about CHUNK_COST row evaluations."""
    users: dict[Layer, list[int]] = {}
    for c, model in enumerate(classes.models):
        for layer in model.layers:
            users.setdefault(layer, []).append(c)
    factor = len(pairs) * (1 if quirks == CORRECTED else REPLAY_FACTOR)
    for layer, members in users.items():
        costs = np.array([classes.degrees[c].size * factor for c in members], np.int64)
        parts = (np.cumsum(costs) - costs) // CHUNK_COST
        for part in np.unique(parts):
            for own, cost in _without_repeats(np.array(members)[parts == part], costs[parts == part]):
                yield _Chunk(
                    classes=own,
                    degrees=tuple(classes.degrees[c] for c in own),
                    layer=layer,
                    pairs=tuple(pairs),
                    quirks=quirks,
                    cost=int(cost.sum()),
                )


def _without_repeats(members: IntArray, costs: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield the members in groups without repeats (a model may have one layer twice), so that += adds each."""
    while members.size:
        _, first = np.unique(members, return_index=True)
        yield members[first], costs[first]
        members, costs = np.delete(members, first), np.delete(costs, first)


def _run(chunk: _Chunk) -> IntArray:
    return chunk.run()


def _run_parallel(chunks: Sequence[_Chunk], cycles: IntArray, workers: int, advance: Callable[[int], None]) -> None:
    with WorkerPool(min(workers, len(chunks))) as pool:
        pending = {pool.submit(_run, chunk): chunk for chunk in chunks}
        for done in as_completed(pending):
            chunk = pending[done]
            cycles[chunk.classes] += done.result()
            advance(chunk.cost)
