"""Scenarios: fleet, workload, predictor and environment options in one object."""

from gnnsched_env.scenario.resolve import scenario_classes, scenario_table, simulation_settings, table_rate
from gnnsched_env.scenario.scenario import EnvironmentOptions, Scenario, Workload, list_scenarios, load_scenario

__all__ = [
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
