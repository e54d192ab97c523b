"""Batches of different scenarios as one: their lanes follow each other, each batch writes its part of the arrays."""

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import BoolArray
from gnnsched_env.envs.env_batch import EnvBatch, Outputs
from gnnsched_env.envs.spaces import Layout
from gnnsched_env.sim import EpisodeMetrics
from gnnsched_env.tables.kinds import counted


class JoinedBatch:
    """The lanes of several batches, one batch after the other; attributes and methods are those of `EnvBatch`.

    Raise ConfigError unless all observe and act alike.
    """

    def __init__(self, parts: Sequence[EnvBatch]) -> None:
        self.parts = tuple(parts)
        self.layout = self.parts[0].layout
        shown = self.layout.action_space(), self.layout.observation_space()
        for number, part in enumerate(self.parts):
            if (part.layout.action_space(), part.layout.observation_space()) != shown:
                names = [
                    entry.name
                    for entry in fields(Layout)
                    if entry.compare and entry.name not in ("mean_log_cycles", "kinds")
                ]
                pairs = {name: (getattr(part.layout, name), getattr(self.layout, name)) for name in names}
                differ = [f"{name} {own} and {first}" for name, (own, first) in pairs.items() if own != first]
                raise ConfigError(
                    "scenarios of one batch must have equal observations and actions, but number "
                    f"{number} and number 0 have {', '.join(differ)}"
                )
        self.layout = replace(self.layout, kinds=_common_kinds([part.layout.kinds for part in self.parts]))
        ends = accumulate((part.simulation.num_lanes for part in self.parts), initial=0)
        self.ranges = [slice(*own) for own in pairwise(ends)]
        outputs = Outputs.of(self.layout, self.ranges[-1].stop)
        for part, own in zip(self.parts, self.ranges, strict=True):
            part.write_into(outputs.part(own.start, own.stop))
        self.observation, self.observed, self.mask = outputs.observation, outputs.observed, outputs.mask
        self.rewards, self.ended, self.legal = outputs.rewards, outputs.ended, outputs.legal
        self.elapsed, self.times = outputs.elapsed, outputs.times

    def __reduce__(self) -> Any:
        return _joined, (self.parts,)

    def reset(self, seeds: NDArray[np.uint64], episodes: NDArray[np.uint64], which: BoolArray) -> None:
        """Start an episode in each lane where `which` is True, keyed by its seed and episode number."""
        for part, own in zip(self.parts, self.ranges, strict=True):
            if which[own].any():
                part.reset(seeds[own], episodes[own], which[own])

    def step(self, actions: NDArray[np.int64]) -> None:
        """Take one action per lane and run each lane to its next decision."""
        for part, own in zip(self.parts, self.ranges, strict=True):
            part.step(actions[own])

    def episode(self, lane: int) -> EpisodeMetrics:
        """Return the metrics of a lane's finished episode."""
        number = next(number for number, own in enumerate(self.ranges) if lane < own.stop)
        return self.parts[number].episode(lane - self.ranges[number].start)


def _common_kinds(kinds: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the kinds of accelerators that are of one kind in every part; none are where fleets differ in size."""
    alike = all(len(own) == len(kinds[0]) for own in kinds)
    return counted(zip(*kinds, strict=True)) if alike else tuple(range(len(kinds[0])))


def _joined(parts: Sequence[EnvBatch]) -> JoinedBatch:
    """Return copied parts joined again, with what they observe at present."""
    joined = JoinedBatch(parts)
    for part in joined.parts:
        part.observe_anew()
    return joined
