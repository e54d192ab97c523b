"""Labelled data sets on disk: synthetic graphs and layers, their true cycles under each pair of a fleet, features.

The folder holds a description and one npz file per chunk, checked and written atomically. A build that was interrupted
goes on where it stopped, and ends with the same bytes.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common import store
from gnnsched_env.common.disk_cache import code_digest
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import read_json, write_json, write_whole
from gnnsched_env.common.parallel.kept_results import Result
from gnnsched_env.common.parallel.task_runs import Where, run_tasks
from gnnsched_env.common.progress import Advance
from gnnsched_env.common.store import DATASET_CHUNK
from gnnsched_env.hardware import Fleet
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
    where: Where | None = None,
    progress: bool | None = None,
) -> int:
    """Draw, label and describe the jobs, one file per chunk; return the number of chunks built by this call.

    Existing chunks are kept, and damaged ones are built anew with a warning. Raise ConfigError for a folder of other
    settings or of another version of the code, or one that another build writes. The files do not depend on `where`
    chunks are built (None: in one process per core) or on how often the build was interrupted. `progress`: a bar on
    stderr (None: if that is a terminal).
    """
    if where is None:
        where = Where(workers=os.cpu_count() or 1)
    folder = Path(folder)
    settings = dataset_settings(spec, fleet)
    describe(folder, settings)
    files = _ChunkFiles(folder=folder, spec=spec, settings=settings)
    shared = _Labelling(spec=spec, pairs=distinct_pairs(fleet).pairs, settings=settings)
    chunks = range(spec.chunks)
    for _ in run_tasks(_build_chunk, chunks, shared=shared, where=where, keep=files, title="chunks", progress=progress):
        pass
    return len(files.written)


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
    for name in fields:
        if name not in settings:
            raise FileFormatError(f"{folder / DESCRIPTION}: field {name!r} is missing")
    for name, own in (
        ("features", feature_names(STORED_LEVEL)),
        ("families", [family.name for family in TRAINING_FAMILIES]),
    ):
        if settings[name] != list(own):
            raise FileFormatError(
                f"{folder}: {name} must be those of this version of the package, got {_short(settings[name])}; "
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Labelling:
    """What every chunk is built from."""

    spec: DatasetSpec
    pairs: tuple[Pair, ...]
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _ChunkFiles:
    """The chunks in a folder, as what is kept of the tasks that build them; `written` are those of this run."""

    folder: Path
    spec: DatasetSpec
    settings: Settings
    written: list[int] = field(default_factory=list)

    def read(self, task: int) -> Result | None:
        """Return nothing but that the chunk exists and is valid; None, with a warning, where it is damaged."""
        path = chunk_path(self.folder, task)
        if not path.exists():
            return None
        try:
            read_chunk(self.folder, self.spec, self.settings, task)
        except FileFormatError as error:
            print(f"warning: {error}; it is built anew", file=sys.stderr)
            return None
        return {}

    def write(self, task: int, result: Mapping[str, Any]) -> None:
        """Write a chunk's file, whose bytes are the result."""
        path = chunk_path(self.folder, task)
        with _refusing(path):
            write_whole(path, lambda file: file.write(result["file"].tobytes()), parents=False)
        self.written.append(task)


def _build_chunk(shared: _Labelling, chunk: int, advance: Advance) -> Result:
    """Return the bytes of a chunk's file: a worker compresses what it computes."""
    classes = training_chunk(shared.spec, chunk)
    layers = [model.layers[0] for model in classes.models]
    arrays: Arrays = {
        "cycles": pair_cycles(classes, shared.pairs, workers=1),
        "families": classes.groups,
        "vertices": np.array([len(degrees) for degrees in classes.degrees], np.int64),
        "entries": np.array([degrees.sum() for degrees in classes.degrees], np.int64),
        "layers": np.array([(one.in_features, one.combination_features, one.out_features) for one in layers]),
    }
    inputs = job_inputs(classes, shared.pairs, STORED_LEVEL).arrays()
    arrays |= {_INPUT + name: array for name, array in inputs.items()}
    about = {"provenance": provenance_of(shared.settings, chunk)}
    return {"file": np.frombuffer(store.to_bytes(DATASET_CHUNK, about, arrays), np.uint8)}


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
