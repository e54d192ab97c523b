"""Convert a policy's decision (a job and an accelerator) to an action of the environment, always a legal one."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.decoding import Beliefs, expected_latencies, read_beliefs
from gnnsched_baselines.equal_hardware import pooled
from gnnsched_baselines.narrowing import soonest_of_kinds
from gnnsched_env.common.policy import BoolArray, IntArray, Observation
from gnnsched_env.envs import Layout, decode_cycles, unflatten

NOBODY = -1


def send_oldest(
    layout: Layout, observation: Observation, mask: BoolArray, accelerators: IntArray, columns: IntArray
) -> IntArray:
    """Return the actions that send the oldest job to `accelerators` [L] under `columns` [A]; wait where NOBODY.

    The oldest is the one that waited longest, whatever the window's order (ties: the lowest slot).
    """
    oldest = unflatten(observation, layout).slots["waited"].argmax(axis=1)
    actions = np.where(accelerators == NOBODY, layout.num_actions - 1, oldest * layout.columns + columns[accelerators])
    legal = mask[np.arange(len(mask)), actions]
    return np.where(legal, actions, mask.argmax(axis=1))


def send_pairs(
    layout: Layout,
    observation: Observation,
    mask: BoolArray,
    beliefs: Beliefs,
    pairs: tuple[IntArray, IntArray],
    equal_choices: IntArray | None = None,
) -> IntArray:
    """Return the actions that send job `slot` to `accelerator` (`pairs`, both [L]) under its predicted best dataflow.

    If the slot is NOBODY, the lane waits; if waiting is illegal, it takes the shortest legal pair. `equal_choices`
    int64 [choices] numbers choices that take equally long, whose predictions are pooled to find the best dataflow.
    """
    actions = _pair_actions(layout, observation, *pairs, equal_choices)
    legal = mask[np.arange(len(mask)), actions]
    if legal.all():
        return actions
    return np.where(legal, actions, _pair_actions(layout, observation, *shortest_pairs(beliefs)))


def send_planned(
    layout: Layout, observation: Observation, mask: BoolArray, plan: Callable[..., None], *options: object
) -> IntArray:
    """Return the actions that start the jobs chosen by a plan of the waiting jobs; lanes without one wait.

    `plan(latencies, remaining, idle, waiting, *options, slots, accelerators)` reads the first four of `Beliefs` and
    writes `slots` and `accelerators` int64 [L]; where it leaves the initial slot, NOBODY, the lane waits.
    """
    beliefs = read_beliefs(observation, mask, layout)
    return send_pairs(layout, observation, mask, beliefs, planned_pairs(beliefs, plan, *options))


def planned_pairs(beliefs: Beliefs, plan: Callable[..., None], *options: object) -> tuple[IntArray, IntArray]:
    """Return (slot, accelerator), both [L], that a plan starts, as `send_planned`; slot NOBODY where a lane waits.

    The plan is made for the accelerators that any plan could use: as many of each kind as there are jobs, the soonest
    free ones. So it takes no longer for a wide fleet of few kinds. (A plan that looks at second best ones finds them
    too as long as it compares jobs, for then one accelerator more than it has used is left for each of them.)
    """
    near = soonest_of_kinds(beliefs, beliefs.of_kinds.shape[1])
    slots = np.full(len(beliefs.waiting), NOBODY, np.int64)
    accelerators = np.zeros(len(slots), np.int64)
    plan(near.latencies, near.remaining, near.open, beliefs.waiting, *options, slots, accelerators)
    return slots, near.number_of(accelerators)


def shortest_pairs(beliefs: Beliefs) -> tuple[IntArray, IntArray]:
    """Return (slot, accelerator), both [L], of the smallest predicted latency among the open accelerators.

    Ties take the lowest slot, then the lowest accelerator; the slot is NOBODY where no pair is open.
    """
    kinds, fleet = beliefs.kinds, len(beliefs.kinds.of)
    if kinds.number == fleet:
        return best_pairs(np.where(beliefs.open[:, np.newaxis], beliefs.of_kinds, np.inf))
    open_ones = np.where(beliefs.open, np.arange(fleet), fleet)[:, kinds.members]
    lowest = np.minimum.reduceat(open_ones, kinds.starts[:-1], axis=1)  # [L, G]; the fleet's size where none is open
    scores = np.where(lowest[:, np.newaxis] < fleet, beliefs.of_kinds, np.inf)
    slots, best = best_pairs(scores)
    lanes = np.arange(len(slots))
    own = scores[lanes, slots]
    tied = own == own[lanes, best][:, np.newaxis]
    return slots, np.where(slots == NOBODY, 0, np.where(tied, lowest, fleet).min(axis=1))


def best_pairs(scores: NDArray[np.float64]) -> tuple[IntArray, IntArray]:
    """Return (slot, accelerator), both [L], of the smallest of `scores` [L, n, A]; slot NOBODY where all are inf."""
    flat = scores.reshape(len(scores), -1)
    first = flat.argmin(axis=1)
    slots, accelerators = np.divmod(first, scores.shape[2])
    slots[np.isinf(flat[np.arange(len(flat)), first])] = NOBODY
    return slots, accelerators


def static_choices_of(layout: Layout) -> tuple[int, ...] | None:
    """Return the choices with static dataflows, or None if the environment chooses the dataflow."""
    return layout.static_choices if layout.choose_dataflow else None


def first_open(order: IntArray, available: BoolArray) -> IntArray:
    """Return int64 [L]: the available accelerator of smallest `order` [L, A] (ties: the lowest), or NOBODY."""
    ranked = np.where(available, order, np.iinfo(np.int64).max)
    return np.where(available.any(axis=1), ranked.argmin(axis=1), NOBODY)


def _pair_actions(
    layout: Layout,
    observation: Observation,
    slots: IntArray,
    accelerators: IntArray,
    equal_choices: IntArray | None = None,
) -> IntArray:
    columns = accelerators
    if layout.choose_dataflow:
        codes = unflatten(observation, layout).latencies[np.arange(len(slots)), np.maximum(slots, 0)]
        codes = expected_latencies(codes, layout)
        times: NDArray[np.floating[Any]] = codes
        if equal_choices is not None:
            times = pooled(decode_cycles(codes), equal_choices)
        own = layout.column_accelerators == accelerators[:, np.newaxis]
        columns = np.where(own, times, np.inf).argmin(axis=1)
    return np.where(slots == NOBODY, layout.num_actions - 1, slots * layout.columns + columns)
