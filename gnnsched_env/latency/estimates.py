"""Closed-form cycles: the cost model without its arbiters, from row degrees or from the size of the graph alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.cycles import line_profile
from gnnsched_env.hardware import BoundDataflow, Composition, Layer, PhaseArray
from gnnsched_env.latency import kernels
from gnnsched_env.tables import Pair

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TERM_NAMES = ("aggregation", "combination", "cycles")

_COMPOSITIONS = {Composition.SEQ: kernels.SEQ, Composition.SP: kernels.SP, Composition.PP: kernels.PP}
_AGGREGATION_START, _COMBINATION_START = 3, 2  # SPEC sections 4 and 5: cycles of a job besides its packets and hops


@dataclass(frozen=True, slots=True, eq=False)
class ClosedForm:
    """A layer under P pairs, without a graph: `records` CLOSED_FORM_DTYPE [P] and `stamps` int64, which they index."""

    records: NDArray[np.void]
    stamps: IntArray

    def degree_terms(self, degrees: IntArray) -> FloatArray:
        """Return float64 [P, 3], cycles by TERM_NAMES, from row degrees int64 [V] in the order of the rows; O(V)."""
        terms: FloatArray = kernels.degree_terms(degrees, self.records, self.stamps)
        return terms

    def metadata_terms(self, vertices: int, entries: int) -> FloatArray:
        """Return float64 [P, 3], cycles by TERM_NAMES, of a graph whose rows all have the mean degree; O(1)."""
        terms: FloatArray = kernels.metadata_terms(vertices, entries, self.records, self.stamps)
        return terms


def closed_form(layer: Layer, pairs: Sequence[Pair]) -> ClosedForm:
    """Return the closed form of a layer's cycles under each pair.

    Formulas: sections 3.2 (packets a port), 3.3 and 3.4 (the tree and its lines), 4 to 6 of the specification of
    OMEGA's cost model. The layer's widths enter through the tiles, so nothing here depends on a graph.
    """
    records = np.zeros(len(pairs), kernels.CLOSED_FORM_DTYPE)
    stamps = []
    offset = 0
    for p, (accelerator, dataflow) in enumerate(pairs):
        bound = dataflow.bind(layer, accelerator)
        cycles, own = _row_tile(layer, bound)
        records[p] = (*_aggregation(layer, bound), *_combination(layer, bound), cycles, offset)
        stamps.append(own)
        offset += own.size
    return ClosedForm(records, np.concatenate(stamps) if stamps else np.zeros(0, np.int64))


def _aggregation(layer: Layer, bound: BoundDataflow) -> tuple[int, ...]:
    """Return the fields of a record that tell how long a row takes."""
    tiling, array = bound.tiling, bound.aggregation
    m = array.pes // array.distribution_bandwidth
    profile = _profile(array, tiling.t_n, tiling.t_fa)
    start = _AGGREGATION_START + (m > 1)
    busiest, farthest = np.lexsort((profile[:, 1], profile[:, 0]))[-1], np.lexsort(profile.T)[-1]
    return (
        tiling.t_va,
        tiling.t_n,
        min(m, tiling.t_n),
        min(m, tiling.t_n * tiling.t_fa),
        _ceil(layer.in_features, tiling.t_fa),
        int(profile[busiest, 0]),
        start + int(profile[busiest, 1]),
        int(profile[farthest, 0]),
        start + int(profile[farthest, 1]),
    )


def _combination(layer: Layer, bound: BoundDataflow) -> tuple[int, ...]:
    """Return the fields of a record that tell how the phases are composed."""
    tiling, array = bound.tiling, bound.combination
    folds = _ceil(layer.combination_features, tiling.t_fc)
    return (
        tiling.t_vc,
        _COMPOSITIONS[bound.composition],
        folds * array.pes,
        array.distribution_bandwidth,
        _ceil(layer.out_features * tiling.t_vc * folds, array.pes) if folds > 1 else 0,
    )


def _row_tile(layer: Layer, bound: BoundDataflow) -> tuple[int, IntArray]:
    """Return the cycles of a row tile of the combination, and int64 [T_Vc]: those until its rows 0..k are written.

    A tile is one job of the machinery, as a row of the aggregation is, and ends with its slowest cluster; a row's
    stamp is that of the cluster of its last column.
    """
    tiling, array = bound.tiling, bound.combination
    row = tiling.t_g * tiling.t_fc
    m = array.pes // array.distribution_bandwidth
    folds = _ceil(layer.combination_features, tiling.t_fc)
    groups = _ceil(layer.out_features, tiling.t_g)
    weights, inputs = min(m, _ceil(m, row) * tiling.t_fc), min(m, row)
    lines, hops = _profile(array, tiling.t_fc, tiling.t_vc * tiling.t_g).T
    last = np.maximum(folds * inputs + lines * groups, folds * inputs * groups + lines)
    ends = folds * weights + _COMBINATION_START + (m > 1) + hops + last
    stamps = ends[(layer.out_features - 1) % tiling.t_g :: tiling.t_g]
    return int(ends.max()), np.maximum.accumulate(stamps)


def _profile(array: PhaseArray, size: int, clusters: int) -> IntArray:
    return _cached_profile(array.pes, array.reduction_bandwidth, size, clusters)


@lru_cache(maxsize=16_384)
def _cached_profile(pes: int, lines: int, size: int, clusters: int) -> IntArray:
    """Return int64 [clusters, 2]: clusters on the same line, hops."""
    if size == 1:
        places = np.arange(clusters) % lines
        return np.column_stack([np.bincount(places)[places], np.zeros(clusters, np.int64)])
    profile: IntArray = line_profile(pes, lines, size, clusters)
    return profile


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
