"""Small instances whose optima are proved, shipped with the package: `known_optima`."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from gnnsched_env.bounds.instance import Instance, Plan
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.files import read_json, write_whole

FORMAT_VERSION = 1
KNOWN_FILE = "known_optima.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownOptimum:
    """An instance with an optimal schedule, and how an environment plays it.

    The jobs are those of Queue-v0 with a preset `scenario`, `load`, as many `jobs` as the instance has, and `seed`, as
    long as the scenario's fleet is unchanged since the optimum was proved; `check_jobs` checks that.
    `total`: the least sum of completion times (end - release), cycles, proved.
    """

    instance: Instance
    scenario: str
    load: float
    seed: int
    plan: Plan
    total: int

    def check_jobs(self, drawn: Instance) -> None:
        """Raise ConfigError unless the jobs that the scenario draws now are those whose optimum was proved."""
        for name, now, then in (
            ("latency", drawn.latency, self.instance.latency),
            ("release", drawn.release, self.instance.release),
        ):
            if not np.array_equal(now, then):
                raise ConfigError(
                    f"known optimum {self.instance.name!r}: its {name} must match scenario {self.scenario!r}, "
                    "but the fleet, its dataflows or the workload changed since it was proved; "
                    "scripts/studies/build_known_optima.py proves optima anew"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return the known optimum as a JSON-compatible dict."""
        return {
            **self.instance.to_dict(),
            "scenario": self.scenario,
            "load": self.load,
            "jobs": self.instance.num_jobs,
            "seed": self.seed,
            "optimum": {
                "status": "proved",
                "total": self.total,
                "accelerators": self.plan.accelerators.tolist(),
                "starts": self.plan.starts.tolist(),
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_dict` wrote; raise FileFormatError if the schedule is impossible or its total differs."""
        instance = Instance.from_dict(data)
        try:
            found = data["optimum"]
            plan = Plan(
                accelerators=np.array(found["accelerators"], np.int64), starts=np.array(found["starts"], np.int64)
            )
            total, scenario, load, seed = int(found["total"]), data["scenario"], float(data["load"]), int(data["seed"])
            plan.check(instance)
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise FileFormatError(f"{instance.name}: not a known optimum: {type(error).__name__}: {error}") from None
        if (reached := plan.total(instance)) != total:
            raise FileFormatError(f"{instance.name}: the schedule's total must be {total}, got {reached}")
        return cls(instance=instance, scenario=str(scenario), load=load, seed=seed, plan=plan, total=total)


def known_optima(path: str | os.PathLike[str] | None = None) -> tuple[KnownOptimum, ...]:
    """Return the shipped instances with their optima, or those of a file; every schedule is checked.

    Raise FileFormatError if the file is damaged or of another version.
    """
    source = Path(__file__).with_name(KNOWN_FILE) if path is None else Path(path)
    data = read_json(source)
    if data.get("version") != FORMAT_VERSION or not isinstance(entries := data.get("instances"), list):
        raise FileFormatError(f"{source}: must hold known optima of version {FORMAT_VERSION}, got {data!r:.60}")
    try:
        return tuple(KnownOptimum.from_dict(entry) for entry in entries)
    except FileFormatError as error:
        raise FileFormatError(f"{source}: {error}") from None


def write_known_optima(path: str | os.PathLike[str], entries: Sequence[KnownOptimum], about: Mapping[str, Any]) -> None:
    """Write instances with their optima, and `about`: how they were made."""
    lines = ",\n".join(json.dumps(entry.to_dict()) for entry in entries)
    header = f'{{"version": {FORMAT_VERSION}, "about": {json.dumps(dict(about))}, "instances": ['
    write_whole(path, lambda file: file.write(f"{header}\n{lines}\n]}}\n".encode()))
