"""Scenarios to train on that differ: other classes of jobs, other accelerators that suit them, other loads.

An agent that trains on one workload learns what holds for it alone; one that trains on many also does well on others.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, ListOf, Number, require
from gnnsched_env.hardware import Fleet
from gnnsched_env.predictors import build_table
from gnnsched_env.scenario.options import LOAD_LIMIT, MOST_JOBS
from gnnsched_env.scenario.scenario import Scenario, load_scenario
from gnnsched_env.tables import LatencyTable, choice_keys
from gnnsched_env.tables.table import CYCLE_LIMIT
from gnnsched_env.workload import synthetic_classes

FIRST_TRAINING_SEED = 1_000  # of synthetic classes; the embedded workload uses seed 0, validation seeds near 100
PLAIN_EVERY, PLAIN = 3, 2  # seeds with this remainder are not varied
MOST_SKEW = 4.0
# `freshly_varied`: the most deviation of each kind of factor, in factors of two, and the range of the power of sizes.
BY_KIND, BY_FAMILY, BY_BOTH, BY_SIZE = 0.5, 0.7, 1.0, 0.3
POWERS = (0.6, 1.3)


def varied_scenarios(
    scenario: str | Path | Scenario | Mapping[str, Any] = "hetero4",
    count: int = 32,
    *,
    seed: int = 0,
    loads: tuple[float, float] = (0.4, 1.0),
    skew: float | None = None,
    classes: int = 64,
) -> tuple[Scenario, ...]:
    """Return `count` scenarios that differ from the given one in their workload and load.

    Each brings a table of `classes` synthetic classes of its own, drawn from `seed`, with predictions as a user's would
    be; two of three are varied (`varied_table`) by `skew`, by default 1, or 0 where all accelerators are equal. Loads
    are spread evenly over the range, in random order. None of the classes is of the embedded workload or of a
    validation. Give the scenarios to `gymnasium.make_vec` together: its lanes are divided among them. Raise ConfigError
    for a bad argument.
    """
    base = load_scenario(scenario)
    if skew is None:
        skew = float(_differ(base.fleet))
    count = Integer(1, MOST_JOBS).check("varied_scenarios", "count", count)
    seed = Integer(0).check("varied_scenarios", "seed", seed)
    skew = Number(least=0, most=MOST_SKEW).check("varied_scenarios", "skew", skew)
    classes = Integer(1, MOST_JOBS).check("varied_scenarios", "classes", classes)
    low, high = ListOf(Number(above=0, below=LOAD_LIMIT), 2).check("varied_scenarios", "loads", loads)
    require("varied_scenarios", "loads", loads, "in ascending order" if low > high else "")
    rng = np.random.default_rng(seed)
    seeds = FIRST_TRAINING_SEED + rng.integers(1 << 32, size=count)
    drawn = rng.permutation(low + (high - low) * (np.arange(count) + 0.5) / count)
    return tuple(
        replace(base, table=synthetic_table(base.fleet, int(own), classes=classes, skew=skew)).with_options(
            load=float(load)
        )
        for own, load in zip(seeds, drawn, strict=True)
    )


def synthetic_table(fleet: Fleet, seed: int, *, classes: int, skew: float) -> LatencyTable:
    """Return the latencies of a seed's synthetic classes on a fleet, varied except for every third seed."""
    table = build_table(synthetic_classes(classes, seed=seed), fleet)
    return table if seed % PLAIN_EVERY == PLAIN else varied_table(table, np.random.default_rng(seed), skew)


def varied_table(table: LatencyTable, rng: np.random.Generator, skew: float) -> LatencyTable:
    """Return the table with random shares of its families, and randomly scaled latencies by family and accelerator.

    Shares are drawn uniformly from the simplex (Dirichlet, all parameters 1); each family's latencies on each
    accelerator, true and predicted, are multiplied by 2 to the power of a normal variable of deviation `skew`. Real
    graphs differ more in which accelerator suits them than the synthetic families do; a policy trained on these alone
    does worse on real ones.
    """
    families, weights = len(table.group_names), _drawn_weights(table, rng)
    factors = np.exp2(skew * rng.standard_normal((families, table.num_accelerators)))
    own = factors[table.class_groups][:, table.choice_accelerators]
    true, predicted = (np.maximum(1, np.rint(cycles * own)) for cycles in (table.true_cycles, table.predicted_cycles))
    return replace(
        table,
        true_cycles=true.astype(np.int64),
        predicted_cycles=predicted.astype(np.int64),
        weights=weights,
        energy_pj=None,
        pair_keys=(),  # equal hardware takes equally long no more
    )


def freshly_varied(table: LatencyTable, rng: np.random.Generator, kinds: NDArray[np.int64]) -> LatencyTable:
    """Return the table of another workload, which differs in more than `varied_table`; `kinds` int64 [A] are kept.

    Latencies, true and predicted, are multiplied by random factors: of each kind of accelerator, of each family of
    classes, of both together, and of a kind by how large a class is. Deviations are drawn, too, so that some workloads
    are like the given one and others far from it. Smallest latencies are raised to a common power (their geometric mean
    stays), which makes jobs more alike or less. Shares are drawn as by `varied_table`.
    """
    families, groups, owners = len(table.group_names), table.class_groups, kinds[table.choice_accelerators]
    count = int(kinds.max()) + 1
    weights = _drawn_weights(table, rng)
    weights = weights / weights.sum()
    sizes = np.log2(table.predicted_cycles.min(axis=1))
    sizes = sizes - weights @ sizes
    of_kind, of_family, of_both, by_size = rng.uniform(size=4) * (BY_KIND, BY_FAMILY, BY_BOTH, BY_SIZE)
    logs = of_kind * rng.standard_normal(count) + of_family * rng.standard_normal((families, 1))
    logs = (logs + of_both * rng.standard_normal((families, count)))[groups]
    powers = by_size * rng.standard_normal(count) + rng.uniform(*POWERS)
    factors = np.exp2(logs + sizes[:, np.newaxis] * (powers - 1.0))[:, owners]
    true, predicted = (
        np.clip(np.rint(cycles * factors), 1, CYCLE_LIMIT - 1).astype(np.int64)
        for cycles in (table.true_cycles, table.predicted_cycles)
    )
    return replace(table, true_cycles=true, predicted_cycles=predicted, weights=weights, energy_pj=None)


def _drawn_weights(table: LatencyTable, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the classes' weights under random shares of their families."""
    families = len(table.group_names)
    counts = np.bincount(table.class_groups, minlength=families)
    shares: NDArray[np.float64] = rng.dirichlet(np.ones(families)) / np.maximum(counts, 1)
    return shares[table.class_groups]


def _differ(fleet: Fleet) -> bool:
    """Return whether a fleet's accelerators are of more than one kind."""
    keys = np.array(choice_keys(fleet))
    kinds = {tuple(keys[fleet.choice_accelerators == a]) for a in range(len(fleet.accelerators))}
    return len(kinds) > 1
