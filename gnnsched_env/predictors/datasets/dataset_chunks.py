"""The files of a labelled data set: a description and one npz file a chunk, checked and written whole."""

import contextlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.disk_cache import code_digest
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import write_npz, write_whole
from gnnsched_env.hardware import Fleet
from gnnsched_env.predictors.datasets.training_families import TRAINING_FAMILIES
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec
from gnnsched_env.predictors.features import feature_names
from gnnsched_env.predictors.levels import Level
from gnnsched_env.tables import distinct_pairs
from gnnsched_env.version import __version__

Arrays = dict[str, NDArray[Any]]
Settings = dict[str, Any]

FORMAT = 1
STORED_LEVEL = Level.STRUCTURE
DESCRIPTION = "dataset.json"

_CODE = ("graphs", "hardware", "cycles", "workload", "tables", "predictors")
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def dataset_settings(spec: DatasetSpec, fleet: Fleet) -> Settings:
    """Return all that the files depend on, as JSON has it: sizes, seed, hardware, features, versions, sources."""
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
    """Return where a chunk is kept."""
    return folder / f"chunk-{chunk:05d}.npz"


def provenance_of(settings: Settings, chunk: int) -> str:
    """Return JSON of all that a chunk depends on: not how many there are, so that a larger set begins with it."""
    return json.dumps({"chunk": chunk} | {name: value for name, value in settings.items() if name != "graphs"})


def describe(folder: Path, settings: Settings) -> None:
    """Write the description, or compare with the one that is there."""
    if not (folder / DESCRIPTION).exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be made a folder: {error.strerror or error}") from None
        text = json.dumps(settings, indent=1)
        with _refusing(folder / DESCRIPTION):
            write_whole(folder / DESCRIPTION, lambda file: file.write(text.encode()), parents=False)
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
    try:
        settings = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise FileFormatError(f"{folder}: no data set here, {DESCRIPTION} is missing") from None
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path}: cannot be read: {error}") from None
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise FileFormatError(f"{path}: format must be {FORMAT}, got {_short(settings)}")
    return settings


def check_version(folder: Path, settings: Settings) -> None:
    """Refuse a description that lacks a field, or whose features or families are not today's."""
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
                "build the data set anew"
            )


def read_chunk(folder: Path, spec: DatasetSpec, settings: Settings, chunk: int) -> Arrays:
    """Return a chunk's arrays but its provenance, once that and all checksums and lengths are right."""
    path = chunk_path(folder, chunk)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}  # the archive holds a checksum of each array
        provenance = str(arrays.pop("provenance"))
    except _DAMAGED as error:
        raise FileFormatError(f"{path}: damaged chunk ({' '.join(str(error).split())})") from None
    if provenance != provenance_of(settings, chunk):
        raise FileFormatError(f"{path}: this chunk belongs to another data set than {DESCRIPTION} describes")
    wrong = {name: len(array) for name, array in arrays.items() if len(array) != spec.jobs_of(chunk)}
    if wrong:
        raise FileFormatError(f"{path}: arrays must have {spec.jobs_of(chunk)} entries, one a job, got {wrong}")
    return arrays


def write_chunk(path: Path, arrays: Arrays) -> None:
    """Write an npz file; equal arrays give equal bytes (numpy stamps members with a fixed time)."""
    with _refusing(path):
        write_npz(path, arrays, parents=False)


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what the system says of a write into a FileFormatError."""
    try:
        yield
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be written: {error.strerror or error}") from None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
