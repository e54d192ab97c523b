"""Latency tables: what each class of job takes under each choice, in truth and as predicted."""

from gnnsched_env.tables.build import (
    DistinctPairs,
    Pair,
    choice_keys,
    distinct_pairs,
    pair_cycles,
    pair_key,
    true_cycles,
)
from gnnsched_env.tables.table import LatencyTable

__all__ = [
    "DistinctPairs",
    "LatencyTable",
    "Pair",
    "choice_keys",
    "distinct_pairs",
    "pair_cycles",
    "pair_key",
    "true_cycles",
]
