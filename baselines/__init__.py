"""Heuristic scheduling policies, one per file, for comparison with agents."""

from baselines.registry import POLICIES, make_policy

__all__ = ["POLICIES", "make_policy"]
