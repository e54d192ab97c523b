"""Scenarios: fleet, workload, predictor and environment options in one object."""

from gnnsched_env.scenario.options import (
    Arrivals,
    DecisionCost,
    EnvironmentOptions,
    Failures,
    PredictionError,
    Reward,
    Workload,
)
from gnnsched_env.scenario.random_scenarios import random_scenarios
from gnnsched_env.scenario.resolve import job_source, scenario_classes, scenario_table, simulation_settings, table_rate
from gnnsched_env.scenario.scenario import Scenario, list_scenarios, load_scenario
from gnnsched_env.scenario.varied import varied_scenarios

__all__ = [
    "Arrivals",
    "DecisionCost",
    "EnvironmentOptions",
    "Failures",
    "PredictionError",
    "Reward",
    "Scenario",
    "Workload",
    "job_source",
    "list_scenarios",
    "load_scenario",
    "random_scenarios",
    "scenario_classes",
    "scenario_table",
    "simulation_settings",
    "table_rate",
    "varied_scenarios",
]
