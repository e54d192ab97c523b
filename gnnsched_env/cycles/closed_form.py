"""A tiling in closed form: the cost model without its arbiters and without a phase layout to replay.

A hardware job (one row of the aggregation, or one row tile of the combination) pushes its packets, and the results of
each group drain through the collection lines. In the closed form, a cluster's timing depends only on how many others
share its line and on its distance. It ignores the order in which an arbiter serves the clusters, and the lag between a
row's stamp (the write of its last true column) and its end. Both are small where there are as many ports and lines as
PEs, but can be a third of a pipeline's cycles where there are few.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.cycles import cost_kernels as kernels
from gnnsched_env.cycles import tilings
from gnnsched_env.cycles.counts import LayerSpec
from gnnsched_env.cycles.domain import check_spec
from gnnsched_env.cycles.plan import COMMON_DEGREES, CompiledTiling
from gnnsched_env.cycles.quirks import CORRECTED
from gnnsched_env.hardware import PhaseArray

IntArray = NDArray[np.int64]

_ROW_START, _TILE_START = 3, 2  # SPEC sections 4 and 5: a job's cycles apart from its packets, hops and results


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCost:
    """The cycles of a row of the aggregation, as a function of its folds S, and of a row tile of the combination.

    With n = inputs, x = groups: a row takes S * weights + base + max(S n + lines x, S n x + lines). The busiest
    collection line takes `lines` results a group; it is `base` cycles away. (A line with fewer may be farther away, but
    by no more cycles than it has fewer results; 3,700 layouts of 8 to 1,024 PEs checked.) `tile_cycles`: a row tile;
    `stamps` int64 [T_Vc]: cycles until its rows 0..k are written.
    """

    weights: int
    inputs: int
    groups: int
    lines: int
    base: int
    tile_cycles: int
    stamps: IntArray

    def cycles(self, folds: IntArray) -> IntArray:
        """Return the cycles of rows, given the number of folds of each (at least 1)."""
        step = folds * self.inputs
        drained = np.maximum(step + self.lines * self.groups, step * self.groups + self.lines)
        total: IntArray = folds * self.weights + self.base + drained
        return total


def row_cost(spec: LayerSpec) -> RowCost:
    """Return the closed form of a layer's jobs (SPEC sections 3.2 to 3.4, 4 and 5; Q1 to Q4 mended)."""
    check_spec(spec, CORRECTED)
    tiling, array = spec.tiling, spec.aggregation
    m = array.pes // array.distribution_bandwidth
    profile = _profile(array, tiling.t_n, tiling.t_fa)
    lines, hops = profile[np.lexsort((profile[:, 1], profile[:, 0]))[-1]]  # the farthest of the busiest lines
    tile_cycles, stamps = _row_tile(spec)
    return RowCost(
        weights=min(m, tiling.t_n),
        inputs=min(m, tiling.t_n * tiling.t_fa),
        groups=_ceil(spec.in_features, tiling.t_fa),
        lines=int(lines),
        base=_ROW_START + (m > 1) + int(hops),
        tile_cycles=tile_cycles,
        stamps=stamps,
    )


def sp_terms(spec: LayerSpec) -> tuple[int, int, int]:
    """Return the terms that SP adds (SPEC section 6): (saved, saved_per, overhead).

    cV row tiles save cV * saved // saved_per cycles of redistribution, and take cV * overhead cycles of partial sums.
    """
    folds, array = _ceil(spec.combination_features, spec.tiling.t_fc), spec.combination
    overhead = _ceil(spec.out_features * spec.tiling.t_vc * folds, array.pes) if folds > 1 else 0
    return folds * array.pes, array.distribution_bandwidth, overhead


def closed_form_tiling(spec: LayerSpec, cost: RowCost | None = None) -> CompiledTiling:
    """Return the tiling in closed form, for evaluation by `CyclePlan`; pass `cost` if it is already computed."""
    cost, tiling = cost or row_cost(spec), spec.tiling
    saved, saved_per, overhead = sp_terms(spec)
    bend = _ceil(cost.lines, cost.inputs)  # folds from which a group's results drain before the next group's arrive
    most = max(bend, 2, COMMON_DEGREES // tiling.t_n)
    by_folds = cost.cycles(np.arange(1, most + 2))
    durations = np.concatenate((by_folds[:1], np.repeat(by_folds[:most], tiling.t_n)))  # an empty row has one fold
    record = np.zeros(1, tilings.TILING_DTYPE)
    values = {
        "t_va": tiling.t_va,
        "t_vc": tiling.t_vc,
        "t_n": tiling.t_n,
        "limit": most * tiling.t_n,
        "duration_slope": by_folds[most] - by_folds[most - 1],
        "lag_kind": kernels.UNIFORM,
        "tile_cycles": cost.tile_cycles,
        "phases": 1,
        "latest": durations.size,
        "saved": saved,
        "saved_per": saved_per,
        "overhead": overhead,
    }
    for name, value in values.items():
        record[name] = value
    return CompiledTiling(record, np.concatenate((durations, cost.stamps)))


def _row_tile(spec: LayerSpec) -> tuple[int, IntArray]:
    """Return the cycles of a row tile, which ends when its slowest cluster does, and of its rows 0..k, int64 [T_Vc].

    A row's stamp is that of the cluster of its last column.
    """
    tiling, array = spec.tiling, spec.combination
    row = tiling.t_g * tiling.t_fc
    m = array.pes // array.distribution_bandwidth
    folds, groups = _ceil(spec.combination_features, tiling.t_fc), _ceil(spec.out_features, tiling.t_g)
    weights, inputs = min(m, _ceil(m, row) * tiling.t_fc), min(m, row)
    lines, hops = _profile(array, tiling.t_fc, tiling.t_vc * tiling.t_g).T
    drained = np.maximum(folds * inputs + lines * groups, folds * inputs * groups + lines)
    ends = folds * weights + _TILE_START + (m > 1) + hops + drained
    stamps = ends[(spec.out_features - 1) % tiling.t_g :: tiling.t_g]
    return int(ends.max()), np.maximum.accumulate(stamps)


def _profile(array: PhaseArray, size: int, clusters: int) -> IntArray:
    return _cached_profile(array.pes, array.reduction_bandwidth, size, clusters)


@lru_cache(maxsize=16_384)
def _cached_profile(pes: int, lines: int, size: int, clusters: int) -> IntArray:
    """Return int64 [clusters, 2]: the number of clusters on the same line, and the hops to it."""
    if size == 1:
        places = np.arange(clusters) % lines
        return np.column_stack([np.bincount(places)[places], np.zeros(clusters, np.int64)])
    profile: IntArray = tilings.line_profile(pes, lines, size, clusters)
    return profile


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
