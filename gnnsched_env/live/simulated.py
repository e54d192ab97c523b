"""A live fleet as the simulator has it: the scenario whose latencies are a profile's table."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import Accelerator, Fleet, load_fleet
from gnnsched_env.live.live_fleet import CLOCK_HZ, LiveFleet
from gnnsched_env.scenario import Scenario, job_source, scenario_table, simulation_settings
from gnnsched_env.scenario.resolve import scenario_trace
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveJobs:
    """The jobs of a scenario's test episode, as a live run plays them and evaluations do.

    `table`: latencies of one inference of C classes, or of a job where the jobs come from a trace; `settings`: those of
    the simulation; `planned`: JOB records [n], by arrival. A job of class c is `repeats[c]` inferences of class
    `served[c]` of the profile (both int64 [C]).
    """

    table: LatencyTable
    settings: SimulationSettings
    planned: RecordArray
    served: NDArray[np.int64]
    repeats: NDArray[np.int64]

    @classmethod
    def of(cls, scenario: Scenario, seed: int) -> Self:
        """Return the jobs of a seed; raise ConfigError where a trace names graphs, whose latencies nobody measured."""
        assert scenario.table is not None
        trace = scenario_trace(scenario)
        if trace is not None and trace.kind == "graph":
            raise ConfigError(f"{trace.path}: must name classes of the table, which were measured, got graphs")
        table = scenario_table(scenario)
        settings = simulation_settings(scenario.with_options(split="test", waiting="free"), table, dispatch=False)
        drawn = Simulation(table, settings, source=job_source(scenario), capacity=settings.jobs)
        drawn.reset(*seed_arrays([seed], [0]), np.ones(1, np.bool_))
        served, repeats = np.arange(table.num_classes), np.full(table.num_classes, scenario.workload.repeats)
        if trace is not None:
            served = np.array([scenario.table.class_names.index(key.class_name) for key in trace.keys], np.int64)
            repeats = np.array([key.repeats for key in trace.keys], np.int64)
        return cls(table=table, settings=settings, planned=drawn.jobs[0].copy(), served=served, repeats=repeats)
