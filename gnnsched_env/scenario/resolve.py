"""From a scenario to what a simulation needs: the latency table, the arrival rate, the reward's unit."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from gnnsched_env.hardware import Fleet, list_fleets, load_fleet
from gnnsched_env.latency import DEFAULT_PREDICTOR, build_table, default_table
from gnnsched_env.scenario.scenario import Scenario, Workload
from gnnsched_env.sim import SimulationSettings, WindowOrder, fleet_capacity
from gnnsched_env.tables import JobClasses, LatencyTable, classes_from_files, synthetic_classes


def scenario_table(scenario: Scenario, *, progress: bool = False) -> LatencyTable:
    """Return the scenario's latency table: its own, the shipped one, or one built now (and cached on disk).

    It holds the cycles of one inference, whatever the workload's `repeats`.
    """
    if scenario.table is not None:
        return scenario.table
    files = (*scenario.workload.graphs, *((scenario.predictor,) if scenario.predictor.endswith(".npz") else ()))
    states = tuple(_state(path) for path in files)
    return _table(scenario.fleet, replace(scenario.workload, repeats=1), scenario.predictor, progress, states)


def scenario_classes(workload: Workload) -> JobClasses:
    """Return the job classes that a workload draws from (without files: synthetic ones, drawn with its seed)."""
    if not workload.graphs:
        return synthetic_classes(model_kind=workload.model, hidden=workload.hidden, seed=workload.seed)
    return classes_from_files(
        workload.graphs,
        model_kind=workload.model,
        hidden=workload.hidden,
        batch_sizes=workload.batch_sizes,
        classes_per_file=workload.classes_per_file,
        seed=workload.seed,
    )


def simulation_settings(scenario: Scenario, table: LatencyTable, *, dispatch: bool) -> SimulationSettings:
    """Return the settings of a simulation of the scenario at its load; the rate follows from the true latencies.

    `table` holds the cycles of one inference. Microseconds become cycles of the fleet's
    clock, to the nearest; above 0 they become at least one.
    """
    options, cost = scenario.environment, scenario.decision
    repeats = scenario.workload.repeats
    rate = options.load * table_rate(table)
    return SimulationSettings(
        mean_gap=repeats / rate,
        unit=repeats * table.mean_shortest_predicted,
        jobs=options.jobs,
        window=1 if dispatch else options.window,
        dispatch=dispatch,
        window_order=WindowOrder[options.window_order.upper()],
        choose_dataflow=options.dataflow == "agent",
        shaped=options.shaping == "drain",
        repeats=repeats,
        decision=_cycles(cost.latency_us, scenario.fleet),
        workers=cost.workers,
        cached=cost.cached,
        lookup=_cycles(cost.lookup_us, scenario.fleet),
    )


@lru_cache(maxsize=64)
def table_rate(table: LatencyTable) -> float:
    """Return the fleet's largest sustainable rate for the table's mix, inferences a cycle."""
    return fleet_capacity(table.true_cycles, table.weights, table.choice_accelerators).rate


def _cycles(microseconds: float, fleet: Fleet) -> int:
    """Return the nearest number of cycles; what costs anything costs at least one."""
    return max(int(microseconds > 0), round(microseconds * fleet.clock_hz / 1e6))


def _state(path: str) -> tuple[int, int]:
    """Return when a file was changed and its size (zeros where there is none: reading it will say so)."""
    try:
        status = Path(path).stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=16)
def _table(
    fleet: Fleet, workload: Workload, predictor: str, progress: bool, states: tuple[tuple[int, int], ...]
) -> LatencyTable:
    """Return a table; `states` of the files only tell a changed one from the one that is remembered."""
    shipped = predictor == DEFAULT_PREDICTOR and workload == Workload()
    if shipped and fleet.name in list_fleets() and fleet == load_fleet(fleet.name):
        return default_table(fleet.name)
    return build_table(scenario_classes(workload), fleet, predictor=predictor, progress=progress)
