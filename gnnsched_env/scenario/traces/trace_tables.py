"""From a trace to its job classes and its latency table: one class for each kind of job."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError, FileFormatError, GraphError, did_you_mean
from gnnsched_env.cycles import uses_self_loops
from gnnsched_env.graphs import Graph, GraphSet
from gnnsched_env.hardware import GnnModel, make_model
from gnnsched_env.scenario.traces.trace_file import Trace
from gnnsched_env.scenario.traces.trace_format import TraceKey, parse_graph
from gnnsched_env.sim.records import JOB_BITS, JOB_LIMIT
from gnnsched_env.tables import LatencyTable
from gnnsched_env.workload import JobClasses

IntArray = NDArray[np.int64]


def trace_table(trace: Trace, base: LatencyTable) -> LatencyTable:
    """Return the table of a trace's jobs: class i is `trace.keys[i]`, its latencies and energy times its repeats.

    `base` holds single inferences: of the classes that the trace names, or (for a trace of graphs) a table built from
    `trace_classes`. Weights are the classes' shares of the jobs. ConfigError, naming the line, where `base` lacks a
    class or a job would take 2^40 cycles or more, beyond which policies cannot tell times apart.
    """
    rows = _base_rows(trace, base)
    repeats = np.array([key.repeats for key in trace.keys], np.int64)
    _check_lengths(trace, base, rows)
    factors = repeats[:, np.newaxis]
    return replace(
        base,
        true_cycles=base.true_cycles[rows] * factors,
        predicted_cycles=base.predicted_cycles[rows] * factors,
        energy_pj=None if base.energy_pj is None else base.energy_pj[rows] * factors,
        weights=trace.counts.astype(np.float64),
        mean_log_cycles=base.mean_log_cycles + float(np.average(np.log(repeats), weights=trace.counts)),
        class_names=tuple(_name(key) for key in trace.keys),
        class_groups=base.class_groups[rows],
        provenance={**base.provenance, "trace": {"sha256": trace.digest, "jobs": trace.num_jobs}},
    )


def trace_classes(trace: Trace, hidden: Sequence[int] = (16,)) -> JobClasses:
    """Return the job classes of a trace of graphs: one for each graph (or batch) and model, a group for each file.

    A model goes from its file's F over `hidden` to its G. Names are what `trace_table` looks for.
    """
    if trace.kind != "graph":
        raise ConfigError(f"trace {trace.path}: must have a column 'graph' to give job classes, it names classes")
    jobs: dict[TraceKey, int] = {}
    for key, count in zip(trace.keys, trace.counts.tolist(), strict=True):
        single = replace(key, repeats=1)
        jobs[single] = jobs.get(single, 0) + count
    files = {key: parse_graph(0, key.name).file for key in jobs}
    groups = tuple(dict.fromkeys(files.values()))
    made: dict[TraceKey, tuple[GnnModel, IntArray, Graph]] = {}
    for file in groups:
        source = _load(trace, file)
        for key in (key for key in jobs if files[key] == file):
            model = make_model(key.model, source.num_features, source.num_classes, hidden)
            ids = _graph_ids(trace, key, source)
            made[key] = model, source.degrees(ids, self_loops=uses_self_loops(model)), source.batch(ids)
    counts = np.array(list(jobs.values()), np.float64)
    return JobClasses(
        names=tuple(key.class_name for key in jobs),
        models=tuple(made[key][0] for key in jobs),
        degrees=tuple(made[key][1] for key in jobs),
        weights=counts / counts.sum(),
        groups=np.array([groups.index(files[key]) for key in jobs], np.int64),
        group_names=groups,
        graphs=tuple(made[key][2] for key in jobs),
    )


def _base_rows(trace: Trace, base: LatencyTable) -> IntArray:
    """Return int64 [keys]: the base table's class of each."""
    places: dict[str, int] = {}
    doubled: set[str] = set()
    for i, name in enumerate(base.class_names):
        if places.setdefault(name, i) != i:
            doubled.add(name)
    for key, line in zip(trace.keys, trace.first_lines.tolist(), strict=True):
        name = key.class_name
        if name not in places:
            raise ConfigError(
                f"{trace.path}: line {line}, column {trace.kind}: must be one of the table's {len(places)} classes, "
                f"got {name!r}{did_you_mean(name, places)}"
            )
        if name in doubled:
            raise ConfigError(
                f"{trace.path}: line {line}, column {trace.kind}: must name one class of the table, "
                f"got {name!r}, which several have"
            )
    return np.array([places[key.class_name] for key in trace.keys], np.int64)


def _check_lengths(trace: Trace, base: LatencyTable, rows: IntArray) -> None:
    longest = np.maximum(base.true_cycles, base.predicted_cycles).max(axis=1)[rows].tolist()
    for key, line, cycles in zip(trace.keys, trace.first_lines.tolist(), longest, strict=True):
        if key.repeats * cycles >= JOB_LIMIT:
            raise ConfigError(
                f"{trace.path}: line {line}, column repeats: must keep the job below 2^{JOB_BITS} cycles: at most "
                f"{(JOB_LIMIT - 1) // cycles:,} inferences of up to {cycles:,} cycles, got {key.repeats:,}"
            )


def _name(key: TraceKey) -> str:
    return key.class_name if key.repeats == 1 else f"{key.class_name} ({key.repeats} inferences)"


def _load(trace: Trace, file: str) -> GraphSet:
    try:
        return GraphSet.load(trace.path.parent / file)
    except OSError as error:
        raise FileFormatError(f"{trace.path.parent / file}: cannot be read: {error.strerror or error}") from None
    except GraphError as error:
        raise FileFormatError(str(error)) from None


def _graph_ids(trace: Trace, key: TraceKey, source: GraphSet) -> IntArray:
    wanted = parse_graph(0, key.name)
    first, last = wanted.first or 0, wanted.last or 0
    if last >= len(source) or (wanted.first is None and len(source) > 1):
        raise FileFormatError(f"{trace.path}: {wanted.file} has changed since the trace was checked: got {key.name!r}")
    return np.arange(first, last + 1)
