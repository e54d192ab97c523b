"""Cycles: OMEGA's two-phase cost model, exact to the cycle and compiled, for single layers and for whole tables."""

from gnnsched_env.cycles.closed_form import RowCost, closed_form_tiling, row_cost, sp_terms
from gnnsched_env.cycles.counts import LayerSpec, PhaseAccesses
from gnnsched_env.cycles.explanation import LayerParts, PhaseParts, explain_cycles
from gnnsched_env.cycles.layer import LayerCycles, simulate_layer
from gnnsched_env.cycles.model import CycleCounts, LayerCounts, count_cycles
from gnnsched_env.cycles.plan import CompiledTiling, CyclePlan, cycles_matrix, layer_spec, plan_for, uses_self_loops
from gnnsched_env.cycles.quirks import CORRECTED, FIXED_EMPTY_ROWS, GOLDEN_CORRECTED, NAMED_QUIRKS, REFERENCE, Quirks

__all__ = [
    "CORRECTED",
    "FIXED_EMPTY_ROWS",
    "GOLDEN_CORRECTED",
    "NAMED_QUIRKS",
    "REFERENCE",
    "CompiledTiling",
    "CycleCounts",
    "CyclePlan",
    "LayerCounts",
    "LayerCycles",
    "LayerParts",
    "LayerSpec",
    "PhaseAccesses",
    "PhaseParts",
    "Quirks",
    "RowCost",
    "closed_form_tiling",
    "count_cycles",
    "cycles_matrix",
    "explain_cycles",
    "layer_spec",
    "plan_for",
    "row_cost",
    "simulate_layer",
    "sp_terms",
    "uses_self_loops",
]
