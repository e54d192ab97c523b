"""Cycles: OMEGA's two-phase cost model, exact to the cycle, compiled; its typed face and its table-building face."""

from gnnsched_env.cycles.counts import LayerSpec, PhaseAccesses
from gnnsched_env.cycles.layer import LayerCycles, simulate_layer
from gnnsched_env.cycles.model import CycleCounts, LayerCounts, count_cycles
from gnnsched_env.cycles.plan import CyclePlan, cycles_matrix, layer_spec, plan_for, uses_self_loops
from gnnsched_env.cycles.quirks import CORRECTED, FIXED_EMPTY_ROWS, GOLDEN_CORRECTED, NAMED_QUIRKS, REFERENCE, Quirks
from gnnsched_env.cycles.tilings import line_profile

__all__ = [
    "CORRECTED",
    "FIXED_EMPTY_ROWS",
    "GOLDEN_CORRECTED",
    "NAMED_QUIRKS",
    "REFERENCE",
    "CycleCounts",
    "CyclePlan",
    "LayerCounts",
    "LayerCycles",
    "LayerSpec",
    "PhaseAccesses",
    "Quirks",
    "count_cycles",
    "cycles_matrix",
    "layer_spec",
    "line_profile",
    "plan_for",
    "simulate_layer",
    "uses_self_loops",
]
