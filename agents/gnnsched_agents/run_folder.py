"""The folder of a training: its checkpoint, the weights that validated best, and the present ones.

    checkpoint.json   the loop's progress, and the name of the file with the method's state
    method-<n>        that state after iteration n
    best.npz, last.npz   weights with their cards
    best.zip             the best model in its library's format, if the method is another library's
    tensorboard/      events

While a process trains, it holds the folder (`common.folder_lock`).
The checkpoint names the method's file, so that both change at once: when checkpoint.json is replaced.
"""

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.common.files import read_json, write_json

FORMAT = 1
KEYS = {
    "format": int,
    "config": dict,
    "iteration": int,
    "decisions": int,
    "seconds": float,
    "curve": list,
    "method": str,
}
REACHED = ("iteration", "decisions", "minutes", "ratio", "error", "sjf_ratio")  # the fields of an entry of the curve


class RunFolder:
    """Reads and writes the files of a training."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoint(self) -> Path:
        """Return the path of the checkpoint."""
        return self.path / "checkpoint.json"

    @property
    def best(self) -> Path:
        """Return the path of the weights that validated best."""
        return self.path / "best.npz"

    @property
    def model(self) -> Path:
        """Return the path of the best model in its library's format."""
        return self.path / "best.zip"

    @property
    def last(self) -> Path:
        """Return the path of the present weights."""
        return self.path / "last.npz"

    @property
    def events(self) -> Path:
        """Return the folder of TensorBoard's events."""
        return self.path / "tensorboard"

    def read(self) -> dict[str, Any] | None:
        """Return the checkpoint's content, or None if there is none; raise FileFormatError if it is damaged."""
        if not self.checkpoint.exists():
            return None
        kept = read_json(self.checkpoint)
        for name, kind in KEYS.items():
            if not isinstance(kept.get(name), kind):
                raise FileFormatError(
                    f"{self.checkpoint}: must be the checkpoint of a training; {name} is missing or bad"
                )
        if not _sound(kept):
            raise FileFormatError(
                f"{self.checkpoint}: must be the checkpoint of a training; an amount is below 0 or no number"
            )
        if kept["format"] != FORMAT:
            raise FileFormatError(f"{self.checkpoint}: is of format {kept['format']}, this version reads {FORMAT}")
        if Path(kept["method"]).name != kept["method"]:
            raise FileFormatError(
                f"{self.checkpoint}: method must be the name of a file beside it, got {kept['method']!r}"
            )
        return kept

    def write(self, state: dict[str, Any], save_method: Callable[[Path], None]) -> None:
        """Write a checkpoint: the method's state by `save_method`, then checkpoint.json; delete older states."""
        self.path.mkdir(parents=True, exist_ok=True)
        method = self.path / f"method-{state['iteration']}"
        save_method(method)
        write_json(self.checkpoint, {"format": FORMAT, **state, "method": method.name})
        for other in self.path.glob("method-*"):
            if other != method:
                with contextlib.suppress(OSError):
                    other.unlink()


def _sound(kept: dict[str, Any]) -> bool:
    """Return whether the amounts, including those of the curve, are numbers of at least 0."""
    entries = [[entry.get(name) for name in REACHED] if isinstance(entry, dict) else [None] for entry in kept["curve"]]
    values = [kept["iteration"], kept["decisions"], kept["seconds"], *(value for entry in entries for value in entry)]
    return all(isinstance(value, int | float) and math.isfinite(value) and value >= 0 for value in values)
