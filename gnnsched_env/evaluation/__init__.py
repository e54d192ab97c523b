"""Paired evaluation of policies: all play the same episodes; each gets one record of ratios with intervals."""

from gnnsched_env.common.files import write_json
from gnnsched_env.common.stats import Interval, paired_ratio
from gnnsched_env.evaluation.records import Record, evaluate, provenance
from gnnsched_env.evaluation.runs import PolicyFactory, Runs, run_policy, run_unbounded

__all__ = [
    "Interval",
    "PolicyFactory",
    "Record",
    "Runs",
    "evaluate",
    "paired_ratio",
    "provenance",
    "run_policy",
    "run_unbounded",
    "write_json",
]
