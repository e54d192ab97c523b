"""Small problems whose answers are worked out by hand."""

import numpy as np

from gnnsched_env.tables import LatencyTable


def static_means(owners, static=None):
    """Return training-set means that make these choices the static ones (by default each accelerator's first)."""
    chosen = [owners.index(owner) for owner in sorted(set(owners))] if static is None else static
    return tuple(1.0 if choice in chosen else 2.0 for choice in range(len(owners)))


def table(true, predicted=None, *, owners=None, static=None, weights=None, means=None):
    """Return a latency table from lists; by default an accelerator per choice, and true predictions."""
    true = np.asarray(true)
    predicted = true if predicted is None else np.asarray(predicted)
    owners = np.arange(true.shape[1]) if owners is None else np.asarray(owners)
    return LatencyTable(
        true_cycles=true,
        predicted_cycles=predicted,
        weights=np.ones(len(true)) if weights is None else np.asarray(weights, float),
        choice_names=tuple(f"a{owner}/d{k}" for k, owner in enumerate(owners)),
        choice_accelerators=owners,
        accelerator_names=tuple(f"a{a}" for a in range(int(owners.max()) + 1)),
        mean_log_cycles=static_means(owners.tolist(), static) if means is None else means,
        class_names=tuple(f"class{c}" for c in range(len(true))),
        class_groups=np.zeros(len(true), int),
        group_names=("toy",),
    )


def random_table(rng, classes=12, choices=6, accelerators=3, noise=0.1):
    """Return a random heterogeneous table with noisy predictions."""
    base = np.exp(rng.normal(6, 1, (classes, 1)))
    true = np.maximum(1, np.rint(base * np.exp(rng.normal(0, 0.7, (classes, choices))))).astype(np.int64)
    predicted = np.maximum(1, np.rint(true * np.exp(rng.normal(0, noise, true.shape)))).astype(np.int64)
    owners = np.sort(np.concatenate([np.arange(accelerators), rng.integers(0, accelerators, choices - accelerators)]))
    return table(true, predicted, owners=owners)


def play(fleet, actions):
    """Take the actions in a simulation of one lane and return the rewards."""
    rewards = []
    for action in actions:
        fleet.step(np.array([action]))
        rewards.append(float(fleet.lanes["reward"][0]))
    return rewards
