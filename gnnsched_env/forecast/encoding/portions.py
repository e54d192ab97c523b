"""Some configurations of a program: what is trained on, and what is held back. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Number
from gnnsched_env.forecast.encoding.samples import Sample

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HELD_SHARE = 0.1
FEW_PROGRAMS = 5
"""With fewer, some configurations of each are held back instead of whole programs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portion:
    """Some configurations of a sample (places int64 [k]; None: all), to train on or to validate with."""

    sample: Sample
    rows: IntArray | None = None

    @property
    def places(self) -> IntArray:
        """The places of its configurations in the sample, int64 [k]."""
        return np.arange(self.sample.num_configs) if self.rows is None else np.asarray(self.rows, np.int64)

    @property
    def targets(self) -> FloatArray:
        """The targets of its configurations, float64 [k]."""
        targets: FloatArray = self.sample.targets[self.places]
        return targets

    @property
    def rankable(self) -> bool:
        """Whether there is an order to learn: two different targets, which unlabelled files do not have."""
        return len(np.unique(self.targets)) > 1


def whole(sample: Sample) -> Portion:
    """Return all configurations of a sample."""
    return Portion(sample=sample)


def part_of_rows(sample: Sample, rows: IntArray) -> Portion:
    """Return the configurations of some of the file's rows; duplicates count once."""
    return Portion(sample=sample, rows=np.unique(sample.groups[rows]))


def hold_back(
    parts: Sequence[Portion], *, share: float = HELD_SHARE, seed: int = 0
) -> tuple[list[Portion], list[Portion]]:
    """Return (to train on, to validate with) of what has something to rank, drawn with the seed.

    Of at least FEW_PROGRAMS programs a `share` is held back whole, else that share of each one's different
    configurations (at least two, and at most half).
    """
    Number(above=0, below=1).check("forecast training", "share", share)
    rankable = [part for part in parts if part.rankable]
    rng = np.random.default_rng((seed, 3))
    if len(rankable) >= FEW_PROGRAMS:
        order = rng.permutation(len(rankable))
        held = set(order[: max(1, round(share * len(rankable)))].tolist())
        return [p for k, p in enumerate(rankable) if k not in held], [rankable[k] for k in sorted(held)]
    train, kept = [], []
    for part in rankable:
        order = rng.permutation(part.places)
        count = min(max(2, round(share * len(order))), len(order) // 2)
        train.append(Portion(sample=part.sample, rows=np.sort(order[count:])))
        kept.append(Portion(sample=part.sample, rows=np.sort(order[:count])))
    return train, kept
