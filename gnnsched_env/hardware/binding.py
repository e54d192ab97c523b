"""Binding: the tiles of a dataflow for one layer on one accelerator, checked against every rule of SPEC section 1."""

from dataclasses import dataclass
from typing import Annotated

from gnnsched_env.common.checks import Integer, check_fields
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware.accelerator import Accelerator
from gnnsched_env.hardware.dataflow import Dataflow
from gnnsched_env.hardware.model import Layer
from gnnsched_env.hardware.taxonomy import Composition, Loop, PhaseOrder, Taxonomy
from gnnsched_env.hardware.tiling import Tiling

AGGREGATION_NEST = "VFN"
COMBINATION_NEST = "VGF"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseArray:
    """The part of an accelerator that one phase runs on; bandwidths in words per cycle."""

    pes: Annotated[int, Integer(0)]
    distribution_bandwidth: Annotated[int, Integer(0)]
    reduction_bandwidth: Annotated[int, Integer(0)]

    def __post_init__(self) -> None:
        check_fields(self, "phase")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundDataflow:
    """A dataflow whose tiles are known and valid for one layer on one accelerator."""

    name: str
    composition: Composition
    tiling: Tiling
    aggregation: PhaseArray
    combination: PhaseArray

    @property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy that the tiles produce: spatial where a tile exceeds 1 (`str()` prints OMEGA's notation)."""
        t_va, t_n, t_fa, t_vc, t_g, t_fc = self.tiling.as_tuple()
        return Taxonomy(
            composition=self.composition,
            aggregation=_nest(AGGREGATION_NEST, (t_va, t_fa, t_n)),
            combination=_nest(COMBINATION_NEST, (t_vc, t_g, t_fc)),
        )


def bind(dataflow: Dataflow, layer: Layer, accelerator: Accelerator) -> BoundDataflow:
    """Return the dataflow with its tiles computed.

    A dimension that the taxonomy calls temporal must get a tile of 1; a spatial one may, where the layer is narrow.
    The order must be AC and the loop nests (V,F,N) and (V,G,F), the only ones that the cost model supports. Raise
    ConfigError, naming the accelerator, the dataflow, the rule and the value, if any rule is broken.
    """
    label = f"dataflow {dataflow.name!r} on accelerator {accelerator.name!r}"
    _check_modelled(label, dataflow.taxonomy)
    array = _phase_array(label, dataflow.composition, accelerator)
    try:
        tiling = dataflow.rule.tiles(
            aggregation_width=layer.in_features,
            combination_width=layer.combination_features,
            out_features=layer.out_features,
            pes=array.pes,
        )
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from None
    _check_temporal(label, dataflow.taxonomy, tiling)
    _check_fit(label, tiling, array)
    return BoundDataflow(
        name=dataflow.name, composition=dataflow.composition, tiling=tiling, aggregation=array, combination=array
    )


def _check_modelled(label: str, taxonomy: Taxonomy) -> None:
    if taxonomy.order is not PhaseOrder.AC:
        raise ConfigError(f"{label}: the cost model supports order AC only, got {taxonomy}")
    nests = tuple("".join(loop.dimension for loop in loops) for loops in (taxonomy.aggregation, taxonomy.combination))
    if nests != (AGGREGATION_NEST, COMBINATION_NEST):
        raise ConfigError(f"{label}: the cost model supports the loop nests VFN and VGF only, got {taxonomy}")


def _check_temporal(label: str, taxonomy: Taxonomy, tiling: Tiling) -> None:
    t_va, t_n, t_fa, t_vc, t_g, t_fc = tiling.as_tuple()
    tiles = {"T_Va": t_va, "T_Fa": t_fa, "T_N": t_n, "T_Vc": t_vc, "T_G": t_g, "T_Fc": t_fc}
    loops = taxonomy.aggregation + taxonomy.combination
    for (tile, value), loop in zip(tiles.items(), loops, strict=True):
        if value > 1 and not loop.spatial:
            raise ConfigError(f"{label}: {taxonomy} is temporal in {tile}, so it must be 1, got {value}")


def _nest(dimensions: str, tiles: tuple[int, ...]) -> tuple[Loop, ...]:
    return tuple(Loop(dimension=name, spatial=tile > 1) for name, tile in zip(dimensions, tiles, strict=True))


def _phase_array(label: str, composition: Composition, accelerator: Accelerator) -> PhaseArray:
    """Return the array of one phase: the whole device, or half of it if the phases run side by side."""
    share = 2 if composition is Composition.PP else 1
    resources = {
        "pes": accelerator.pes,
        "distribution_bandwidth": accelerator.distribution_bandwidth,
        "reduction_bandwidth": accelerator.reduction_bandwidth,
    }
    for field, value in resources.items():
        if value < share:
            raise ConfigError(f"{label}: PP gives each phase half of {field}, which must be at least 2, got {value}")
    return PhaseArray(**{field: value // share for field, value in resources.items()})


def _check_fit(label: str, tiling: Tiling, array: PhaseArray) -> None:
    """Raise ConfigError if tiles exceed the array, or if a spatial reduction has more collection lines than PEs."""
    t_va, t_n, t_fa, t_vc, t_g, t_fc = tiling.as_tuple()
    products = {
        "aggregation: T_N*T_Fa": t_n * t_fa,
        "aggregation: T_Va*T_N*T_Fa": t_va * t_n * t_fa,
        "combination: T_Vc*T_G*T_Fc": t_vc * t_g * t_fc,
    }
    for rule, used in products.items():
        if used > array.pes:
            raise ConfigError(
                f"{label}: {rule} must be at most the phase's {array.pes} PEs, got {used} (tiles {tiling})"
            )
    for rule, tile in {"aggregation: T_N": t_n, "combination: T_Fc": t_fc}.items():
        if array.reduction_bandwidth > array.pes and tile > 1:
            raise ConfigError(
                f"{label}: {rule} must be 1 where reduction_bandwidth exceeds the phase's PEs, "
                f"got {tile} with {array.reduction_bandwidth} > {array.pes}"
            )
