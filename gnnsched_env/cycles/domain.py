"""The cost model's valid input: layers, degrees, and bounds within which cycles cannot overflow int64."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import plain_array
from gnnsched_env.common.errors import ConfigError, GraphError
from gnnsched_env.cycles.counts import LayerSpec
from gnnsched_env.cycles.quirks import Quirks
from gnnsched_env.hardware import PhaseArray

IntArray = NDArray[np.int64]

MOST_FEATURES = 2**20  # largest value of each width; a replayed row takes time proportional to its results
MOST_PES = 2**20
MOST_DEGREE = 2**31 - 1  # kernels.py has the same number
MOST_WORK = 2**55  # multiply-accumulates of a layer; a cycle count is at worst a small multiple of them


def check_spec(spec: LayerSpec, quirks: Quirks) -> None:
    """Raise ConfigError, naming the broken rule, for a layer outside the model's domain."""
    if not isinstance(spec, LayerSpec):
        raise ConfigError(f"spec must be a LayerSpec (layer_spec(layer, bound)), got {type(spec).__name__}")
    if not isinstance(quirks, Quirks):
        raise ConfigError(f"quirks must be a Quirks, such as NAMED_QUIRKS['reference'], got {quirks!r}")
    tiling = spec.tiling
    for name in ("in_features", "combination_features", "out_features"):
        if (width := getattr(spec, name)) < 1:
            raise ConfigError(f"layer: {name} must be at least 1, got {width}")
        if width > MOST_FEATURES:
            raise ConfigError(f"layer: {name} must be at most 2^20, got {width}")
    _check_array("aggregation", spec.aggregation, "T_N", tiling.t_n)
    _check_array("combination", spec.combination, "T_Fc", tiling.t_fc)
    rules = [("aggregation", "T_N*T_Fa", tiling.t_n * tiling.t_fa, spec.aggregation.pes)]
    if not quirks.unchecked_row_parallelism:
        used = tiling.t_va * tiling.t_n * tiling.t_fa
        rules.append(("aggregation", "T_Va*T_N*T_Fa", used, spec.aggregation.pes))
    used = tiling.t_vc * tiling.t_g * tiling.t_fc
    rules.append(("combination", "T_Vc*T_G*T_Fc", used, spec.combination.pes))
    for phase, rule, product, pes in rules:
        if product > pes:
            raise ConfigError(f"{phase}: {rule} must be at most the phase's {pes} PEs, got {product} (tiles {tiling})")


def check_rows(degrees: IntArray, spec: LayerSpec, quirks: Quirks) -> IntArray:
    """Check layer and degrees; return the degrees as contiguous int64."""
    check_spec(spec, quirks)
    degrees = as_degrees(degrees)
    check_work(spec, degrees.size, int(degrees.sum()))
    if quirks.empty_rows_hang and degrees.min() == 0:
        row = int(degrees.argmin())
        raise GraphError(f"row {row} has no entries, and the reference simulator never ends on it (quirk Q4)")
    if quirks.partial_tile_last_row and degrees.size == 1 and spec.tiling.t_va > 1:
        raise ConfigError(f"V = 1 needs T_Va = 1 in the reference simulator, got {spec.tiling.t_va}")
    return degrees


def as_degrees(degrees: IntArray) -> IntArray:
    """Return row degrees as contiguous int64 [V], V >= 1, all in 0..MOST_DEGREE."""
    if not isinstance(degrees, np.ndarray | list | tuple):
        raise ConfigError(
            "degrees must be an array of row degrees, int64 [V] (of a Graph: graph.row_degrees(self_loops=...)), "
            f"got {type(degrees).__name__}"
        )
    array = plain_array("cycles", "degrees", degrees)
    if array.ndim != 1 or array.size == 0:
        raise GraphError(f"degrees must be one-dimensional with at least one row, got shape {array.shape}")
    if array.dtype.kind not in "iu":
        raise GraphError(f"degrees must be integers, got dtype {array.dtype}")
    if array.min() < 0:
        raise GraphError(f"degrees must not be negative, got {int(array.min())}")
    if array.max() > MOST_DEGREE:
        raise GraphError(f"degrees must be at most 2^31 - 1, got {int(array.max())}")
    return np.ascontiguousarray(array, dtype=np.int64)


def slots_of(spec: LayerSpec) -> tuple[int, int, int]:
    """Return upper bounds on multiply-accumulate slots, padding included: (per entry, per row, once)."""
    tiling = spec.tiling
    width = spec.in_features + tiling.t_fa
    padded = (spec.combination_features + tiling.t_fc) * (spec.out_features + tiling.t_g)
    arrays = spec.aggregation.pes + spec.combination.pes
    return width, width * tiling.t_n + padded + arrays, padded * tiling.t_vc + arrays


def check_work(spec: LayerSpec, rows: int, entries: int) -> None:
    """Raise ConfigError for a graph so large that cycles might overflow int64."""
    an_entry, a_row, once = slots_of(spec)
    if (work := entries * an_entry + rows * a_row + once) > MOST_WORK:
        raise GraphError(
            f"graph of {rows} rows and {entries} entries: the layer's multiply-accumulates, padding included, "
            f"must be at most 2^55, got about {work:.2g}"
        )


def _check_array(phase: str, array: PhaseArray, tile_name: str, tile: int) -> None:
    widths = {
        "pes": array.pes,
        "distribution_bandwidth": array.distribution_bandwidth,
        "reduction_bandwidth": array.reduction_bandwidth,
    }
    for name, value in widths.items():
        if value < 1 or value & (value - 1):
            raise ConfigError(f"{phase}: {name} must be a power of two, got {value}")
        if value > MOST_PES:
            raise ConfigError(f"{phase}: {name} must be at most 2^20, got {value}")
    if array.distribution_bandwidth > array.pes:
        raise ConfigError(
            f"{phase}: distribution_bandwidth must be at most pes, got {array.distribution_bandwidth} > {array.pes}"
        )
    if array.reduction_bandwidth > array.pes and tile > 1:
        raise ConfigError(
            f"{phase}: reduction_bandwidth may exceed pes only where {tile_name} is 1, "
            f"got {array.reduction_bandwidth} > {array.pes} with {tile_name} = {tile}"
        )
