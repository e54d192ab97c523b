"""One layer under one dataflow, every quantity: time stamps, cycles of the three compositions, access counts."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.compilation import announce_compilation
from gnnsched_env.cycles import kernels, tilings
from gnnsched_env.cycles.counts import LayerSpec, PhaseAccesses, RowTotals, count_accesses, is_one_fold
from gnnsched_env.cycles.quirks import CORRECTED, Quirks
from gnnsched_env.errors import ConfigError, GraphError
from gnnsched_env.hardware import Composition, PhaseArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerCycles:
    """All that the cost model knows of one layer; cycles, words, and time stamps int64 [V].

    `agg_sim` is the aggregation of single rows, `agg` that of tiles of T_Va rows. `pp` is None where the reference's
    formula reads outside its arrays. `gb_*` are global-buffer accesses of the compositions.
    """

    agg_sim: int
    agg: int
    cmb: int
    pp: int | None
    pp_buffers: int
    seq: int
    seq_buffers: int
    sp: int
    sp_buffers: int
    redist_saved: int
    psum_overhead: int
    gb_pp_seq: int
    gb_sp: int
    sp_psum: int
    aggregation: PhaseAccesses
    combination: PhaseAccesses
    ts_agg: IntArray
    ts_cmb: IntArray

    def cycles(self, composition: Composition) -> int:
        """Return the layer's cycles under a composition."""
        if composition is Composition.SEQ:
            return self.seq
        if composition is Composition.SP:
            return self.sp
        if self.pp is None:
            raise ConfigError("PP: the reference's formula needs V >= 2 * max(T_Va, T_Vc); use mended quirks")
        return self.pp

    def global_buffer(self, composition: Composition) -> int:
        """Return the layer's global-buffer accesses under a composition."""
        return self.gb_sp if composition is Composition.SP else self.gb_pp_seq

    def quantities(self) -> dict[str, int | None]:
        """Return every scalar by the name that the golden files use."""
        scalars = {name: getattr(self, name) for name in _SCALARS}
        for prefix, phase in (("agg", self.aggregation), ("cmb", self.combination)):
            scalars |= {f"{prefix}_{name}": getattr(phase, name) for name in PhaseAccesses.__slots__}
        return scalars


def simulate_layer(degrees: IntArray, spec: LayerSpec, *, quirks: Quirks = CORRECTED) -> LayerCycles:
    """Replay one layer, event by event, and return every quantity.

    `degrees` int64 [V]: stored entries in each row of the matrix that is aggregated over (A, or A+I). This is the
    general path: exact for every valid input and every set of quirks, in time proportional to the results written.
    """
    degrees = check_rows(degrees, spec, quirks)
    announce_compilation(tilings.replay, "the cost model's general path", 20)
    aggregation, combination = phase_layouts(spec)
    folds = kernels.row_folds(degrees, spec.tiling.t_n)
    ts_agg, agg_sim = _replay_rows(spec, aggregation, folds, quirks)
    ts_cmb, cmb = _replay_tiles(spec, combination, degrees.size, quirks)
    t_va = spec.tiling.t_va
    t_vp = max(t_va, spec.tiling.t_vc)
    clock = kernels.tile_clock(ts_agg, t_va, quirks.partial_tile_last_row)
    pipeline = kernels.literal_pipeline if quirks.literal_pp else kernels.mended_pipeline
    pp = int(pipeline(ts_agg, ts_cmb, clock, t_va, t_vp))
    totals = RowTotals(rows=degrees.size, entries=int(degrees.sum()), folds=int(folds.sum()), last_folds=int(folds[-1]))
    cycles = {"agg_sim": agg_sim, "agg": int(clock[-1]), "cmb": cmb, "pp": pp}
    return _assemble(spec, quirks, totals, cycles, (ts_agg, ts_cmb))


def check_spec(spec: LayerSpec, quirks: Quirks) -> None:
    """Refuse a layer outside the model's domain, naming the rule that it breaks."""
    tiling = spec.tiling
    for name in ("in_features", "combination_features", "out_features"):
        if getattr(spec, name) < 1:
            raise ConfigError(f"layer: {name} must be at least 1, got {getattr(spec, name)}")
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
    if quirks.empty_rows_hang and degrees.min() == 0:
        row = int(degrees.argmin())
        raise GraphError(f"row {row} has no entries, and the reference simulator never ends on it (quirk Q4)")
    if quirks.partial_tile_last_row and degrees.size == 1 and spec.tiling.t_va > 1:
        raise ConfigError(f"V = 1 needs T_Va = 1 in the reference simulator, got {spec.tiling.t_va}")
    return degrees


def as_degrees(degrees: IntArray) -> IntArray:
    """Return row degrees as contiguous int64 [V], V >= 1, none negative."""
    array = np.asarray(degrees)
    if array.ndim != 1 or array.size == 0:
        raise GraphError(f"degrees must be one-dimensional with at least one row, got shape {array.shape}")
    if array.dtype.kind not in "iu":
        raise GraphError(f"degrees must be integers, got dtype {array.dtype}")
    if array.min() < 0:
        raise GraphError(f"degrees must not be negative, got {int(array.min())}")
    return np.ascontiguousarray(array, dtype=np.int64)


def phase_layouts(spec: LayerSpec) -> tuple[tilings.PhaseLayout, tilings.PhaseLayout]:
    """Return the layouts of aggregation and combination, computed once for each tiling."""
    t, a, c = spec.tiling, spec.aggregation, spec.combination
    aggregation = _layout(a.pes, a.distribution_bandwidth, a.reduction_bandwidth, t.t_n, t.t_fa, 0)
    combination = _layout(c.pes, c.distribution_bandwidth, c.reduction_bandwidth, t.t_fc, t.t_vc * t.t_g, t.t_g)
    return aggregation, combination


def phase_links(spec: LayerSpec) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return for each phase the distribution links of a fold's weights and of a step's inputs."""
    aggregation, combination = (layout.links.tolist() for layout in phase_layouts(spec))
    return (aggregation[0], aggregation[1]), (combination[0], combination[1])


_SCALARS = tuple(
    name for name in LayerCycles.__slots__ if name not in ("aggregation", "combination", "ts_agg", "ts_cmb")
)


@lru_cache(maxsize=4096)
def _layout(pe: int, dn: int, rn: int, size: int, clusters: int, columns: int) -> tilings.PhaseLayout:
    return tilings.phase_layout(pe, dn, rn, size, clusters, columns)


def _check_array(phase: str, array: PhaseArray, tile_name: str, tile: int) -> None:
    widths = {
        "pes": array.pes,
        "distribution_bandwidth": array.distribution_bandwidth,
        "reduction_bandwidth": array.reduction_bandwidth,
    }
    for name, value in widths.items():
        if value < 1 or value & (value - 1):
            raise ConfigError(f"{phase}: {name} must be a power of two, got {value}")
    if array.distribution_bandwidth > array.pes:
        raise ConfigError(
            f"{phase}: distribution_bandwidth must be at most pes, got {array.distribution_bandwidth} > {array.pes}"
        )
    if array.reduction_bandwidth > array.pes and tile > 1:
        raise ConfigError(
            f"{phase}: reduction_bandwidth may exceed pes only where {tile_name} is 1, "
            f"got {array.reduction_bandwidth} > {array.pes} with {tile_name} = {tile}"
        )


def _replay_rows(spec: LayerSpec, layout: tilings.PhaseLayout, folds: IntArray, quirks: Quirks) -> tuple[IntArray, int]:
    """Return (ts_agg, agg_sim): rows are serial, each after a configuration cycle."""
    t_fa = spec.tiling.t_fa
    groups = -(-spec.in_features // t_fa)
    slots = np.full(t_fa, -1, np.int64)
    slots[(spec.in_features - 1) % t_fa] = 0
    stamps = np.zeros(folds.size, np.int64)
    pointers = np.zeros(layout.line_ptr.size - 1, np.int64)
    halve = quirks.write_halving
    end = tilings.replay(layout, folds, groups, groups * t_fa, 1, halve, pointers, slots, 1, stamps)
    return stamps, int(end)


def _replay_tiles(spec: LayerSpec, layout: tilings.PhaseLayout, rows: int, quirks: Quirks) -> tuple[IntArray, int]:
    """Return (ts_cmb, cmb)."""
    t_vc, t_g, g = spec.tiling.t_vc, spec.tiling.t_g, spec.out_features
    groups = -(-g // t_g)
    slots = np.full(t_vc * t_g, -1, np.int64)
    slots[(g - 1) % t_g :: t_g] = np.arange(t_vc)
    jobs = -(-rows // t_vc)
    folds = np.full(jobs, -(-spec.combination_features // spec.tiling.t_fc), np.int64)
    stamps = np.zeros(jobs * t_vc, np.int64)
    pointers = np.zeros(layout.line_ptr.size - 1, np.int64)
    threshold = t_vc * (g if quirks.early_launch else groups * t_g)
    halve = quirks.write_halving
    end = tilings.replay(layout, folds, groups, threshold, 0, halve, pointers, slots, t_vc, stamps)
    return stamps[:rows], int(end)


def _assemble(
    spec: LayerSpec,
    quirks: Quirks,
    totals: RowTotals,
    cycles: dict[str, int],
    stamps: tuple[IntArray, IntArray],
) -> LayerCycles:
    """Compose the two phases and count accesses."""
    accesses = count_accesses(spec, totals, phase_links(spec), literal_sp=quirks.literal_sp)
    t_va, t_vc, array = spec.tiling.t_va, spec.tiling.t_vc, spec.combination
    row_tiles, folds = -(-totals.rows // t_vc), -(-spec.combination_features // spec.tiling.t_fc)
    numbers = dict(cycles)
    numbers["pp_buffers"] = 2 * max(t_va, t_vc) * spec.in_features
    numbers["seq"] = cycles["agg"] + cycles["cmb"]
    numbers["seq_buffers"] = totals.rows * spec.in_features
    numbers["sp_buffers"] = spec.out_features * t_vc * folds
    numbers["redist_saved"] = row_tiles * folds * array.pes // array.distribution_bandwidth
    one_fold = is_one_fold(spec, literal_sp=quirks.literal_sp)
    numbers["psum_overhead"] = 0 if one_fold else -(-numbers["sp_buffers"] // array.pes) * row_tiles
    sp = numbers["seq"] - numbers["redist_saved"] + numbers["psum_overhead"]
    numbers["sp"] = sp if quirks.literal_sp else max(sp, cycles["agg"], cycles["cmb"])
    numbers |= {name: getattr(accesses, name) for name in ("gb_pp_seq", "gb_sp", "sp_psum")}
    aggregation, combination = accesses.aggregation, accesses.combination
    if quirks.wrap_32_bit:
        numbers = {name: (value + 2**31) % 2**32 - 2**31 for name, value in numbers.items()}
        aggregation, combination = aggregation.wrapped(), combination.wrapped()
    undefined = quirks.literal_pp and totals.rows < 2 * max(t_va, t_vc)
    pp = numbers.pop("pp")
    return LayerCycles(
        **numbers,
        pp=None if undefined else pp,
        aggregation=aggregation,
        combination=combination,
        ts_agg=stamps[0],
        ts_cmb=stamps[1],
    )
