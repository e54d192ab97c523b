"""The structure of observations and actions: the `Layout`, and the Gymnasium spaces that follow from it."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gnnsched_env.tables.kinds import Kinds
from gnnsched_env.tables.shrinkage import Shrinkage


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
    count_to_come: int
    elapsed: int


class PairFields(NamedTuple):
    """Places of an action's features in its row of the observation "pairs", by name.

    A pair is a job of the window and what the action's column names: an accelerator, or one of its choices. Times are
    in mean services (the workload's mean best predicted latency), as log2(1 + time) / 4; ratios are log2(ratio) / 4.
    All are kept in [-PAIR_BOUND, PAIR_BOUND].
    """

    wait: int  # 1 in the row of the action that waits
    # of the pair, 0 in the row that waits unless said otherwise
    latency: int  # ratio of its latency to a mean service
    regret: int  # ratio of its latency to the job's smallest
    energy: int  # ratio of its energy to the job's least, where energy is charged; else 0
    over_shortest: int  # ratio of its latency to the smallest of the jobs shown under this column
    shorter: int  # share of the jobs shown that are shorter under this column
    suited: int  # share of the jobs shown whose regret under this column is smaller
    switching: int  # time to change the accelerator's dataflow, if it has to
    elsewhere: int  # ratio of the soonest completion on another accelerator to its own; waiting: the rows' largest
    free_meanwhile: int  # share of the other accelerators that are free before it would be done
    arrivals_meanwhile: int  # log2(1 + jobs) / 4: arrivals until it would be done; waiting: until the next completion
    # of the job
    age: int  # time since it arrived
    weight: int  # ratio of its weight to 1
    slack: int  # s / (1 + |s|), s the time from its completion here until its deadline; 1 without a deadline
    best_remaining: int  # time until the accelerator of its smallest latency is free
    best_work: int  # time that the waiting jobs whose smallest latency is on that accelerator take there
    # of the accelerator
    idle: int  # 1 if it is up and runs nothing
    up: int  # 1 if it is up
    remaining: int  # time until it is free; waiting: until the next completion
    queued: int  # jobs in its own queue, n / (n + 8)
    price: int  # its share of the capacity program's dual prices, times the number of accelerators
    preferred_share: int  # share of the waiting work whose smallest latency is on it
    preferred_work: int  # time that this work takes
    # of the lane, in every legal row
    waiting: int  # jobs that wait, n / (n + 8)
    behind: int  # jobs that wait behind the window, n / (n + 8)
    waiting_work: int  # time that the waiting jobs take at their smallest latencies, over the number of accelerators
    idle_share: int  # share of the accelerators that are idle
    next_free: int  # time until the next completion; 0 if nothing runs
    load: int  # recent arrival rate over the fleet's largest sustainable one, at most 2
    to_come: int  # jobs still to come, n / (n + 8)
    share_to_come: int  # share of the episode's jobs that are still to come
    legal: int  # 1 in the row of a legal action; rows of other actions are 0 throughout


# The one declaration of an observation's fields: `encoder.py` and `pair_encoder.py` write them and policies read them
# by these names.
SLOT_FIELDS = SlotFields._fields
ACCELERATOR_FIELDS = AcceleratorFields._fields
SYSTEM_FIELDS = SystemFields._fields
PAIR_FIELDS = PairFields._fields
SLOT = SlotFields(*range(len(SLOT_FIELDS)))
ACCELERATOR = AcceleratorFields(*range(len(ACCELERATOR_FIELDS)))
SYSTEM = SystemFields(*range(len(SYSTEM_FIELDS)))
PAIR = PairFields(*range(len(PAIR_FIELDS)))
INTERVALS = ("latencies_low", "latencies_high")  # arrays of the "dict" that hold the ends of intervals of latencies
PAIR_BOUND = 4.0  # a ratio of 2^16
# Of what the fields mean; a field that is added changes no other's meaning, and leaves the version as it is.
OBSERVATION_VERSION = 2


class PairRows(spaces.Box):
    """The space of the observation "pairs", float32 [actions, PAIR_FIELDS].

    `waiting` is the environments' option, so that policies know what they are trained under.
    """

    def __init__(self, shape: tuple[int, ...], waiting: str) -> None:
        super().__init__(-PAIR_BOUND, PAIR_BOUND, shape, np.float32)
        self.waiting = waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The shape of one environment's observations and actions, with all that is needed to decode and encode them.

    `window` slots, `choice_accelerators` (the accelerator of each choice), `mean_log_cycles` (of each choice over the
    predictor's training set: all that a policy without latencies knows), `choice_names`; `dispatch` is True for
    Dispatch-v0 and False for Queue-v0; `choose_dataflow` is False if an action names slot and accelerator only and the
    dataflow is the predicted best. `waiting`: how an agent waits in Queue-v0, as the option of the environments.
    `shows_energy`: the dict also has an array of energies (if the reward charges energy). `columns` is the number of
    actions per slot; `column_accelerators` int64 [columns] the accelerator of each.
    `shows_intervals`: it has two of the ends of intervals of latencies (if the scenario has `intervals`).
    `observation`: which observation agents are shown, as the option of the environments.
    `kinds`: the kind of each accelerator (`tables.accelerator_kinds`); by default, each is one of its own. Accelerators
    of a kind have as many choices each, and observations show equal values by choice for them.
    `shrinkage`: how noisy predictions are to be read; None where they have no noise of their own.

    Derived: `num_accelerators` A; `static_choices`, for each accelerator the choice that a policy without latencies
    uses, the best on average, and `static_columns` int64 [A], its column; `kinds_of`, the kinds as arrays, and
    `kind_choices`, pairs (choice, kind) of the choices of each kind's lowest accelerator.
    """

    window: int
    choice_accelerators: tuple[int, ...]
    mean_log_cycles: tuple[float, ...]
    choice_names: tuple[str, ...]
    dispatch: bool
    choose_dataflow: bool
    shows_energy: bool = False
    shows_intervals: bool = False
    waiting: str = "free"
    observation: str = "dict"
    kinds: tuple[int, ...] = ()
    shrinkage: Shrinkage | None = field(default=None, compare=False, repr=False)
    column_accelerators: NDArray[np.int64] = field(init=False, compare=False, repr=False)
    num_accelerators: int = field(init=False, compare=False, repr=False)
    static_choices: tuple[int, ...] = field(init=False, compare=False, repr=False)
    static_columns: NDArray[np.int64] = field(init=False, compare=False, repr=False)
    kinds_of: Kinds = field(init=False, compare=False, repr=False)
    kind_choices: tuple[tuple[int, int], ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        count = max(self.choice_accelerators) + 1
        best = [-1] * count
        for choice, owner in enumerate(self.choice_accelerators):
            if best[owner] < 0 or self.mean_log_cycles[choice] < self.mean_log_cycles[best[owner]]:
                best[owner] = choice
        kinds = Kinds(np.array(self.kinds or range(count), np.int64))
        firsts = {first: kind for kind, first in enumerate(kinds.firsts.tolist())}
        shown = tuple((choice, firsts[own]) for choice, own in enumerate(self.choice_accelerators) if own in firsts)
        owners = self.choice_accelerators if self.choose_dataflow else range(count)
        derived = {
            "column_accelerators": np.array(owners, np.int64),
            "num_accelerators": count,
            "static_choices": tuple(best),
            "static_columns": np.array(best if self.choose_dataflow else range(count), np.int64),
            "kinds": tuple(kinds.of.tolist()),
            "kinds_of": kinds,
            "kind_choices": shown,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def num_choices(self) -> int:
        """Return the number of (accelerator, dataflow) pairs."""
        return len(self.choice_accelerators)

    @property
    def columns(self) -> int:
        """Return the number of actions that a slot has."""
        return len(self.column_accelerators)

    @property
    def wait_by_choice(self) -> bool:
        """Return whether Queue-v0 has no action that waits; naming a busy accelerator does."""
        return self.waiting == "by_choice"

    @property
    def num_actions(self) -> int:
        """Return the size of the action space; in Queue-v0 the last action waits (but under `wait_by_choice`)."""
        return self.columns if self.dispatch else self.window * self.columns + (not self.wait_by_choice)

    @property
    def wait_action(self) -> int:
        """Return the action that waits for the next event; -1 where there is none (Dispatch-v0, `wait_by_choice`)."""
        return -1 if self.dispatch or self.wait_by_choice else self.num_actions - 1

    @property
    def sizes(self) -> dict[str, int]:
        """Return the length of each array of the observation "dict"."""
        sizes = {
            "slots": self.window * len(SLOT_FIELDS),
            "latencies": self.window * self.num_choices,
            "accelerators": self.num_accelerators * len(ACCELERATOR_FIELDS),
            "system": len(SYSTEM_FIELDS),
        }
        return sizes | dict.fromkeys(self.by_choice, self.window * self.num_choices)

    @property
    def by_choice(self) -> tuple[str, ...]:
        """Return the names of the arrays of the observation "dict" that hold a value for each slot and choice."""
        energies = ("energies",) if self.shows_energy else ()
        return ("latencies", *energies, *(INTERVALS if self.shows_intervals else ()))

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one lane's observation, if it is not "dict"."""
        if self.observation == "flat":
            return (sum(self.sizes.values()),)
        rows = (self.num_actions, len(PAIR_FIELDS))
        return rows if self.observation == "pairs" else (rows[0] * rows[1],)

    def observation_space(self) -> spaces.Dict | spaces.Box:
        """Return the space of one lane's observation, float32.

        "dict": arrays in [0, 1] by name. "flat": these joined, in the order of that space. "pairs": rows of features
        [actions, PAIR_FIELDS] in [-PAIR_BOUND, PAIR_BOUND]. "pairs_flat": these joined.
        """
        if self.observation == "dict":
            return spaces.Dict({name: spaces.Box(0.0, 1.0, (size,), np.float32) for name, size in self.sizes.items()})
        if self.observation == "pairs":
            return PairRows(self.shape, self.waiting)
        low, high = (0.0, 1.0) if self.observation == "flat" else (-PAIR_BOUND, PAIR_BOUND)
        return spaces.Box(low, high, self.shape, np.float32)

    def action_space(self) -> spaces.Discrete:
        """Return the Discrete space of one lane's action."""
        return spaces.Discrete(self.num_actions)
