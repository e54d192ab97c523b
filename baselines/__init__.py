"""Heuristic scheduling policies, one per file, for comparison with agents."""

from baselines.registry import PLANNERS, POLICIES, make_policy

__all__ = ["PLANNERS", "POLICIES", "make_policy"]
