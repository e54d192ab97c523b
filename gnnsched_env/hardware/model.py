"""GNN models as the cost model sees them: the widths of every layer, and whether it aggregates over A or A+I."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from gnnsched_env.common.checks import Flag, Integer, ListOf, OneOf, Text, check_fields
from gnnsched_env.common.errors import ConfigError

MODEL_KINDS = ("gcn", "gin", "sage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer: aggregation of `in_features` wide rows, then a GEMM of `combination_features` x `out_features`.

    The aggregation runs over A+I if `self_loops` is true (an existing loop is not doubled), otherwise over A.
    """

    in_features: Annotated[int, Integer(1)]
    combination_features: Annotated[int, Integer(1)]
    out_features: Annotated[int, Integer(1)]
    self_loops: Annotated[bool, Flag()]

    def __post_init__(self) -> None:
        check_fields(self, "layer")

    def to_dict(self) -> dict[str, object]:
        """Return the fields, for hashing and printing."""
        return {
            "in_features": self.in_features,
            "combination_features": self.combination_features,
            "out_features": self.out_features,
            "self_loops": self.self_loops,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GnnModel:
    """A named stack of layers, in which each layer's input width is the output width of the layer before."""

    name: Annotated[str, Text(without="/")]
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        check_fields(self, "model")
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers:
            raise ConfigError(f"model {self.name!r}: layers must not be empty")
        for i, (before, after) in enumerate(itertools.pairwise(self.layers)):
            if before.out_features != after.in_features:
                raise ConfigError(
                    f"model {self.name!r}: in_features of layer {i + 1} must equal out_features of layer {i}, "
                    f"got {after.in_features} and {before.out_features}"
                )

    @property
    def in_features(self) -> int:
        """The width of a vertex's input features."""
        return self.layers[0].in_features

    @property
    def out_features(self) -> int:
        """The width of a vertex's output."""
        return self.layers[-1].out_features

    def to_dict(self) -> dict[str, object]:
        """Return name and layers, for hashing and printing."""
        return {"name": self.name, "layers": [layer.to_dict() for layer in self.layers]}


def make_model(kind: str, in_features: int, out_features: int, hidden: Sequence[int] = (16,)) -> GnnModel:
    """Build a model of `len(hidden) + 1` layers of one kind.

    "gcn" aggregates over A+I; "gin" too (eps = 0, its MLP being one linear layer), so that its cost equals GCN's;
    "sage" aggregates over A and concatenates the vertex's own features, so that its combination is twice as wide.
    """
    OneOf(MODEL_KINDS).check("model", "kind", kind)
    width = Integer(1)
    widths = [
        width.check("model", "in_features", in_features),
        *ListOf(width).check("model", "hidden", hidden),
        width.check("model", "out_features", out_features),
    ]
    sage = kind == "sage"
    layers = tuple(
        Layer(
            in_features=width,
            combination_features=2 * width if sage else width,
            out_features=next_width,
            self_loops=not sage,
        )
        for width, next_width in itertools.pairwise(widths)
    )
    return GnnModel(name=kind, layers=layers)
