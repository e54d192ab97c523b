"""Bounds on any schedule: proved lower bounds, good offline schedules, and proved optima of small instances."""

from gnnsched_env.bounds.annealing import improve
from gnnsched_env.bounds.instance import Instance, Plan, earliest_finish
from gnnsched_env.bounds.known import KnownOptimum, known_optima
from gnnsched_env.bounds.lagrangian import LowerBound, lower_bound
from gnnsched_env.bounds.optimal import Optimum, optimum

__all__ = [
    "Instance",
    "KnownOptimum",
    "LowerBound",
    "Optimum",
    "Plan",
    "earliest_finish",
    "improve",
    "known_optima",
    "lower_bound",
    "optimum",
]
