"""A live fleet as the simulator has it: the scenario whose latencies are a profile's table."""

from dataclasses import replace

import numpy as np

from gnnsched_env.hardware import Accelerator, Fleet, load_fleet
from gnnsched_env.live.live_fleet import CLOCK_HZ, LiveFleet
from gnnsched_env.scenario import Scenario, simulation_settings
from gnnsched_env.sim import Simulation, SimulationSettings
from gnnsched_env.sim.records import RecordArray
from gnnsched_env.sim.state import seed_arrays
from gnnsched_env.tables import LatencyTable


def simulated_scenario(fleet: LiveFleet, table: LatencyTable) -> Scenario:
    """Return the scenario of a live fleet and its table: a cycle is a nanosecond.

    An accelerator stands for each device, a dataflow for each choice. Their geometry means nothing, for the latencies
    are the table's. Raise ConfigError where the table's choices are not the fleet's.
    """
    stand_in = load_fleet("hetero4").accelerators[0].dataflows[0]
    accelerators = tuple(
        Accelerator(
            name=device.name, pes=512, dataflows=tuple(replace(stand_in, name=choice) for choice in device.choices)
        )
        for device in fleet.devices
    )
    return Scenario(
        name=fleet.name, fleet=Fleet(name=fleet.name, accelerators=accelerators, clock_hz=CLOCK_HZ), table=table
    )


def live_settings(scenario: Scenario) -> SimulationSettings:
    """Return the settings of a scenario's test episodes in Queue-v0, as evaluations play them."""
    assert scenario.table is not None
    return simulation_settings(scenario.with_options(split="test", waiting="free"), scenario.table, dispatch=False)


def planned_jobs(scenario: Scenario, seed: int) -> RecordArray:
    """Return the jobs of a scenario's test episode of a seed (JOB records [n], by arrival): those of evaluations."""
    assert scenario.table is not None
    drawn = Simulation(scenario.table, live_settings(scenario))
    drawn.reset(*seed_arrays([seed], [0]), np.ones(1, np.bool_))
    jobs: RecordArray = drawn.jobs[0].copy()
    return jobs
