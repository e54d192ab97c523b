"""A copy of the hardware presets that tests edit, as a user would, and that the package reads instead of its own."""

import shutil
from pathlib import Path
from typing import Any

from gnnsched_env.hardware import Fleet, catalogue, energy, toml_format
from gnnsched_env.predictors import DatasetSpec, build_table, latency_tables
from gnnsched_env.scenario import resolve
from gnnsched_env.tables import LatencyTable
from gnnsched_env.workload import JobClasses

READERS = (
    catalogue._preset_dataflows,
    catalogue._preset_accelerators,
    catalogue._preset_fleet,
    energy._presets,
    latency_tables._default_table,
    resolve._table,
)
"""Functions that remember what they read."""


TINY = DatasetSpec(graphs=60, seed=1, most_vertices=500)


class EditedPresets:
    """The presets in a folder of their own; after each edit the package reads them again.

    `built`: the names of the fleets that the embedded workload's table was built for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.built: list[str] = []
        shutil.copytree(toml_format.preset_folder(), folder)

    def build(self, classes: JobClasses, fleet: Fleet, **options: Any) -> LatencyTable:
        """Build a table, the predictor trained on few graphs."""
        self.built.append(fleet.name)
        return build_table(classes, fleet, training=TINY, **options)

    def write(self, name: str, text: str) -> None:
        """Write a file of the presets, say "fleets/mine.toml"."""
        (self.folder / name).write_text(text, encoding="utf-8")
        forget()

    def read(self, name: str) -> str:
        """Return the text of a file of the presets."""
        return (self.folder / name).read_text(encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace a text that must be in the file."""
        text = self.read(name)
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new))

    def insert(self, name: str, entry: str, *, place: int) -> None:
        """Insert a table, say a [[dataflow]], before the one that stands at a place; -1 is after the last."""
        kind = entry.partition("\n")[0]
        head, *entries = self.read(name).split(f"{kind}\n")
        entries.insert(len(entries) if place < 0 else place, entry.removeprefix(f"{kind}\n") + "\n")
        self.write(name, head + "".join(f"{kind}\n{rest}" for rest in entries))

    def reverse(self, name: str, kind: str) -> None:
        """Turn the order of a file's tables of a kind round."""
        head, *entries = self.read(name).split(f"[[{kind}]]\n")
        self.write(name, head + "".join(f"[[{kind}]]\n{rest.rstrip()}\n\n" for rest in reversed(entries)))

    def remove(self, name: str, kind: str, entry: str) -> None:
        """Remove the table of a name."""
        head, *entries = self.read(name).split(f"[[{kind}]]\n")
        kept = [rest for rest in entries if f'name = "{entry}"' not in rest]
        assert len(kept) == len(entries) - 1, f"{name} has no {kind} {entry}"
        self.write(name, head + "".join(f"[[{kind}]]\n{rest}" for rest in kept))


def forget() -> None:
    """Make the package read its presets again."""
    for reader in READERS:
        reader.cache_clear()
