"""Tables and pictures of records, for people to read; no metrics are computed here."""

from gnnsched_env.report.policy_table import LEGEND, policy_table

__all__ = ["LEGEND", "policy_table"]
