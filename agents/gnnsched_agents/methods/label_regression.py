"""Fits a network to labels by weighted least squares within states; its scores are minus the actions' costs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gnnsched_agents.methods.lookahead_labels import Labels, rows_of
from gnnsched_agents.torch_network import Packing, PairNetwork
from gnnsched_baselines.learned.pair_features import COLUMN
from gnnsched_baselines.learned.pair_network import Network, shapes
from gnnsched_env.nn.schedule import rate_share, set_rate

HELD_OUT = 8  # one state in this many is held out to measure the fit
LEAST_ERROR = 1.0  # mean services; its square is added to the labels' squared standard errors
MOST_GRADIENT = 5.0
WEIGHT_DECAY = 1e-3
PLANNED, LOAD = COLUMN.planned_action, COLUMN.load
CALM, RISE = 0.5, 4.5  # share of the caution up to this load, and how much it grows with the load above it
LOADS = (0.3, 1.1)  # recent loads are noisy: they are kept in this range


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted network, and its fit on held-out states.

    `explained`: explained share of the labels' weighted variance. `gain`: how much less the network's choice costs than
    `assignment`'s, in mean services per state (only rows that were tried count).
    """

    network: Network
    explained: float
    gain: float


def fit(
    labels: Labels,
    rng: np.random.Generator,
    *,
    width: int,
    passes: int,
    batch: int,
    learning_rate: float,
    caution: float,
) -> Fit:
    """Return a network of `width` units fitted to labels in `passes` passes, by AdamW with one cycle of learning rates.

    `caution` is the gain, in mean services, that a deviation from `assignment` must promise. It rises with the load:
    at high loads the labels are noisier, and too favourable to postponing long jobs, since futures are cut off.
    """
    module = PairNetwork(_first(width, rng))
    order = rng.permutation(len(labels))
    held, kept = order[: len(order) // HELD_OUT], order[len(order) // HELD_OUT :]
    optimizer = torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY)
    steps = passes * -(-len(kept) // batch)
    step = 0
    for _ in range(passes):
        for rows, costs, weights, packing in _batches(labels, rng.permutation(kept), batch):
            asked = caution * _caution(rows)
            loss = _within(module(rows, packing) + costs + asked, weights, packing).sum() / packing.lanes
            set_rate(optimizer, learning_rate * rate_share((step + 0.5) / steps))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(module.parameters(), MOST_GRADIENT)
            optimizer.step()
            step += 1
    with torch.no_grad():
        explained, gain = _judge(module, labels, held, caution)
    return Fit(network=module.network(), explained=explained, gain=gain)


def _within(values: Tensor, weights: Tensor, packing: Packing) -> Tensor:
    """Return weights x squares of values [n] minus their state's weighted mean: only differences within it count."""
    mean = packing.sum(weights * values) / packing.sum(weights).clamp_min(1e-9)
    squares: Tensor = weights * (values - packing.spread(mean)).square()
    return squares


def _batches(labels: Labels, states: np.ndarray, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Packing]]:
    """Yield rows, costs (0 where not tried), weights (0 there too) and packing of `size` states at a time."""
    sizes = np.diff(labels.starts)
    for first in range(0, len(states), size):
        part = states[first : first + size]
        places = rows_of(labels.starts, part)
        costs, errors = labels.costs[places], labels.errors[places]
        tried = np.isfinite(costs)
        weights = np.where(tried, 1.0 / (LEAST_ERROR**2 + np.where(tried, errors, 0.0) ** 2), 0.0).astype(np.float32)
        arrays = (labels.rows[places], np.where(tried, costs, 0.0).astype(np.float32), weights)
        rows, targets, kept = (torch.from_numpy(array) for array in arrays)
        yield rows, targets, kept, Packing.of(torch.from_numpy(sizes[part]))


def _caution(rows: Tensor) -> Tensor:
    """Return [n]: the caution for each of the rows [n, F]; it is 0 for the action of `assignment`."""
    load = rows[:, LOAD].clamp(*LOADS)
    return (1.0 - rows[:, PLANNED]) * (CALM + RISE * (load - CALM).clamp_min(0.0))


def _judge(module: PairNetwork, labels: Labels, states: np.ndarray, caution: float) -> tuple[float, float]:
    missed = variance = gain = 0.0
    for rows, costs, weights, packing in _batches(labels, states, 4096):
        scores = module(rows, packing)
        asked = costs + caution * _caution(rows)
        missed += float(_within(scores + asked, weights, packing).sum())
        variance += float(_within(asked, weights, packing).sum())
        tried = torch.where(weights > 0, scores, torch.full_like(scores, -torch.inf))
        planned = torch.where(weights > 0, rows[:, PLANNED], torch.zeros_like(scores))
        gain += float((planned * costs).sum() - costs[packing.argmax(tried)].sum())
    return 1.0 - missed / max(variance, 1e-9), gain / max(1, len(states))


def _first(width: int, rng: np.random.Generator) -> Network:
    """Return a network with all layers drawn, the linear part 0."""
    drawn: dict[str, Any] = {
        name: rng.normal(0.0, 1.0 / np.sqrt(shape[0]), shape) if name != "skip" and name[0] != "b" else np.zeros(shape)
        for name, shape in shapes(width).items()
    }
    return Network(**drawn)
