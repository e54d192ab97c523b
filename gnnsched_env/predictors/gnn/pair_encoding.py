"""The GNN's inputs besides the graph: a layer bound to (accelerator, dataflow) pairs, as features and tile geometry.

Nothing here depends on edges: everything follows from the layer's widths, the tiles and the arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.cycles import layer_spec, sp_terms
from gnnsched_env.hardware import BoundDataflow, Composition, Layer, bind
from gnnsched_env.tables import Pair

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FEATURES = (
    "log2_in_features",
    "log2_combination_features",
    "log2_out_features",
    "log2_t_va",
    "log2_t_n",
    "log2_t_fa",
    "log2_t_vc",
    "log2_t_g",
    "log2_t_fc",
    "log2_pes",
    "log2_distribution_bandwidth",
    "log2_reduction_bandwidth",
    "log2_aggregation_groups",
    "log2_combination_folds",
    "log2_combination_groups",
    "is_seq",
    "is_sp",
    "is_pp",
    "inverse_t_n",
    "aggregation_reduces",
    "combination_reduces",
    "combination_one_fold",
    "aggregation_levels",
    "combination_levels",
    "inverse_steps",
    "combination_bus_share",
    "aggregation_bus_share",
)
GEOMETRY = (
    "t_va",
    "t_vc",
    "t_vp",
    "steps",
    "tile_folds",
    "tile_groups",
    "is_sp",
    "saved",
    "saved_per",
    "overhead",
    "t_fc",
    "tree_columns",
    "tree_layout",
)

NARROW_TREES, ARRAY_SIZES = 32, 16
NO_PIPELINE = 2**62  # rows of a chunk if the phases do not overlap: all rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairEncoding:
    """One layer under P pairs.

    `features` float64 [P, len(FEATURES)]: logarithms to base 2 of widths, tiles, PEs, bandwidths (words/cycle), of
    column groups ceil(F / T_Fa) and ceil(G / T_G) and of folds ceil(width / T_Fc); one-hot composition; flags.
    `geometry` int64 [P, len(GEOMETRY)]: tiles of rows T_Va and T_Vc; rows of a pipeline chunk, max(T_Va, T_Vc) (PP
    only); steps of a fold, 1 + ceil(F / T_Fa); folds and column groups of a row tile of the combination; terms of SP
    (SPEC section 6): redistribution saved = row tiles * saved // saved_per, partial sums = row tiles * overhead; the
    widths of the reduction trees T_Fc and how many the aggregation has (T_Fa; 1 where it does not reduce); a number for
    each pair of T_Fc, up to NARROW_TREES, and PEs of the phase.
    """

    features: FloatArray
    geometry: IntArray


def encode_layer(layer: Layer, pairs: Sequence[Pair]) -> PairEncoding:
    """Return a layer's encoding under each pair (cached); raise ConfigError if a dataflow cannot be bound to it."""
    return _encoded(layer, tuple(pairs))


@lru_cache(maxsize=4096)
def _encoded(layer: Layer, pairs: tuple[Pair, ...]) -> PairEncoding:
    bound = [bind(dataflow, layer, accelerator) for accelerator, dataflow in pairs]
    features = np.array([_features(layer, one) for one in bound], np.float64).reshape(-1, len(FEATURES))
    geometry = np.array([_geometry(layer, one) for one in bound], np.int64).reshape(-1, len(GEOMETRY))
    for array in (features, geometry):
        array.setflags(write=False)
    return PairEncoding(features=features, geometry=geometry)


def _counts(layer: Layer, bound: BoundDataflow) -> tuple[int, int, int]:
    """Return column groups of the aggregation, folds and column groups of the combination."""
    tiling = bound.tiling
    folds = -(-layer.combination_features // tiling.t_fc)
    return -(-layer.in_features // tiling.t_fa), folds, -(-layer.out_features // tiling.t_g)


def _features(layer: Layer, bound: BoundDataflow) -> list[float]:
    t_va, t_n, t_fa, t_vc, t_g, t_fc = bound.tiling.as_tuple()
    groups, folds, columns = _counts(layer, bound)
    array = bound.aggregation
    widths = (layer.in_features, layer.combination_features, layer.out_features)
    arrays = (array.pes, array.distribution_bandwidth, array.reduction_bandwidth)
    logarithms = np.log2((*widths, t_va, t_n, t_fa, t_vc, t_g, t_fc, *arrays, groups, folds, columns)).tolist()
    return [
        *logarithms,
        float(bound.composition is Composition.SEQ),
        float(bound.composition is Composition.SP),
        float(bound.composition is Composition.PP),
        1.0 / t_n,
        float(t_n > 1),
        float(t_fc > 1),
        float(folds == 1),
        float((t_n - 1).bit_length()),
        float((t_fc - 1).bit_length()),
        1.0 / (1 + groups),
        t_vc * t_g / array.reduction_bandwidth,
        t_fa / array.reduction_bandwidth,
    ]


def _geometry(layer: Layer, bound: BoundDataflow) -> list[int]:
    tiling, array = bound.tiling, bound.combination
    groups, folds, columns = _counts(layer, bound)
    pipelined = bound.composition is Composition.PP
    return [
        tiling.t_va,
        tiling.t_vc,
        max(tiling.t_va, tiling.t_vc) if pipelined else NO_PIPELINE,
        1 + groups,
        folds,
        columns,
        int(bound.composition is Composition.SP),
        *sp_terms(layer_spec(layer, bound)),
        tiling.t_fc,
        tiling.t_fa if tiling.t_n > 1 else 1,
        min(tiling.t_fc, NARROW_TREES) * ARRAY_SIZES + min(array.pes.bit_length(), ARRAY_SIZES) - 1,
    ]
