"""Shows records to people; computes no metrics."""

from gnnsched_env.report.terminal import policy_table

__all__ = ["policy_table"]
