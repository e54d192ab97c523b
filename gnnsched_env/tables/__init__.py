"""Latency tables: what each class of job takes under each choice, in truth and as predicted."""

from gnnsched_env.tables.build import DistinctPairs, Pair, distinct_pairs, pair_cycles, pair_key, true_cycles
from gnnsched_env.tables.cache import cache_folder, cached, code_digest, content_key
from gnnsched_env.tables.progress import progress_bar
from gnnsched_env.tables.table import LatencyTable
from gnnsched_env.tables.workload import JobClasses, classes_from_files, synthetic_classes

__all__ = [
    "DistinctPairs",
    "JobClasses",
    "LatencyTable",
    "Pair",
    "cache_folder",
    "cached",
    "classes_from_files",
    "code_digest",
    "content_key",
    "distinct_pairs",
    "pair_cycles",
    "pair_key",
    "progress_bar",
    "synthetic_classes",
    "true_cycles",
]
