"""Access counts of one layer: global buffer, register files, distribution links. Counts, not energy."""

from dataclasses import dataclass, fields
from typing import Annotated

from gnnsched_env.common.checks import Integer, check_fields
from gnnsched_env.hardware import PhaseArray, Tiling


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """One layer as run on the hardware: widths, tiles, and the part of the accelerator that each phase runs on.

    `combination_features` differs from `in_features` where a layer concatenates (GraphSAGE: twice as wide).
    """

    in_features: Annotated[int, Integer(0)]
    combination_features: Annotated[int, Integer(0)]
    out_features: Annotated[int, Integer(0)]
    tiling: Tiling
    aggregation: PhaseArray
    combination: PhaseArray

    def __post_init__(self) -> None:
        check_fields(self, "layer")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseAccesses:
    """Words moved in one phase: sram = global buffer, rf = register files of the PEs; dn_links = links crossed."""

    sram_w: int
    sram_in: int
    sram_pr: int
    sram_pw: int
    rf_wr: int
    rf_ww: int
    rf_ir: int
    rf_iw: int
    rf_pr: int
    rf_pw: int
    dn_links: int

    @property
    def global_buffer(self) -> int:
        """All words read from and written to the global buffer."""
        return self.sram_w + self.sram_in + self.sram_pr + self.sram_pw

    @property
    def register_file(self) -> int:
        """All register-file accesses."""
        return self.rf_wr + self.rf_ww + self.rf_ir + self.rf_iw + self.rf_pr + self.rf_pw

    def wrapped(self) -> "PhaseAccesses":
        """Return the counts wrapped to 32-bit unsigned integers."""
        return PhaseAccesses(**{f.name: getattr(self, f.name) % 2**32 for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTotals:
    """The totals of a graph that the counts need: rows V, stored entries E, folds of all rows and of the last row."""

    rows: int
    entries: int
    folds: int
    last_folds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerAccesses:
    """A layer's counts: each phase, the global buffer of PP or Seq, that of SP, and SP's partial sums within it."""

    aggregation: PhaseAccesses
    combination: PhaseAccesses
    gb_pp_seq: int
    gb_sp: int
    sp_psum: int


Links = tuple[int, int]


def count_accesses(
    spec: LayerSpec, totals: RowTotals, links: tuple[Links, Links], *, literal_sp: bool
) -> LayerAccesses:
    """Count a layer's accesses; `links` of each phase = links of a fold's weights, of a step's inputs.

    SP keeps the V x F intermediate on the array; a layer that concatenates still reads its vertices' own features.
    """
    aggregation = _aggregation_accesses(spec, totals, links[0])
    combination = _combination_accesses(spec, totals, links[1])
    width = spec.combination_features
    psum = 0
    if not is_one_fold(spec, literal_sp=literal_sp):
        psum = 2 * spec.out_features * totals.rows * _ceil(width, spec.tiling.t_fc)
    streamed = combination.sram_in + combination.sram_pw + aggregation.sram_w + aggregation.sram_in
    return LayerAccesses(
        aggregation=aggregation,
        combination=combination,
        gb_pp_seq=aggregation.global_buffer + combination.global_buffer,
        gb_sp=streamed + psum + totals.rows * (width - spec.in_features),
        sp_psum=psum,
    )


def is_one_fold(spec: LayerSpec, *, literal_sp: bool) -> bool:
    """Return whether SP keeps no partial sums: T_Fc covers the width (in the reference simulator: equals it)."""
    width = spec.combination_features
    return spec.tiling.t_fc == width if literal_sp else spec.tiling.t_fc >= width


def _aggregation_accesses(spec: LayerSpec, totals: RowTotals, links: Links) -> PhaseAccesses:
    """Count the aggregation's accesses; `links` = distribution links of a fold's weights, of a step's inputs."""
    groups = _ceil(spec.in_features, spec.tiling.t_fa)
    used = spec.tiling.t_n * spec.tiling.t_fa
    return PhaseAccesses(
        sram_w=totals.entries,
        sram_in=totals.entries * spec.in_features,
        sram_pr=0,
        sram_pw=totals.rows * spec.in_features,
        dn_links=totals.folds * (links[0] + groups * links[1]),
        **_register_file(used, totals.folds, totals.last_folds, groups),
    )


def _combination_accesses(spec: LayerSpec, totals: RowTotals, links: Links) -> PhaseAccesses:
    """Count the combination's accesses, the inputs of padded columns included; `links` as for the aggregation."""
    tiling = spec.tiling
    row_tiles = _ceil(totals.rows, tiling.t_vc)
    groups = _ceil(spec.out_features, tiling.t_g)
    job_folds = _ceil(spec.combination_features, tiling.t_fc)
    used = tiling.t_vc * tiling.t_g * tiling.t_fc
    return PhaseAccesses(
        sram_w=totals.rows * spec.combination_features,
        sram_in=row_tiles * groups * tiling.t_g * spec.combination_features,
        sram_pr=0,
        sram_pw=totals.rows * spec.out_features,
        dn_links=job_folds * row_tiles * (links[0] + groups * links[1]),
        **_register_file(used, job_folds * row_tiles, job_folds, groups),
    )


def _register_file(used: int, folds: int, last_folds: int, groups: int) -> dict[str, int]:
    steps = used * folds * groups
    return {
        "rf_wr": steps + used * (folds - last_folds),
        "rf_ww": used * folds,
        "rf_ir": steps,
        "rf_iw": steps,
        "rf_pr": steps,
        "rf_pw": 0,
    }


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
