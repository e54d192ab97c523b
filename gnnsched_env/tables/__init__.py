"""Latency tables: the true and predicted cycles of each class of job under each choice."""

from gnnsched_env.tables.build import (
    DistinctPairs,
    Pair,
    choice_keys,
    distinct_pairs,
    pair_cycles,
    pair_key,
    true_cycles,
)
from gnnsched_env.tables.table import ERROR_LEVELS, LatencyTable

__all__ = [
    "ERROR_LEVELS",
    "DistinctPairs",
    "LatencyTable",
    "Pair",
    "choice_keys",
    "distinct_pairs",
    "pair_cycles",
    "pair_key",
    "true_cycles",
]
