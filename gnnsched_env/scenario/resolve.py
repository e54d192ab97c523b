"""From a scenario to what a simulation needs: the latency table, the arrival rate, the reward's unit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import Fleet
from gnnsched_env.predictors import DEFAULT_PREDICTOR, EXACT, build_table, default_table, with_log_errors
from gnnsched_env.scenario.options import DEFAULT_JOBS, PredictionError, Units, Workload
from gnnsched_env.scenario.scenario import SECTIONS, Scenario
from gnnsched_env.scenario.traces import Trace, read_trace, trace_classes, trace_table
from gnnsched_env.sim import Modulation, SimulationSettings, fleet_capacity
from gnnsched_env.sim.records import JOB_LIMIT
from gnnsched_env.tables import ERROR_LEVELS, LatencyTable
from gnnsched_env.workload import JobClasses, classes_from_files, synthetic_classes


def scenario_table(scenario: Scenario, *, progress: bool | None = None) -> LatencyTable:
    """Return the scenario's latency table: its own, the shipped one, or one built now (and cached on disk).

    It holds the cycles of one inference, whatever the workload's `repeats`, the scenario's prediction error applied;
    and the errors of predictions (`log_errors`) where they are not exact. A scenario's own table is as it was given:
    without `log_errors` its predictions are taken for exact ones, but for the scenario's prediction error.
    `progress`: bars on stderr while it is built (None: if that is a terminal).
    """
    trace = scenario_trace(scenario)
    if trace is None:
        table = _base_table(scenario, progress=progress)
    elif trace.kind == "graph":
        table = trace_table(trace, _graph_table(scenario, trace, progress))
    else:
        table = trace_table(trace, _base_table(scenario, progress=progress))
    if table.log_errors is None:
        table = _with_own_errors(scenario, table)
    return perturbed(table, scenario.prediction_error)


def _with_own_errors(scenario: Scenario, table: LatencyTable) -> LatencyTable:
    """Return the table with its predictor's errors; an exact one's, zeros, only where observations show intervals."""
    if scenario.table is None:
        if scenario.predictor == EXACT and not scenario.environment.intervals:
            return table
        return _with_errors(table, scenario.fleet, scenario.predictor, _state(scenario.predictor))
    if scenario.environment.intervals:
        raise ConfigError(
            f"scenario {scenario.name!r}: intervals of predictions need a LatencyTable with log_errors, got one without"
        )
    return table


def scenario_trace(scenario: Scenario) -> Trace | None:
    """Return the trace that a scenario replays, read and checked (remembered while the file stays the same), or None.

    Raise FileFormatError naming file, line and column where it is bad.
    """
    path = scenario.arrivals.trace
    if path is None:
        return None
    return _trace(path, _state(path))


@dataclass(frozen=True, slots=True)
class TraceSource:
    """The jobs of a trace at a fleet's clock, as a simulation reads them."""

    trace: Trace
    clock_hz: int

    @property
    def num_jobs(self) -> int:
        """Return the number of jobs."""
        return self.trace.num_jobs

    def chunks(self, size: int) -> Iterator[NDArray[np.void]]:
        """Yield all jobs, at most `size` at a time (see `sim.feed.JobSource`)."""
        return self.trace.chunks(self.clock_hz, size=size)


def job_source(scenario: Scenario) -> TraceSource | None:
    """Return where a scenario's jobs are read from, None where they are drawn."""
    trace = scenario_trace(scenario)
    return None if trace is None else TraceSource(trace, scenario.fleet.clock_hz)


@lru_cache(maxsize=8)
def _trace(path: str, state: tuple[int, int]) -> Trace:
    return read_trace(path)


def _graph_table(scenario: Scenario, trace: Trace, progress: bool | None) -> LatencyTable:
    classes = trace_classes(trace, scenario.workload.hidden)
    return build_table(classes, scenario.fleet, predictor=scenario.predictor, progress=progress)


def _base_table(scenario: Scenario, *, progress: bool | None) -> LatencyTable:
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

    `table` holds the cycles of one inference. Microseconds become cycles of the fleet's clock, to the nearest; above 0
    they become at least one.
    """
    trace = scenario_trace(scenario)
    repeats = 1 if trace else scenario.workload.repeats  # a trace's table is of jobs
    rated = repeats / (scenario.environment.load * table_rate(table)) if trace is None else 0.0
    units = Units(
        table=table,
        repeats=repeats,
        clock_hz=scenario.fleet.clock_hz,
        mean_gap=_trace_gap(trace, scenario.fleet) if trace else rated,
        unit=repeats * table.mean_shortest_predicted,
        service=repeats * mean_service(table),
        jobs=trace.num_jobs if trace else DEFAULT_JOBS,
        dispatch=dispatch,
    )
    sections = (getattr(scenario, name) for name in SECTIONS)
    settings = {
        name: value
        for section in sections
        if hasattr(section, "settings")
        for name, value in section.settings(units).items()
    }
    if trace:  # what it brings of deadlines and weights is in its jobs; only that the times are shown is set here
        settings |= {"modulation": Modulation.STEADY, "phases": (), "drift": 0.0}
        settings |= {"priorities": ((1.0, 1.0),), "slack": (0.0, 0.0) if trace.deadlines else None}
    unit = units.unit * (settings["jobs"] if scenario.environment.returns == "mean" else 1)
    return SimulationSettings(mean_gap=units.mean_gap, unit=unit, dispatch=dispatch, repeats=repeats, **settings)


def mean_service(table: LatencyTable) -> float:
    """Return the workload's mean best true latency, cycles: the unit of deadlines and failures."""
    return float(table.weights @ table.true_cycles.min(axis=1))


def perturbed(table: LatencyTable, error: PredictionError) -> LatencyTable:
    """Return the table with its predictions made wrong: times bias x exp(noise x z), at least one cycle."""
    if error.noise == 0.0 and error.bias == 1.0:
        return table
    draws = np.random.default_rng(error.seed).standard_normal(table.predicted_cycles.shape)
    predicted = np.rint(table.predicted_cycles * (error.bias * np.exp(error.noise * draws)))
    cycles = np.clip(predicted, 1, JOB_LIMIT - 1).astype(np.int64)
    noise = float(np.hypot(table.noise, error.noise))
    return replace(table, predicted_cycles=cycles, log_errors=_widened(table, error), noise=noise)


def _widened(table: LatencyTable, error: PredictionError) -> NDArray[np.float64] | None:
    """Return the quantiles of a table's errors with those of a factor bias x exp(noise x z) on predictions on top.

    Predictions whose own errors are not known are taken for exact ones. A bias alone is then not known either.
    """
    log_errors = table.log_errors
    factors = error.noise * ndtri(ERROR_LEVELS) - np.log(error.bias)  # of the symmetric z, as of its negative
    if log_errors is None:
        return np.tile(factors[:, np.newaxis], (1, table.num_choices)) if error.noise else None
    own, columns = np.unique(log_errors, axis=1, return_inverse=True)  # in wide fleets many are equal
    sums = own[:, np.newaxis] + factors[:, np.newaxis]
    quantiles: NDArray[np.float64] = np.quantile(sums.reshape(-1, own.shape[1]), ERROR_LEVELS, axis=0)
    return quantiles[:, columns.reshape(-1)]


@lru_cache(maxsize=64)
def table_rate(table: LatencyTable) -> float:
    """Return the fleet's largest sustainable rate for the table's mix, inferences a cycle."""
    return fleet_capacity(table.true_cycles, table.weights, table.choice_accelerators).rate


def _trace_gap(trace: Trace, fleet: Fleet) -> float:
    """Return the mean gap between a trace's jobs, cycles; of a single job or a single moment, one."""
    span = (trace.last_time_s - trace.first_time_s) * fleet.clock_hz
    return max(1.0, span / max(1, trace.num_jobs - 1))


def _state(path: str) -> tuple[int, int]:
    """Return when a file was changed and its size (zeros where there is none: reading it will say so)."""
    try:
        status = Path(path).stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=16)
def _with_errors(table: LatencyTable, fleet: Fleet, predictor: str, state: tuple[int, int]) -> LatencyTable:
    """Return a table with its predictor's errors, remembered while the predictor's file stays the same."""
    return with_log_errors(table, fleet, predictor=predictor)


@lru_cache(maxsize=16)
def _table(
    fleet: Fleet, workload: Workload, predictor: str, progress: bool | None, states: tuple[tuple[int, int], ...]
) -> LatencyTable:
    """Return a table; `states` of the files only tell a changed one from the one that is remembered."""
    if predictor == DEFAULT_PREDICTOR and workload == Workload():
        return default_table(fleet, progress=progress)
    return build_table(scenario_classes(workload), fleet, predictor=predictor, progress=progress)
