"""OMEGA's taxonomy of two-phase dataflows: `PP_AC(VtFsNt, VsGsFt)`, parsed and formatted.

`PP` is the composition of the phases, `AC` their order (aggregation then combination; `CA` the reverse), then the loop
nests of aggregation and combination, outermost first, each dimension marked `s` (spatial: several lanes at once) or `t`
(temporal: one after another). Taxonomy: Garg et al., "Understanding the Design Space of Sparse/Dense Multiphase GNN
Dataflows on Spatial Accelerators", IPDPS 2022.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from gnnsched_env.common.errors import ConfigError


class Composition(StrEnum):
    """How the two phases share the array in time."""

    SEQ = "Seq"  # one phase after the other, the whole intermediate matrix kept
    SP = "SP"  # sequential pipeline: one tile at a time passes from phase to phase on the same PEs
    PP = "PP"  # parallel pipeline: each phase has its own half of the PEs


class PhaseOrder(StrEnum):
    """Which phase comes first."""

    AC = "AC"
    CA = "CA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """One loop of a nest: dimension V, N, F or G, spatial or temporal."""

    dimension: str
    spatial: bool

    def __str__(self) -> str:
        return self.dimension + ("s" if self.spatial else "t")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """A parsed taxonomy; `str()` of it is the canonical spelling, and `parse(str(t)) == t`."""

    composition: Composition
    order: PhaseOrder = PhaseOrder.AC
    aggregation: tuple[Loop, ...]
    combination: tuple[Loop, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "composition", Composition(self.composition))
        object.__setattr__(self, "order", PhaseOrder(self.order))
        for phase in ("aggregation", "combination"):
            loops = tuple(getattr(self, phase))
            object.__setattr__(self, phase, loops)
            self._check_dimensions(phase, "".join(loop.dimension for loop in loops))

    @classmethod
    def parse(cls, text: str) -> "Taxonomy":
        """Parse `Seq_AC(VtFsNt, VsGsFt)`; blanks around the comma are free."""
        match = _TAXONOMY.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise ConfigError(
                f"taxonomy must look like 'PP_AC(VtFsNt, VsGsFt)', with Seq, SP or PP, AC or CA, and three loops "
                f"a phase marked s or t; got {text!r}"
            )
        composition, order, aggregation, combination = match.groups()
        return cls(
            composition=Composition(composition),
            order=PhaseOrder(order),
            aggregation=_loops(aggregation),
            combination=_loops(combination),
        )

    def __str__(self) -> str:
        aggregation, combination = ("".join(map(str, loops)) for loops in (self.aggregation, self.combination))
        return f"{self.composition}_{self.order}({aggregation}, {combination})"

    def _check_dimensions(self, phase: str, dimensions: str) -> None:
        allowed = _DIMENSIONS[self.order][phase]
        if "".join(sorted(dimensions)) not in allowed:
            names = " or ".join(",".join(name) for name in allowed)
            raise ConfigError(f"taxonomy {self}: the {phase} loops of {self.order} are {names}; got {dimensions!r}")


_TAXONOMY = re.compile(r"(Seq|SP|PP)_(AC|CA)\(\s*((?:[VNFG][st]){3})\s*,\s*((?:[VNFG][st]){3})\s*\)")
# Sorted letters. In CA order aggregation runs over combined features (G, or F as some papers write it), and the
# combined vertices are the neighbours, so that N may stand for V.
_DIMENSIONS: dict[PhaseOrder, dict[str, tuple[str, ...]]] = {
    PhaseOrder.AC: {"aggregation": ("FNV",), "combination": ("FGV",)},
    PhaseOrder.CA: {"aggregation": ("GNV", "FNV"), "combination": ("FGV", "FGN")},
}


def _loops(text: str) -> tuple[Loop, ...]:
    return tuple(Loop(dimension=text[i], spatial=text[i + 1] == "s") for i in range(0, len(text), 2))
