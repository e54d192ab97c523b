"""Results of tasks on disk, each under a hash of all that it depends on, so that a run that was stopped goes on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gnnsched_env.common import store
from gnnsched_env.common.disk_cache import content_key, warn
from gnnsched_env.common.errors import FileFormatError, GnnSchedError

Result = dict[str, Any]
"""What a task returns: values as JSON has them, and arrays without objects, by name."""


class Keep(Protocol):
    """What is kept of tasks in a folder."""

    @property
    def folder(self) -> Path:
        """The folder, which nothing else writes meanwhile."""
        ...

    def read(self, task: Any) -> Result | None:
        """Return a task's result; None where there is none, or none that is whole."""
        ...

    def write(self, task: Any, result: Mapping[str, Any]) -> None:
        """Keep a task's result, atomically."""
        ...


@dataclass(frozen=True, kw_only=True)
class KeptResults:
    """A folder that results are kept in.

    `about` is a hash of all that every task depends on besides itself: the shared data, the sources, the versions.
    Tasks are values as JSON has them, or dataclasses of such.
    """

    folder: Path
    about: str

    def path(self, task: Any) -> Path:
        """Return where a task's result is kept."""
        plain = asdict(task) if is_dataclass(task) and not isinstance(task, type) else task
        return self.folder / f"{content_key(about=self.about, task=plain)}.npz"

    def read(self, task: Any) -> Result | None:
        """Return what is kept of a task; None where nothing is, or, with a warning, where it is damaged."""
        path = self.path(task)
        if not path.exists():
            return None
        try:
            stored = store.load(path, store.TASK_RESULT)
            return {**json.loads(stored.manifest["values"]), **stored.arrays}
        except (FileFormatError, KeyError, TypeError, ValueError) as error:
            warn(f"{path}: a damaged result is computed anew ({error})")
            return None

    def write(self, task: Any, result: Mapping[str, Any]) -> None:
        """Keep a task's result."""
        arrays = {name: value for name, value in result.items() if isinstance(value, np.ndarray)}
        values = {name: value for name, value in result.items() if name not in arrays}
        text = json.dumps(values)  # as one text, which keeps the order of what records hold
        store.save(self.path(task), store.TASK_RESULT, {"values": text}, arrays)


def plain_result(result: Any) -> Result:
    """Return a result as it would be read back from disk, so that kept and new results are equal.

    Raise GnnSchedError for one that is no mapping of JSON values and arrays.
    """
    if not isinstance(result, Mapping):
        raise GnnSchedError(f"task: its result must be a mapping of JSON values and arrays, got {result!r:.80}")
    arrays = {name: value for name, value in result.items() if isinstance(value, np.ndarray)}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise GnnSchedError(f"task: array {name!r} of its result must hold no Python objects, got {array.dtype}")
    try:
        values: Result = json.loads(json.dumps({name: value for name, value in result.items() if name not in arrays}))
    except (TypeError, ValueError) as error:
        raise GnnSchedError(f"task: its result must be a mapping of JSON values and arrays ({error})") from None
    return values | arrays
