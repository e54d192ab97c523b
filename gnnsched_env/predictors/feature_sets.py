"""Feature sets as columns for a regressor: the nested sets S1..S6 of the ablation, and the set "terms"."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import OneOf
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import Composition
from gnnsched_env.predictors.closed_form import TERM_NAMES
from gnnsched_env.predictors.datasets.labelled_layers import Inputs
from gnnsched_env.predictors.features import feature_names
from gnnsched_env.predictors.levels import Level
from gnnsched_env.tables import Pair

FloatArray = NDArray[np.float64]


class Terms(StrEnum):
    """The closed-form cycles in a feature set, which residuals are relative to."""

    NONE = "none"
    METADATA = "metadata"
    DEGREES = "degrees"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """A set of features, with closed-form terms."""

    name: str
    level: Level
    features: tuple[str, ...]
    terms: Terms

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of `columns`, for one pair."""
        if self.terms is Terms.NONE:
            return self.features
        combination, cycles = TERM_NAMES
        return (*self.features, f"log_{cycles}", f"log_{combination}_share")

    def estimates(self, inputs: Inputs) -> FloatArray:
        """Return float64 [N, P]: the closed-form cycles that a residual corrects."""
        return self._terms(inputs)[:, :, TERM_NAMES.index("cycles")]

    def columns(self, inputs: Inputs, pair: int) -> FloatArray:
        """Return float64 [N, len(column_names)] for one pair."""
        if inputs.level.rank < self.level.rank:
            raise ConfigError(f"feature set {self.name} needs level {self.level}, got inputs of level {inputs.level}")
        known = feature_names(inputs.level)
        chosen = inputs.features[:, [known.index(name) for name in self.features]]
        if self.terms is Terms.NONE:
            return chosen
        logs = np.log(self._terms(inputs)[:, pair])
        return np.column_stack([chosen, logs[:, 1], logs[:, 0] - logs[:, 1]])

    def _terms(self, inputs: Inputs) -> FloatArray:
        if self.terms is Terms.NONE:
            raise ConfigError(f"feature set {self.name} has no closed-form terms; its target must be 'log'")
        return inputs.degree_terms if self.terms is Terms.DEGREES else inputs.metadata_terms


def _sets() -> dict[str, FeatureSet]:
    metadata, degrees = feature_names(Level.METADATA), feature_names(Level.DEGREES)
    structure = feature_names(Level.STRUCTURE)
    laws = tuple(name for name in degrees if not name.startswith(("fold_waste", "imbalance")))
    rows = (
        ("S1", Level.METADATA, metadata, Terms.NONE),
        ("S2", Level.METADATA, metadata, Terms.METADATA),
        ("S3", Level.DEGREES, laws, Terms.METADATA),
        ("S4", Level.DEGREES, degrees, Terms.METADATA),
        ("S5", Level.DEGREES, degrees, Terms.DEGREES),
        ("S6", Level.STRUCTURE, structure, Terms.DEGREES),
        ("terms", Level.DEGREES, metadata, Terms.DEGREES),
    )
    return {
        name: FeatureSet(name=name, level=level, features=features, terms=terms)
        for name, level, features, terms in rows
    }


FEATURE_SETS = _sets()
"""S1: sizes and widths. S2: and closed-form cycles of rows of equal degree. S3: and the law of the degrees (moments,
shares, quantiles). S4: and fold waste and row-tile imbalance. S5: and closed-form cycles of the degrees. S6: and
structure. "terms": S2 with the closed form of the degrees, and no other feature of them."""


def feature_set(name: str) -> FeatureSet:
    """Return a set by name."""
    return FEATURE_SETS[OneOf(tuple(FEATURE_SETS)).check("regression", "feature set", name)]


def pair_columns(pairs: Sequence[Pair]) -> FloatArray:
    """Return float64 [P, 4 + dataflows]: log2 of PEs and bandwidths, composition, and which dataflow (by name) it is.

    These columns describe the pair to a regressor for all pairs.
    """
    names = sorted({dataflow.name for _, dataflow in pairs})
    order = list(Composition)
    rows = [
        [
            np.log2(accelerator.pes),
            np.log2(accelerator.distribution_bandwidth),
            np.log2(accelerator.reduction_bandwidth),
            float(order.index(dataflow.composition)),
            *(float(dataflow.name == name) for name in names),
        ]
        for accelerator, dataflow in pairs
    ]
    return np.array(rows)
