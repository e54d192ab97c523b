"""Convert a policy's decision (a job and an accelerator) to an action of the environment, always a legal one."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.decoding import Beliefs, read_beliefs
from gnnsched_env.common.policy import BoolArray, IntArray, Observation
from gnnsched_env.envs import Layout, unflatten

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
    layout: Layout, observation: Observation, mask: BoolArray, beliefs: Beliefs, pairs: tuple[IntArray, IntArray]
) -> IntArray:
    """Return the actions that send job `slot` to `accelerator` (`pairs`, both [L]) under its predicted best dataflow.

    If the slot is NOBODY, the lane waits; if waiting is illegal, it takes the shortest legal pair.
    """
    actions = _pair_actions(layout, observation, *pairs)
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
    slots = np.full(len(mask), NOBODY, np.int64)
    accelerators = np.zeros(len(mask), np.int64)
    plan(beliefs.latencies, beliefs.remaining, beliefs.open, beliefs.waiting, *options, slots, accelerators)
    return send_pairs(layout, observation, mask, beliefs, (slots, accelerators))


def shortest_pairs(beliefs: Beliefs) -> tuple[IntArray, IntArray]:
    """Return (slot, accelerator), both [L], of the smallest predicted latency among the open accelerators.

    Ties take the lowest slot, then the lowest accelerator; the slot is NOBODY where no pair is open.
    """
    return best_pairs(np.where(beliefs.open[:, np.newaxis], beliefs.latencies, np.inf))


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


def _pair_actions(layout: Layout, observation: Observation, slots: IntArray, accelerators: IntArray) -> IntArray:
    columns = accelerators
    if layout.choose_dataflow:
        codes = unflatten(observation, layout).latencies[np.arange(len(slots)), np.maximum(slots, 0)]
        own = layout.column_accelerators == accelerators[:, np.newaxis]
        columns = np.where(own, codes, np.inf).argmin(axis=1)
    return np.where(slots == NOBODY, layout.num_actions - 1, slots * layout.columns + columns)
