"""Build a labelled training set: synthetic graphs and layers, their true cycles under every pair of a fleet, features.

python scripts/studies/build_dataset.py --graphs 100000 --seed 0 --out DIR

A build that was interrupted goes on where it stopped when the same command is run again, and ends with the same bytes.
The folder holds a description and one npz file per chunk, checked and written atomically; `load_dataset` reads it.
"""

import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_cli.command import OutFolder, run_command
from gnnsched_env.common import store
from gnnsched_env.common.checks import Integer
from gnnsched_env.common.disk_cache import code_digest
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import PARTIALS, read_json, write_json
from gnnsched_env.common.folder_lock import writing_folder
from gnnsched_env.common.processes import WorkerPool
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.common.store import DATASET_CHUNK
from gnnsched_env.hardware import Fleet, load_fleet
from gnnsched_env.predictors.datasets.labelled_layers import Dataset, Inputs, job_inputs
from gnnsched_env.predictors.datasets.training_families import TRAINING_FAMILIES
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec, training_chunk
from gnnsched_env.predictors.features import feature_names
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.protocol import ROOMS
from gnnsched_env.tables import Pair, distinct_pairs, pair_cycles
from gnnsched_env.version import __version__

IntArray = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]
Settings = dict[str, Any]

FORMAT = 2
STORED_LEVEL = Level.STRUCTURE
DESCRIPTION = "dataset.json"

_OF_PAIRS = ("metadata_terms", "degree_terms")  # inputs whose second axis is the pairs
_INPUT = "inputs."


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Build a labelled training set."""

    out: OutFolder
    """Folder that the data set is written to, and that an interrupted build is continued in."""
    graphs: int = 100_000
    """Number of jobs: each is a graph or a batch of graphs, and a layer."""
    seed: int = 0
    """Seed of the jobs."""
    fleet: str = "big_little"
    """Fleet (preset or TOML file) whose (accelerator, dataflow) pairs are labelled; big_little has all presets'."""
    workers: int | None = None
    """Number of worker processes (by default, one per core)."""
    most_vertices: int = 100_000
    """Largest number of vertices of a graph or a batch."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    program = "python scripts/studies/build_dataset.py"
    return run_command(program, Arguments, run, __doc__, words, stopped="stopped; the same command goes on")


def run(arguments: Arguments) -> None:
    """Build and say what was done."""
    spec = DatasetSpec(graphs=arguments.graphs, seed=arguments.seed, most_vertices=arguments.most_vertices)
    fleet = load_fleet(arguments.fleet)
    start = time.perf_counter()
    built = build_dataset(spec, fleet, arguments.out, workers=arguments.workers)
    print(
        f"{arguments.out}: {spec.graphs} graphs x {len(distinct_pairs(fleet).keys)} pairs, {spec.chunks} chunks, "
        f"{built} built now in {time.perf_counter() - start:.1f} s"
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredDataset:
    """A folder's content: N jobs of one layer each, in order, under P (accelerator, dataflow) pairs.

    `dataset`: inputs, cycles int64 [N, P] and families. `vertices`, `entries` int64 [N] of the matrix that is
    aggregated over; `layers` int64 [N, 3]: in, combination and out features; `chunks` int64 [N]: the chunk that a job
    came from (jobs of one chunk may share graphs and layers, jobs of two never do). `pair_keys`: as
    `tables.distinct_pairs`; `settings`: everything that the data set depends on.
    """

    dataset: Dataset
    vertices: IntArray
    entries: IntArray
    layers: IntArray
    chunks: IntArray
    pair_keys: tuple[str, ...]
    settings: Settings


def build_dataset(
    spec: DatasetSpec,
    fleet: Fleet,
    folder: str | Path,
    *,
    workers: int | None = None,
    progress: bool | None = None,
) -> int:
    """Draw, label and describe the jobs, one file per chunk; return the number of chunks built by this call.

    Existing chunks are kept, and damaged ones are built anew with a warning. Raise ConfigError for a folder of other
    settings or of another version of the code, or one that another build writes. The files do not depend on `workers`
    (None: one per core) or on how often the build was interrupted. `progress`: a bar on stderr (None: if that is a
    terminal).
    """
    if workers is not None:
        workers = Integer(1).check("data set", "workers", workers)
    folder = Path(folder)
    settings = dataset_settings(spec, fleet)
    describe(folder, settings)
    task = _Task(folder=folder, spec=spec, pairs=distinct_pairs(fleet).pairs, settings=settings)
    with writing_folder(folder), progress_bar("data set", spec.graphs, shown=progress) as advance:
        missing = []
        for chunk in range(spec.chunks):
            if _is_whole(task, chunk):
                advance(spec.jobs_of(chunk))
            else:
                missing.append(chunk)
        for chunk in _run(task, missing, min(workers or os.cpu_count() or 1, max(1, len(missing)))):
            advance(spec.jobs_of(chunk))
    return len(missing)


def load_dataset(folder: str | Path, *, fleet: Fleet | None = None, level: Level = STORED_LEVEL) -> StoredDataset:
    """Read a finished data set; with a fleet, the columns of its distinct pairs only, in their order.

    `level`: leave out inputs that need more. Raise FileFormatError for a folder without a data set, for missing or
    damaged chunks, or features of another version, and ConfigError for a fleet with pairs that were not labelled.
    """
    folder = Path(folder)
    settings = read_settings(folder)
    check_version(folder, settings)
    fields = DatasetSpec.__dataclass_fields__
    spec = DatasetSpec(**{field: settings[field] for field in fields})
    missing = [chunk for chunk in range(spec.chunks) if not chunk_path(folder, chunk).exists()]
    if missing:
        raise FileFormatError(
            f"{folder}: {len(missing)} of {spec.chunks} chunks are missing, first "
            f"{chunk_path(folder, missing[0]).name}; run the same build again to complete the data set"
        )
    parts = [read_chunk(folder, spec, settings, chunk) for chunk in range(spec.chunks)]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    columns = _columns(folder, settings["pairs"], fleet)
    return StoredDataset(
        dataset=_dataset(joined, settings["pairs"], columns, level),
        vertices=joined["vertices"],
        entries=joined["entries"],
        layers=joined["layers"],
        chunks=np.repeat(np.arange(spec.chunks), [spec.jobs_of(chunk) for chunk in range(spec.chunks)]),
        pair_keys=tuple(settings["pairs"][column] for column in columns),
        settings=settings,
    )


def dataset_settings(spec: DatasetSpec, fleet: Fleet) -> Settings:
    """Return everything that the files depend on, in JSON: sizes, seed, hardware, features, versions, sources."""
    return {
        "format": FORMAT,
        **asdict(spec),
        "fleet": fleet.digest(),
        "pairs": list(distinct_pairs(fleet).keys),
        "features": list(feature_names(STORED_LEVEL)),
        "families": [family.name for family in TRAINING_FAMILIES],
        "package": __version__,
        "numpy": np.__version__,
        "code": code_digest(*ROOMS),
    }


def chunk_path(folder: Path, chunk: int) -> Path:
    """Return the path of a chunk's file."""
    return folder / f"chunk-{chunk:05d}.npz"


def provenance_of(settings: Settings, chunk: int) -> Settings:
    """Return everything that a chunk depends on; not their number, so that a larger set begins with the same chunks."""
    return {"chunk": chunk} | {name: value for name, value in settings.items() if name != "graphs"}


def describe(folder: Path, settings: Settings) -> None:
    """Write the description, or raise ConfigError if the folder has a different one."""
    if not (folder / DESCRIPTION).exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be made a folder: {error.strerror or error}") from None
        with _refusing(folder / DESCRIPTION):
            write_json(folder / DESCRIPTION, settings, parents=False)
        return
    found = read_settings(folder)
    if found == settings:
        return
    field = next(name for name in {**settings, **found} if settings.get(name) != found.get(name))
    if field == "code":
        detail = "made by another version of the package's sources"
    else:
        detail = f"with {field} {_short(found.get(field))}, not {_short(settings.get(field))}"
    raise ConfigError(f"{folder}: holds a data set {detail}; choose another folder or remove this one")


def read_settings(folder: Path) -> Settings:
    """Return the description of the data set in a folder."""
    path = folder / DESCRIPTION
    if not path.exists():
        raise FileFormatError(f"{folder}: no data set here, {DESCRIPTION} is missing")
    settings = read_json(path)
    if settings.get("format") != FORMAT:
        raise FileFormatError(f"{path}: format must be {FORMAT}, got {_short(settings)}")
    return settings


def check_version(folder: Path, settings: Settings) -> None:
    """Raise FileFormatError if a description lacks a field, or its features or families are not this version's."""
    fields = (*DatasetSpec.__dataclass_fields__, "pairs", "features", "families")
    for field in fields:
        if field not in settings:
            raise FileFormatError(f"{folder / DESCRIPTION}: field {field!r} is missing")
    for field, own in (
        ("features", feature_names(STORED_LEVEL)),
        ("families", [family.name for family in TRAINING_FAMILIES]),
    ):
        if settings[field] != list(own):
            raise FileFormatError(
                f"{folder}: {field} must be those of this version of the package, got {_short(settings[field])}; "
                "rebuild the data set"
            )


def read_chunk(folder: Path, spec: DatasetSpec, settings: Settings, chunk: int) -> Arrays:
    """Return a chunk's arrays, after checking their provenance, hash and lengths."""
    path = chunk_path(folder, chunk)
    stored = store.load(path, DATASET_CHUNK)
    arrays = stored.arrays
    if stored.manifest.get("provenance") != provenance_of(settings, chunk):
        raise FileFormatError(f"{path}: this chunk belongs to another data set than {DESCRIPTION} describes")
    wrong = {name: len(array) for name, array in arrays.items() if len(array) != spec.jobs_of(chunk)}
    if wrong:
        raise FileFormatError(f"{path}: arrays must have {spec.jobs_of(chunk)} entries, one per job, got {wrong}")
    return arrays


def write_chunk(folder: Path, settings: Settings, chunk: int, arrays: Arrays) -> None:
    """Write a chunk's file; equal arrays give equal bytes."""
    path = chunk_path(folder, chunk)
    with _refusing(path):
        store.save(path, DATASET_CHUNK, {"provenance": provenance_of(settings, chunk)}, arrays, parents=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A worker's settings for building any chunk; picklable."""

    folder: Path
    spec: DatasetSpec
    pairs: tuple[Pair, ...]
    settings: Settings

    def build(self, chunk: int) -> int:
        """Write one chunk; return its number."""
        classes = training_chunk(self.spec, chunk)
        layers = [model.layers[0] for model in classes.models]
        arrays: Arrays = {
            "cycles": pair_cycles(classes, self.pairs, workers=1),
            "families": classes.groups,
            "vertices": np.array([len(degrees) for degrees in classes.degrees], np.int64),
            "entries": np.array([degrees.sum() for degrees in classes.degrees], np.int64),
            "layers": np.array([(one.in_features, one.combination_features, one.out_features) for one in layers]),
        }
        inputs = job_inputs(classes, self.pairs, STORED_LEVEL).arrays()
        arrays |= {_INPUT + name: array for name, array in inputs.items()}
        write_chunk(self.folder, self.settings, chunk, arrays)
        return chunk


def _run(task: _Task, chunks: Sequence[int], workers: int) -> Iterator[int]:
    """Build chunks, in worker processes if there are several workers; yield each chunk's number once written."""
    try:
        if workers == 1 or multiprocessing.parent_process() is not None:
            yield from map(task.build, chunks)
            return
        with WorkerPool(workers) as pool:
            for done in as_completed([pool.submit(task.build, chunk) for chunk in chunks]):
                yield done.result()
    except BrokenProcessPool:
        raise ConfigError(
            f"{task.folder}: a worker process died (out of memory, killed, or a script without "
            "`if __name__ == '__main__':`); run the same build again to go on, perhaps with fewer workers"
        ) from None
    finally:
        for partial in task.folder.glob(PARTIALS):  # left behind by workers that were killed
            partial.unlink(missing_ok=True)


def _is_whole(task: _Task, chunk: int) -> bool:
    """Return whether the chunk exists and is valid; warn if it is damaged."""
    path = chunk_path(task.folder, chunk)
    if not path.exists():
        return False
    try:
        read_chunk(task.folder, task.spec, task.settings, chunk)
    except FileFormatError as error:
        print(f"warning: {error}; it is built anew", file=sys.stderr)
        return False
    return True


def _columns(folder: Path, keys: list[str], fleet: Fleet | None) -> list[int]:
    """Return the places of the fleet's distinct pairs among the labelled ones."""
    if fleet is None:
        return list(range(len(keys)))
    wanted = distinct_pairs(fleet).keys
    if absent := [key for key in wanted if key not in keys]:
        raise ConfigError(
            f"{folder}: fleet {fleet.name!r} needs {len(wanted)} (accelerator, dataflow) pairs, of which {len(absent)} "
            f"are not among the {len(keys)} labelled here, first {absent[0]}"
        )
    return [keys.index(key) for key in wanted]


def _dataset(joined: Arrays, keys: list[str], columns: list[int], level: Level) -> Dataset:
    arrays = {name.removeprefix(_INPUT): array for name, array in joined.items() if name.startswith(_INPUT)}
    arrays |= {name: arrays[name][:, columns] for name in _OF_PAIRS}
    arrays["features"] = arrays["features"][:, : len(feature_names(level))]
    if level.rank < Level.DEGREES.rank:
        arrays["degree_terms"] = arrays["degree_terms"][:, :0]
    arrays["owners"] = np.arange(len(arrays["features"]))
    return Dataset(
        inputs=Inputs.from_arrays(arrays),
        cycles=joined["cycles"][:, columns],
        families=joined["families"],
        family_names=tuple(family.name for family in TRAINING_FAMILIES),
        pair_keys=tuple(keys[column] for column in columns),
    )


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Convert an OSError of a write into a FileFormatError."""
    try:
        yield
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be written: {error.strerror or error}") from None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


if __name__ == "__main__":
    sys.exit(main())
