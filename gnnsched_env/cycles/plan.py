"""Tilings compiled once, without a graph, and evaluated together on any number of graphs in one compiled call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError, GraphError
from gnnsched_env.cycles import cost_kernels as kernels
from gnnsched_env.cycles import tilings
from gnnsched_env.cycles.arguments import Pair, as_pair, check_lists, check_model
from gnnsched_env.cycles.counts import LayerSpec
from gnnsched_env.cycles.domain import MOST_DEGREE, MOST_WORK, as_degrees, check_spec, check_work, slots_of
from gnnsched_env.cycles.layer import simulate_layer
from gnnsched_env.cycles.quirks import CORRECTED
from gnnsched_env.hardware import BoundDataflow, Choice, Composition, GnnModel, Layer, bind

IntArray = NDArray[np.int64]

TABLE_BUDGET = 20_000_000  # most results simulated to compile a tiling, about a second; beyond that, rows are replayed
COMMON_DEGREES = 512  # tables reach at least this degree, so that common rows need no extrapolation
MOST_PHASES = 64
MOST_COMPILED = 16_384

_COMPOSITIONS = {Composition.SEQ: kernels.SEQ, Composition.SP: kernels.SP, Composition.PP: kernels.PP}


@dataclass(frozen=True, slots=True, eq=False)
class CompiledTiling:
    """One tiling without a graph: a record of TILING_DTYPE [1], offsets counted from its own `tables` int64."""

    record: NDArray[np.void]
    tables: IntArray


class CyclePlan:
    """The cycles of many layers under many tilings, compiled once, with all quirks mended.

    `entries` are (column, layer, composition); a call returns int64 [columns], each the sum of its entries. `compiled`
    is the function that gives a layer's tiling, by default `compile_tiling`.
    """

    def __init__(
        self,
        entries: Sequence[tuple[int, LayerSpec, Composition]],
        compiled: Callable[[LayerSpec], CompiledTiling | None] | None = None,
    ) -> None:
        self.columns = 1 + max(column for column, _, _ in entries)
        self._specs = tuple({spec for _, spec, _ in entries})
        self._safe_rows = min((_safe_rows(spec) for spec in self._specs), default=0)
        self._replayed: list[tuple[int, LayerSpec, Composition]] = []
        records, tables, offset = np.empty(len(entries), tilings.TILING_DTYPE), [np.empty(0, np.int64)], 0
        known = 0
        for column, spec, composition in entries:
            tiling = (compiled or compile_tiling)(spec)
            if tiling is None:
                self._replayed.append((column, spec, composition))
                continue
            records[known] = tiling.record[0]
            record = records[known]
            record["column"], record["composition"] = column, _COMPOSITIONS[composition]
            for name in ("durations", "stamps", "following", "latest"):
                record[name] += offset
            offset += tiling.tables.size
            tables.append(tiling.tables)
            known += 1
        self._records = records[:known].copy()
        self._tables = np.concatenate(tables)
        self._heights = _heights(self._records)

    def cycles(self, degrees: IntArray) -> IntArray:
        """Return int64 [columns] for one graph; `degrees` int64 [V] of the matrix that is aggregated over."""
        if type(degrees) is not np.ndarray or degrees.dtype != np.int64 or degrees.ndim != 1 or degrees.size == 0:
            degrees = as_degrees(degrees)
        if degrees.size > self._safe_rows:
            self._check_work(degrees)
        out = np.zeros(self.columns, np.int64)
        status = kernels.evaluate_one(degrees, self._records, self._tables, self._heights, out)
        if status < 0 or self._replayed:
            self._finish(status, degrees, np.array((0, degrees.size)), out.reshape(1, -1))
        return out

    def matrix(self, degrees: Sequence[IntArray]) -> IntArray:
        """Return int64 [graphs, columns] for many graphs."""
        check_lists(degrees)
        out = np.zeros((len(degrees), self.columns), np.int64)
        if not len(degrees):
            return out
        sizes = np.array([len(one) for one in degrees], np.int64)
        if sizes.min() == 0:
            raise GraphError(f"graph {int(sizes.argmin())} has no rows; the cost model needs at least one")
        graph_ptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
        rows = as_degrees(np.concatenate(degrees))
        if sizes.max() > self._safe_rows:
            for i in np.flatnonzero(sizes > self._safe_rows):
                self._check_work(rows[graph_ptr[i] : graph_ptr[i + 1]])
        status = kernels.evaluate(rows, graph_ptr, self._records, self._tables, self._heights, out)
        self._finish(status, rows, graph_ptr, out)
        return out

    def _finish(self, status: int, degrees: IntArray, graph_ptr: IntArray, out: IntArray) -> None:
        """Raise ConfigError for degrees out of bounds, and replay the tilings that were too large to compile."""
        if status < 0:
            as_degrees(degrees)
            raise AssertionError("the kernel refused degrees within their bounds")
        for column, spec, composition in self._replayed:
            for i in range(graph_ptr.size - 1):
                own = degrees[graph_ptr[i] : graph_ptr[i + 1]]
                out[i, column] += simulate_layer(own, spec, quirks=CORRECTED).cycles(composition)

    def _check_work(self, degrees: IntArray) -> None:
        """Check the bound on the work of a graph with many rows; fewer cannot exceed it, whatever their degrees."""
        entries = int(as_degrees(degrees).sum())
        for spec in self._specs:
            check_work(spec, degrees.size, entries)


@lru_cache(maxsize=256)
def plan_for(model: GnnModel, pairs: tuple[Pair | Choice, ...]) -> CyclePlan:
    """Return the plan with one column for each (accelerator, dataflow) pair, a model's layers summed; kept."""
    if not pairs:
        raise ConfigError("pairs: at least one (accelerator, dataflow) is needed")
    check_model(model)
    entries = []
    for column, (accelerator, dataflow) in enumerate(as_pair(pair) for pair in pairs):
        for layer in model.layers:
            bound = bind(dataflow, layer, accelerator)
            entries.append((column, layer_spec(layer, bound), bound.composition))
    return CyclePlan(entries)


def cycles_matrix(degrees: Sequence[IntArray], model: GnnModel, pairs: Sequence[Pair | Choice]) -> IntArray:
    """Return the cycles of every graph under every (accelerator, dataflow), int64 [graphs, pairs], quirks mended.

    `degrees[i]` int64 [V_i] are the row degrees of the matrix that the model aggregates over: of A+I where
    `uses_self_loops(model)`, else of A (`GraphSet.degrees(ids, self_loops=...)` gives a batch's without building it).
    `pairs` may be a fleet's `choices`. Bounds of the input: docs/reference/cycles.md.
    """
    check_model(model)
    uses_self_loops(model)
    if not isinstance(pairs, Sequence):
        raise ConfigError(f"pairs must be a sequence of (accelerator, dataflow), got {type(pairs).__name__}")
    return plan_for(model, tuple(as_pair(pair) for pair in pairs)).matrix(degrees)


def uses_self_loops(model: GnnModel) -> bool:
    """Return whether a model aggregates over A+I; raise ConfigError if its layers differ."""
    if len({layer.self_loops for layer in model.layers}) > 1:
        raise ConfigError(f"model {model.name!r}: self_loops must be the same in all layers to share row degrees")
    return model.layers[0].self_loops


def layer_spec(layer: Layer, bound: BoundDataflow) -> LayerSpec:
    """Return the layer's spec: its widths, and the tiles and array parts of a bound dataflow."""
    return LayerSpec(
        in_features=layer.in_features,
        combination_features=layer.combination_features,
        out_features=layer.out_features,
        tiling=bound.tiling,
        aggregation=bound.aggregation,
        combination=bound.combination,
    )


@lru_cache(maxsize=MOST_COMPILED)
def compile_tiling(spec: LayerSpec) -> CompiledTiling | None:
    """Compile a layer's tiling with all quirks mended; return None if its tables were too large (replay it then)."""
    check_spec(spec, CORRECTED)
    widths = (spec.in_features, spec.combination_features, spec.out_features)
    arrays = tuple(
        value
        for array in (spec.aggregation, spec.combination)
        for value in (array.pes, array.distribution_bandwidth, array.reduction_bandwidth)
    )
    shape = (*widths, *spec.tiling.as_tuple(), *arrays)
    record, tables = tilings.compile_tables(shape, TABLE_BUDGET, MOST_PHASES, COMMON_DEGREES)
    return CompiledTiling(record, tables) if tables.size else None


def _safe_rows(spec: LayerSpec) -> int:
    """Return the number of rows that stay within MOST_WORK whatever their degrees."""
    an_entry, a_row, once = slots_of(spec)
    return max(0, MOST_WORK - once) // (an_entry * MOST_DEGREE + a_row)


def _heights(records: NDArray[np.void]) -> IntArray:
    """Return the distinct T_Va with an earlier one that divides each; point the records at theirs."""
    distinct = sorted({1, *(int(height) for height in records["t_va"])})
    for record in records:
        record["clock"] = distinct.index(int(record["t_va"]))
    table = np.zeros((len(distinct), 2), np.int64)
    for i, height in enumerate(distinct):
        divisors = [j for j in range(i) if height % distinct[j] == 0]
        table[i] = height, max(divisors, default=0)
    return table
