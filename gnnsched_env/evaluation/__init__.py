"""Paired evaluation of policies: all play the same episodes; each gets one record of ratios with intervals."""

from gnnsched_env.common.files import write_json
from gnnsched_env.common.stats import Interval, paired_ratio
from gnnsched_env.evaluation.attempts import Attempts
from gnnsched_env.evaluation.compare import add_bound, compare, with_graphs
from gnnsched_env.evaluation.curves.learning_curve import LearningCurve
from gnnsched_env.evaluation.curves.yardstick import Yardstick
from gnnsched_env.evaluation.episode_blocks import Record
from gnnsched_env.evaluation.policies import make_policy, policy_factories, policy_factory, register_policy
from gnnsched_env.evaluation.records import evaluate, provenance
from gnnsched_env.evaluation.runs import PolicyFactory, Runs, run_policy, run_unbounded

__all__ = [
    "Attempts",
    "Interval",
    "LearningCurve",
    "PolicyFactory",
    "Record",
    "Runs",
    "Yardstick",
    "add_bound",
    "compare",
    "evaluate",
    "make_policy",
    "paired_ratio",
    "policy_factories",
    "policy_factory",
    "provenance",
    "register_policy",
    "run_policy",
    "run_unbounded",
    "with_graphs",
    "write_json",
]
