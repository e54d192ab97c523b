"""Shows records to people; computes no metrics."""

from gnnsched_env.report.policy_table import LEGEND, policy_table

__all__ = ["LEGEND", "policy_table"]
