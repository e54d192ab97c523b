"""Kinds of accelerators: those whose choices are predicted alike, so that a wide fleet costs what its kinds cost."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.tables.table import LatencyTable


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """The kinds of a fleet's A accelerators, of which there are G, counted as they come.

    `of` int64 [A]: each accelerator's kind; `firsts` int64 [G]: each kind's lowest accelerator; `members` int64 [A]:
    the accelerators, those of each kind together and in order; `starts` int64 [G + 1]: kind g's members are those from
    starts[g] to before starts[g + 1].
    """

    of: NDArray[np.int64]
    firsts: NDArray[np.int64] = field(init=False)
    members: NDArray[np.int64] = field(init=False)
    starts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "firsts", np.unique(self.of, return_index=True)[1])
        object.__setattr__(self, "members", np.argsort(self.of, kind="stable"))
        object.__setattr__(self, "starts", np.concatenate([[0], np.cumsum(self.sizes)]))

    @property
    def number(self) -> int:
        """Return the number of kinds G."""
        return len(self.firsts)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Return int64 [G]: the accelerators of each kind."""
        return np.bincount(self.of)


def counted(things: Iterable[Hashable]) -> tuple[int, ...]:
    """Return a number for each thing, the same for equal ones: they are counted from 0 as they come."""
    found: dict[Hashable, int] = {}
    return tuple(found.setdefault(thing, len(found)) for thing in things)


def equal_columns(*arrays: NDArray[Any]) -> tuple[int, ...]:
    """Return a number for each column of some arrays [m, n], the same for those that are equal in all of them."""
    return counted(zip(*([column.tobytes() for column in array.T] for array in arrays), strict=True))


def accelerator_kinds(table: LatencyTable, switching: NDArray[np.int64]) -> tuple[int, ...]:
    """Return each accelerator's kind: equal ones take equally long to switch, and policies know the same of them.

    That is the predictions, energies, errors and means of an accelerator's choices, in order; not the true cycles.
    `switching` int64 [A]: cycles that a change of dataflow takes.
    """
    known = [table.predicted_cycles, table.mean_log_cycles[np.newaxis]]
    known += [array for array in (table.energy_pj, table.log_errors) if array is not None]
    choices: list[list[int]] = [[] for _ in switching]
    for owner, choice in zip(table.choice_accelerators.tolist(), equal_columns(*known), strict=True):
        choices[owner].append(choice)
    return counted(zip(map(tuple, choices), switching.tolist(), strict=True))
