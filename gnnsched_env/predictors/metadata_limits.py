"""Limits of prediction from sizes alone: jobs of equal V, E, F and G differ in latency, whatever the predictor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import OneOf
from gnnsched_env.common.errors import GraphError
from gnnsched_env.cycles.domain import as_degrees
from gnnsched_env.predictors.scores import regret
from gnnsched_env.tables import Pair, pair_cycles
from gnnsched_env.workload import JobClasses

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Record = dict[str, Any]

LAWS = ("even", "random", "skewed")
SKEW = 1.0  # exponent of Zipf's law


def twin_degrees(degrees: IntArray, law: str, rng: np.random.Generator) -> IntArray:
    """Return int64 [V] with the sum of `degrees`: "even" (all equal), "random" (Poisson-like), "skewed" (Zipf).

    No fewer rows have entries than before (over A+I: all, by their loops), and none has more than V. Raise `GraphError`
    for degrees that no V rows of at most V entries can hold, `ConfigError` for an unknown law.
    """
    OneOf(LAWS).check("limits", "law", law)
    degrees = as_degrees(degrees)
    rows, entries = degrees.size, int(degrees.sum())
    if entries > rows * rows:
        raise GraphError(f"limits: degrees must sum to at most V^2 = {rows * rows:,}, got {entries:,}")
    base = np.minimum(degrees, 1)
    spare = entries - int(base.sum())
    if law == "even":
        whole = np.full(rows, entries // rows)
        whole[: entries % rows] += 1
        return rng.permutation(whole)
    weights = np.ones(rows) if law == "random" else np.arange(1, rows + 1) ** -SKEW
    twin = base + rng.multinomial(spare, weights / weights.sum())
    while (excess := int((twin - rows).clip(0).sum())) > 0:  # the excess of full rows goes to others
        twin = np.minimum(twin, rows)
        room = (rows - twin) / max(1, (rows - twin).sum())
        twin = twin + rng.multinomial(excess, room)
    return rng.permutation(twin)


def metadata_limits(classes: JobClasses, pairs: Sequence[Pair], *, seed: int = 0) -> list[Record]:
    """Compare the classes with twins of equal sizes, law by law.

    `differ`: percent of classes whose best choices have none in common with the twin's. `regret`: mean regret of
    running a class under the twin's best. `mape_bound`: a predictor that sees sizes only says the same x of a class
    and its twin; with latencies a <= b, the mean of |x - a| / a and |x - b| / b is least at x = a, (b - a) / 2b:
    percent, averaged over classes and pairs.
    """
    true = pair_cycles(classes, pairs)
    records = []
    for law in LAWS:
        rng = np.random.default_rng(seed)
        twins = JobClasses(
            names=classes.names,
            models=classes.models,
            degrees=tuple(twin_degrees(degrees, law, rng) for degrees in classes.degrees),
            weights=classes.weights,
            groups=classes.groups,
            group_names=classes.group_names,
        )
        other = pair_cycles(twins, pairs)
        best, other_best = (cycles == cycles.min(axis=1, keepdims=True) for cycles in (true, other))
        low, high = np.minimum(true, other), np.maximum(true, other)
        records.append(
            {
                "law": law,
                "samples": len(classes),
                "differ": 100.0 * float((~(best & other_best).any(axis=1)).mean()),
                "regret": float(regret(true, other).mean()),
                "mape_bound": 100.0 * float(((high - low) / (2 * high)).mean()),
            }
        )
    return records
