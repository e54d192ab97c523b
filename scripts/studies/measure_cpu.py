"""Measure three ways to run a GCN layer on this machine's CPU, one thread, and write a CSV file.

python scripts/studies/measure_cpu.py --graphs A.npz B.npz --out cpu.csv

A layer is ((A + I) X) W, in float32, run in the ways of `live.devices.layer_ways`. No graph is too large for a way,
though it may be too slow (MOST_OPERATIONS). What is timed is the thread's CPU time: on an idle machine the wall-clock
time, and elsewhere without the waits for other processes. An interrupted run keeps the finished jobs, and the same
command goes on after them.
"""

import csv
import io
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gnnsched_cli.command import OutFile, run_command
from gnnsched_env.common.errors import ConfigError, FileFormatError, needs_extra
from gnnsched_env.common.files import write_whole
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.graphs import Graph, GraphSet, graph_file, load_graph_set
from gnnsched_env.graphs.generators import RmatParameters, draw_graphs, rmat_graph
from gnnsched_env.live.devices.layer_ways import LayerInput, dense_operations, layer_input, one_thread, run_layer
from gnnsched_env.predictors.graph_scores import ScoringSpec, draw_batches, load_distinct_sets
from gnnsched_env.predictors.measured.measurements import (
    COLUMNS,
    SYNTHETIC_PREFIX,
    MeasuredJob,
    load_measurements,
    measured_cells,
    relative_file,
)
from gnnsched_env.workload.job_classes import log_uniform

SYNTHETIC_FAMILIES = ("molecule", "ego", "rmat", "citation", "uniform", "dense")
POOL = 64  # graphs of a synthetic file
HIDDEN = 16
SYNTHETIC_WIDTHS = (1, 2_048), (2, 64)
MOST_VERTICES = 6_000  # most vertices of a synthetic batch
MOST_WORK = 4e9  # most multiply-adds of a dense product of a synthetic job
MOST_OPERATIONS = 1 << 37  # limit on multiply-adds of the slowest way: takes seconds, while most jobs take microseconds
WARM_UPS = 2
LEAST_REPEATS, MOST_REPEATS = 7, 101
ENOUGH_SECONDS = 0.05  # repeats end after this time, or after MOST_REPEATS


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Measure three ways to run a GCN layer on this machine's CPU, one thread, and write a CSV file."""

    graphs: tuple[Path, ...] = ()
    """Graph files (.npz) or TU folders; batches of 1, 4, 16 and 64, layers F -> 16 and 16 -> G."""
    out: OutFile
    """CSV file to write; jobs that an existing one lacks are added to it."""
    samples: int = 8
    """Number of batches of each size, from each graph file."""
    synthetic: int = 40
    """Number of jobs of each synthetic family, whose graph sets are written beside the CSV file; 0: none."""
    seed: int = 0
    """Seed of the batches and of the synthetic graphs."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/measure_cpu.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Measure what the file lacks."""
    for name, value, least in (("samples", arguments.samples, 1), ("synthetic", arguments.synthetic, 0)):
        if value < least:
            raise ConfigError(f"--{name} must be at least {least}, got {value}")
    folder = arguments.out.parent
    synthetic = write_synthetic_sets(folder / "graphs", seed=arguments.seed) if arguments.synthetic else []
    jobs = draw_jobs(
        arguments.graphs,
        synthetic,
        folder,
        samples=arguments.samples,
        synthetic_count=arguments.synthetic,
        seed=arguments.seed,
    )
    if not jobs:
        raise ConfigError("--graphs: needs at least one graph file where --synthetic is 0")
    bar = progress_bar("measuring", 2 * len(jobs), shown=None)
    with needs_extra("measuring", "gnn"), one_thread(), bar as advance:
        left_out = append_measurements(arguments.out, jobs, measure, advance)
    for reason in left_out:
        print(f"left out: {reason}", file=sys.stderr)
    measured = load_measurements(arguments.out)
    floor = "unknown" if (noise := measured.noise()) is None else f"{100 * noise:.1f} %"
    print(f"{arguments.out}: {len(measured.jobs)} jobs, noise floor {floor}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The median microseconds of one choice, and the number of repeats."""

    microseconds: float
    repeats: int


Measure = Callable[[Graph, int, int], Mapping[str, Reading]]
"""Function from (graph, in_features, out_features) to each choice's reading; a `ConfigError` skips the job."""


WAYS = ("csr_spmm", "gather_scatter", "dense_gemm")
"""The choices of this device, by name; each is timed from CSR arrays to the layer's output."""


def measure(graph: Graph, in_features: int, out_features: int) -> dict[str, Reading]:
    """Return each way's latency. Run it inside `one_thread()`.

    Raises `ConfigError` for a graph beyond MOST_OPERATIONS.
    """
    work = dense_operations(graph, in_features, out_features)
    if work > MOST_OPERATIONS:
        raise ConfigError(
            f"{graph.name}: V^2 F + V F G must be at most {MOST_OPERATIONS:.2g} to be measured, got {work:.2g}"
        )
    layer = layer_input(graph, in_features, out_features)
    return {way: _time(way, layer) for way in WAYS}


def _time(way: str, layer: LayerInput) -> Reading:
    for _ in range(WARM_UPS):
        run_layer(way, layer)
    taken: list[int] = []
    while len(taken) < LEAST_REPEATS or (sum(taken) < 1e9 * ENOUGH_SECONDS and len(taken) < MOST_REPEATS):
        start = time.thread_time_ns()
        run_layer(way, layer)
        taken.append(time.thread_time_ns() - start)
    return Reading(microseconds=float(np.median(taken)) / 1_000, repeats=len(taken))


def write_synthetic_sets(folder: str | Path, *, seed: int = 0, pool: int = POOL) -> list[Path]:
    """Write a graph set for each synthetic family into the folder, unless it exists; return the files."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for place, family in enumerate(SYNTHETIC_FAMILIES):
        path = folder / f"{SYNTHETIC_PREFIX}{family}_{seed}.npz"
        if not path.exists():
            rng = np.random.default_rng((seed, place))
            graphs = _draw(family, rng, pool)
            GraphSet.from_graphs(graphs, name=path.stem, num_features=HIDDEN, num_classes=HIDDEN).save(path)
        paths.append(path)
    return paths


def draw_jobs(
    graphs: Sequence[Path],
    synthetic: Sequence[Path],
    folder: Path,
    *,
    samples: int,
    synthetic_count: int,
    seed: int = 0,
) -> list[MeasuredJob]:
    """Return the jobs of graph files and of synthetic ones, shuffled so that a slowdown affects all files alike."""
    jobs = [job for path in graphs for job in real_jobs(path, folder, samples=samples, seed=seed)]
    jobs += [job for path in synthetic for job in synthetic_jobs(path, folder, count=synthetic_count, seed=seed)]
    unique = list(dict.fromkeys(jobs))
    return [unique[i] for i in np.random.default_rng(seed).permutation(len(unique))]


def real_jobs(path: str | Path, folder: str | Path, *, samples: int, seed: int = 0) -> list[MeasuredJob]:
    """Return jobs of a graph file: `samples` batches of each size, the layers F -> 16 and 16 -> G taking turns.

    A file of one graph gives one job of each layer. `folder` is the CSV's: files are named relative to it.
    """
    graphs, name = load_graph_set(path), relative_file(graph_file(path), Path(folder))
    layers = (graphs.num_features, HIDDEN), (HIDDEN, graphs.num_classes)
    if len(graphs) == 1:
        return [MeasuredJob(name, (0,), *layer) for layer in layers]
    batches = draw_batches(graphs, ScoringSpec(samples=samples, seed=seed))
    return [MeasuredJob(name, tuple(sorted(ids.tolist())), *layers[i % 2]) for i, ids in enumerate(batches)]


def synthetic_jobs(path: str | Path, folder: str | Path, *, count: int, seed: int = 0) -> list[MeasuredJob]:
    """Return jobs of a synthetic file: batches of 1..64, F and G log-uniform over 1..2,048 and 2..64.

    Batches are cut to MOST_VERTICES vertices, and widths drawn again where a dense product would pass MOST_WORK.
    """
    graphs, name = load_graph_set(path), relative_file(graph_file(path), Path(folder))
    sizes = np.diff(graphs.graph_ptr)
    rng = np.random.default_rng((seed, int(graphs.digest()[:16], 16)))
    jobs: dict[MeasuredJob, None] = {}
    while len(jobs) < count:
        ids = rng.choice(len(graphs), min(len(graphs), log_uniform(rng, 1, 64)), replace=False)
        ids = ids[: max(1, int(np.searchsorted(np.cumsum(sizes[ids]), MOST_VERTICES, side="right")))]
        width_in, width_out = (log_uniform(rng, *widths) for widths in SYNTHETIC_WIDTHS)
        vertices = int(sizes[ids].sum())
        if vertices * width_in * (vertices + width_out) <= MOST_WORK:
            jobs[MeasuredJob(name, tuple(sorted(ids.tolist())), width_in, width_out)] = None
    return list(jobs)


def append_measurements(
    path: str | Path, jobs: Sequence[MeasuredJob], measure: Measure, advance: Callable[[int], None]
) -> list[str]:
    """Measure the jobs that the CSV file lacks, then all again; return why jobs were left out.

    The second measurements start after all first ones, so that the noise floor covers changes over minutes, not only
    over milliseconds. Each measurement is added at once, by an atomic write of the file, so that a killed run leaves
    complete jobs and the next run continues after them. `advance` is called twice per job. Before measuring, an error
    is raised if two graph files, including those named in the CSV file, hold the same graphs.
    """
    path = Path(path)
    rows = _existing(path)
    names = sorted({job.graph_file for job in (*rows, *jobs)})
    left_out, sets = [], load_distinct_sets([path.parent / name for name in names]) if names else {}
    for second in (False, True):
        for job in jobs:
            advance(1)
            own = rows.get(job)
            if own is None if second else own is not None:
                continue  # skipped; measured before
            if own is not None and all(row["again"] for row in own.values()):
                continue
            graph = sets[path.parent / job.graph_file].batch(job.graph_ids)
            try:
                readings = measure(graph, job.in_features, job.out_features)
            except ConfigError as error:
                left_out.append(str(error))
                continue
            rows[job] = _filled(job, own, readings)
            _write(path, (row for of_job in rows.values() for row in of_job.values()))
    return left_out


def _existing(path: Path) -> dict[MeasuredJob, dict[str, Mapping[str, str]]]:
    """Return the rows of a file written here before, by job and choice."""
    if not path.exists():
        return {}
    rows = measured_cells(path)
    if any(tuple(row) != COLUMNS for own in rows.values() for row in own.values()):
        raise FileFormatError(f"{path}: the columns of an existing file must be {', '.join(COLUMNS)}")
    return rows


def _filled(
    job: MeasuredJob, own: Mapping[str, Mapping[str, str]] | None, readings: Mapping[str, Reading]
) -> dict[str, Mapping[str, str]]:
    """Return a job's rows: new ones, or those it has with the second measurement filled in."""
    if own is None:
        return {choice: _row(job, choice, reading) for choice, reading in readings.items()}
    return {choice: {**row, "again": f"{readings[choice].microseconds:.3f}"} for choice, row in own.items()}


def _row(job: MeasuredJob, choice: str, reading: Reading) -> dict[str, str]:
    return {
        "graph_file": job.graph_file,
        "graph_ids": " ".join(map(str, job.graph_ids)),
        "in_features": str(job.in_features),
        "out_features": str(job.out_features),
        "choice": choice,
        "microseconds": f"{reading.microseconds:.3f}",
        "again": "",
        "repeats": str(reading.repeats),
    }


def _write(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, lambda file: file.write(text.getvalue().encode()))


def _draw(family: str, rng: np.random.Generator, count: int) -> Sequence[Graph]:
    if family not in ("uniform", "dense"):
        return draw_graphs(family, rng, count)
    return [_uniform(rng) if family == "uniform" else _dense(rng) for _ in range(count)]


def _uniform(rng: np.random.Generator) -> Graph:
    vertices = log_uniform(rng, 4, 4_000)
    return _equal_quadrants(rng, vertices, vertices * log_uniform(rng, 1, min(32, vertices - 1)) // 2)


def _dense(rng: np.random.Generator) -> Graph:
    vertices = log_uniform(rng, 4, 512)
    return _equal_quadrants(rng, vertices, int(rng.uniform(0.1, 0.9) * vertices * vertices / 2))


def _equal_quadrants(rng: np.random.Generator, vertices: int, edges: int) -> Graph:
    parameters = RmatParameters(vertices=vertices, edges=max(1, edges), a=0.25, b=0.25, c=0.25)
    return rmat_graph(rng, parameters, connected=False)


if __name__ == "__main__":
    sys.exit(main())
