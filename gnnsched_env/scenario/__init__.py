"""Scenarios: fleet, workload, predictor and environment options in one object."""

from gnnsched_env.scenario.resolve import scenario_classes, scenario_table, simulation_settings, table_rate
from gnnsched_env.scenario.scenario import (
    DecisionCost,
    EnvironmentOptions,
    Scenario,
    Workload,
    list_scenarios,
    load_scenario,
)

__all__ = [
    "DecisionCost",
    "EnvironmentOptions",
    "Scenario",
    "Workload",
    "list_scenarios",
    "load_scenario",
    "scenario_classes",
    "scenario_table",
    "simulation_settings",
    "table_rate",
]
