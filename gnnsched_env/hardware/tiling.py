"""Tiles: how much of each dimension a phase processes at once, and the rules that compute them."""

from dataclasses import dataclass, fields
from typing import Annotated

from gnnsched_env.common.checks import Integer, check_fields
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware.expressions import check_expression, evaluate


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """Six tile sizes, each at least 1 (SPEC section 1).

    Aggregation holds `t_va` rows, `t_n` neighbours (reduced spatially) and `t_fa` features; combination holds `t_vc`
    rows, `t_g` output features and `t_fc` input features (reduced spatially).
    """

    t_va: Annotated[int, Integer(1)]
    t_n: Annotated[int, Integer(1)]
    t_fa: Annotated[int, Integer(1)]
    t_vc: Annotated[int, Integer(1)]
    t_g: Annotated[int, Integer(1)]
    t_fc: Annotated[int, Integer(1)]

    def __post_init__(self) -> None:
        check_fields(self, "tiling")

    def as_tuple(self) -> tuple[int, int, int, int, int, int]:
        """Return (t_va, t_n, t_fa, t_vc, t_g, t_fc)."""
        return (self.t_va, self.t_n, self.t_fa, self.t_vc, self.t_g, self.t_fc)

    def __str__(self) -> str:
        return f"{self.t_va},{self.t_n},{self.t_fa} | {self.t_vc},{self.t_g},{self.t_fc}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TileRule:
    """Six expressions over F, G, P, f and g that give the tiles of a layer on an array.

    P is the number of PEs of a phase (half the array for PP), G the output features. In the three aggregation tiles F
    is the aggregation width, in the three combination tiles the combination width (GraphSAGE: twice as wide). The
    shorthands `f` and `g` are computed once, with F the aggregation width, so that a tile shared by both phases agrees.
    Divisions floor and are at least 1.
    """

    t_va: str
    t_n: str
    t_fa: str
    t_vc: str
    t_g: str
    t_fc: str
    f: str = "min(F, P)"
    g: str = "min(G, P)"

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, check_expression(getattr(self, field.name)))

    def tiles(self, *, aggregation_width: int, combination_width: int, out_features: int, pes: int) -> Tiling:
        """Return the tiles of one layer; raise ConfigError, naming the expression, for a tile below 1."""
        given = {
            "aggregation_width": aggregation_width,
            "combination_width": combination_width,
            "out_features": out_features,
            "pes": pes,
        }
        aggregation_width, combination_width, out_features, pes = (
            Integer(1).check("tiles", name, value) for name, value in given.items()
        )
        names = {"F": aggregation_width, "G": out_features, "P": pes}
        shorthands = {"f": evaluate(self.f, names), "g": evaluate(self.g, names)}
        aggregation = names | shorthands
        combination = aggregation | {"F": combination_width}
        return Tiling(
            t_va=_tile("t_va", self.t_va, aggregation),
            t_n=_tile("t_n", self.t_n, aggregation),
            t_fa=_tile("t_fa", self.t_fa, aggregation),
            t_vc=_tile("t_vc", self.t_vc, combination),
            t_g=_tile("t_g", self.t_g, combination),
            t_fc=_tile("t_fc", self.t_fc, combination),
        )

    def to_dict(self) -> dict[str, str]:
        """Return the expressions in canonical spelling, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _tile(field: str, expression: str, names: dict[str, int]) -> int:
    value = evaluate(expression, names)
    if value < 1:
        raise ConfigError(f"tile {field} must be at least 1, but {expression!r} is {value} with {names}")
    return value
