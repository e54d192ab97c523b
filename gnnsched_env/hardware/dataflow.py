"""Dataflows: a taxonomy in OMEGA's notation, and a tile rule."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Self

from gnnsched_env.common.checks import Text, check_fields, checked_dict
from gnnsched_env.hardware.taxonomy import Composition, Taxonomy
from gnnsched_env.hardware.tiling import TileRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataflow:
    """A named way to run a GNN layer: taxonomy and tile rule.

    `binding.bind` computes its tiles for a layer on an accelerator.
    """

    name: Annotated[str, Text(without="/")]
    taxonomy: Taxonomy
    rule: TileRule

    def __post_init__(self) -> None:
        check_fields(self, "dataflow")
        if isinstance(self.taxonomy, str):
            object.__setattr__(self, "taxonomy", Taxonomy.parse(self.taxonomy))

    @property
    def composition(self) -> Composition:
        """The composition of the two phases: Seq, SP or PP."""
        return self.taxonomy.composition

    def to_dict(self) -> dict[str, object]:
        """Return everything that defines the dataflow, for hashing and printing."""
        return {"name": self.name, "taxonomy": str(self.taxonomy), "rule": self.rule.to_dict()}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the dataflow that `to_dict` described; raise ConfigError, naming the key, where it is bad."""
        given = checked_dict("dataflow", data, ("name", "taxonomy", "rule"))
        rule = checked_dict("dataflow: rule", given["rule"], tuple(entry.name for entry in fields(TileRule)))
        return cls(name=given["name"], taxonomy=Taxonomy.parse(given["taxonomy"]), rule=TileRule(**rule))
