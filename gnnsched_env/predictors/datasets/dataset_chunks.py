"""The files of a labelled data set: a description and one npz file per chunk, checked and written atomically."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common import store
from gnnsched_env.common.disk_cache import code_digest
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import read_json, write_json
from gnnsched_env.common.store import DATASET_CHUNK
from gnnsched_env.hardware import Fleet
from gnnsched_env.predictors.datasets.training_families import TRAINING_FAMILIES
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec
from gnnsched_env.predictors.features import feature_names
from gnnsched_env.predictors.levels import Level
from gnnsched_env.tables import distinct_pairs
from gnnsched_env.version import __version__

Arrays = dict[str, NDArray[Any]]
Settings = dict[str, Any]

FORMAT = 2
STORED_LEVEL = Level.STRUCTURE
DESCRIPTION = "dataset.json"

_CODE = ("graphs", "hardware", "cycles", "workload", "tables", "predictors")


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
        "code": code_digest(*_CODE),
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
