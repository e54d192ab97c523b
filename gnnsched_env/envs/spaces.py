"""The structure of observations and actions: the `Layout`, and the Gymnasium spaces that follow from it."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


class SlotFields(NamedTuple):
    """Places of a slot's fields in `slots`, by name."""

    present: int
    waited: int
    shortest: int
    longest: int
    weight: int
    due: int


class AcceleratorFields(NamedTuple):
    """Places of an accelerator's fields in `accelerators`, by name."""

    busy: int
    remaining: int
    queued: int
    configured: int
    up: int
    preferred_share: int
    price: int
    down_for: int
    switching: int


class SystemFields(NamedTuple):
    """Places in `system`, by name."""

    in_system: int
    waiting: int
    behind: int
    behind_work: int
    waiting_work: int
    recent_gap: int
    to_come: int
    elapsed: int


# The one declaration of an observation's fields: `encoder.py` writes them and policies read them by these names.
SLOT_FIELDS, ACCELERATOR_FIELDS, SYSTEM_FIELDS = SlotFields._fields, AcceleratorFields._fields, SystemFields._fields
SLOT = SlotFields(*range(len(SLOT_FIELDS)))
ACCELERATOR = AcceleratorFields(*range(len(ACCELERATOR_FIELDS)))
SYSTEM = SystemFields(*range(len(SYSTEM_FIELDS)))
# Of what the fields mean; a field that is added changes no other's meaning, and leaves the version as it is.
OBSERVATION_VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The shape of one environment's observations and actions, with all that is needed to decode and encode them.

    `window` slots, `choice_accelerators` (the accelerator of each choice), `mean_log_cycles` (of each choice over the
    predictor's training set: all that a policy without latencies knows), `choice_names`; `dispatch` is True for
    Dispatch-v0 and False for Queue-v0; `choose_dataflow` is False if an action names slot and accelerator only and the
    dataflow is the predicted best. `wait_by_choice`: Queue-v0 has no action that waits; naming a busy accelerator does.
    `shows_energy`: the observation also has an array of energies (if the reward charges
    energy). `columns` is the number of actions per slot; `column_accelerators` int64 [columns] the accelerator of each.
    """

    window: int
    choice_accelerators: tuple[int, ...]
    mean_log_cycles: tuple[float, ...]
    choice_names: tuple[str, ...]
    dispatch: bool
    choose_dataflow: bool
    shows_energy: bool = False
    wait_by_choice: bool = False
    column_accelerators: NDArray[np.int64] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        owners = self.choice_accelerators if self.choose_dataflow else range(self.num_accelerators)
        object.__setattr__(self, "column_accelerators", np.array(owners, np.int64))

    @property
    def num_choices(self) -> int:
        """Return the number of (accelerator, dataflow) pairs."""
        return len(self.choice_accelerators)

    @property
    def num_accelerators(self) -> int:
        """Return the number of accelerators."""
        return max(self.choice_accelerators) + 1

    @property
    def columns(self) -> int:
        """Return the number of actions that a slot has."""
        return len(self.column_accelerators)

    @property
    def num_actions(self) -> int:
        """Return the size of the action space; in Queue-v0 the last action waits (but under `wait_by_choice`)."""
        return self.columns if self.dispatch else self.window * self.columns + (not self.wait_by_choice)

    @property
    def wait_action(self) -> int:
        """Return the action that waits for the next event; -1 where there is none (Dispatch-v0, `wait_by_choice`)."""
        return -1 if self.dispatch or self.wait_by_choice else self.num_actions - 1

    @property
    def static_choices(self) -> tuple[int, ...]:
        """Return, for each accelerator, the choice that a policy without latencies uses: the best on average."""
        best = [-1] * self.num_accelerators
        for choice, owner in enumerate(self.choice_accelerators):
            if best[owner] < 0 or self.mean_log_cycles[choice] < self.mean_log_cycles[best[owner]]:
                best[owner] = choice
        return tuple(best)

    @property
    def static_columns(self) -> NDArray[np.int64]:
        """Return int64 [A]: for each accelerator, the column of its static choice."""
        return np.array(self.static_choices if self.choose_dataflow else range(self.num_accelerators), np.int64)

    @property
    def sizes(self) -> dict[str, int]:
        """Return the length of each observation array."""
        sizes = {
            "slots": self.window * len(SLOT_FIELDS),
            "latencies": self.window * self.num_choices,
            "accelerators": self.num_accelerators * len(ACCELERATOR_FIELDS),
            "system": len(SYSTEM_FIELDS),
        }
        return {**sizes, "energies": self.window * self.num_choices} if self.shows_energy else sizes

    def observation_space(self) -> spaces.Dict:
        """Return the Dict space of one lane's observation: float32 in [0, 1]."""
        return spaces.Dict({name: spaces.Box(0.0, 1.0, (size,), np.float32) for name, size in self.sizes.items()})

    def action_space(self) -> spaces.Discrete:
        """Return the Discrete space of one lane's action."""
        return spaces.Discrete(self.num_actions)
