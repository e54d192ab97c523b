"""Heuristic scheduling policies, one per file, for comparison with agents."""

from gnnsched_baselines.policy_registry import PLANNERS, POLICIES, make_policy

__all__ = ["PLANNERS", "POLICIES", "make_policy"]
