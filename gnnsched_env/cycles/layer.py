"""One layer under one dataflow, every quantity: time stamps, cycles of the three compositions, access counts."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.cycles import cost_kernels as kernels
from gnnsched_env.cycles import tilings
from gnnsched_env.cycles.counts import LayerSpec, PhaseAccesses, RowTotals, count_accesses, is_one_fold
from gnnsched_env.cycles.domain import check_rows
from gnnsched_env.cycles.quirks import CORRECTED, Quirks
from gnnsched_env.hardware import Composition

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerCycles:
    """All quantities that the cost model computes for one layer; cycles, words, and time stamps int64 [V].

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
    Bounds of the input: docs/reference/cycles.md.
    """
    degrees = check_rows(degrees, spec, quirks)
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


QUANTITIES = (*_SCALARS, *(f"{phase}_{name}" for phase in ("agg", "cmb") for name in PhaseAccesses.__slots__))


@lru_cache(maxsize=4096)
def _layout(pe: int, dn: int, rn: int, size: int, clusters: int, columns: int) -> tilings.PhaseLayout:
    return tilings.phase_layout(pe, dn, rn, size, clusters, columns)


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
