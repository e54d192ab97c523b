"""The classes of jobs that a live fleet serves: those that a scenario makes of the same graph files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import check_known
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import Graph, graph_file, load_graph_set
from gnnsched_env.live.devices.live_device import DeviceJobs
from gnnsched_env.live.live_fleet import LiveFleet
from gnnsched_env.predictors.graph_scores import load_distinct_sets
from gnnsched_env.predictors.measured.measurements import MeasuredJob, relative_file
from gnnsched_env.scenario import Workload
from gnnsched_env.scenario.resolve import scenario_classes
from gnnsched_env.workload import JobClasses
from gnnsched_env.workload.job_classes import class_batches

RECORDED = ("graphs", "model", "hidden", "batch_sizes", "classes_per_file", "seed")  # of a workload


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServedClasses:
    """C classes of a workload with graph files; `files` and `ids` say which graphs of which file each one runs on."""

    workload: Workload
    classes: JobClasses
    files: tuple[Path, ...]
    ids: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(cls, workload: Workload) -> Self:
        """Return the classes of a workload; raise ConfigError where it names no graph files."""
        if not workload.graphs:
            raise ConfigError("live workload: graphs must name at least one graph file, got none")
        load_distinct_sets(workload.graphs)
        files, ids = [], []
        for path in workload.graphs:
            graphs = load_graph_set(path)
            batches = class_batches(
                graphs,
                batch_sizes=workload.batch_sizes,
                classes_per_file=workload.classes_per_file,
                seed=workload.seed,
            )
            files += [graph_file(path)] * len(batches)
            ids += batches
        return cls(workload=workload, classes=scenario_classes(workload), files=tuple(files), ids=tuple(ids))

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the classes that `to_dict` described; raise ConfigError where a file has other graphs since."""
        if not isinstance(data, dict) or "digest" not in data:
            raise ConfigError("live workload: the table does not say which graphs it is of; profile the fleet anew")
        check_known("live workload", data, (*RECORDED, "digest"))
        made = cls.of(Workload(**{name: data[name] for name in RECORDED if name in data}))
        if made.classes.digest() != data["digest"]:
            raise ConfigError(
                f"live workload: the graphs of {', '.join(made.workload.graphs)} must be those that were profiled, but "
                "have changed since"
            )
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return what makes the classes, as JSON has it, with absolute paths and a hash of the classes."""
        told = {name: getattr(self.workload, name) for name in RECORDED}
        named = [str(Path(name).resolve()) if Path(name).exists() else name for name in told["graphs"]]
        return {**told, "graphs": named, "digest": self.classes.digest()}

    def device_jobs(self, fleet: LiveFleet, device: int, latencies: NDArray[np.int64] | None) -> DeviceJobs:
        """Return what a device must know; `latencies` int64 [C, K] of all choices, nanoseconds."""
        assert self.classes.graphs is not None
        own = np.flatnonzero(fleet.choice_devices == device)
        return DeviceJobs(
            names=self.classes.names,
            graphs=self.classes.graphs,
            models=self.classes.models,
            choices=fleet.devices[device].choices,
            latencies=None if latencies is None else latencies[:, own],
        )

    def layer_jobs(self, folder: Path) -> tuple[list[MeasuredJob], list[tuple[int, ...]]]:
        """Return each layer of the classes once, as a CSV in a folder names it, and the layers of each class.

        The second holds, for each class, numbers of the first, a layer of the class each.
        """
        numbers: dict[MeasuredJob, int] = {}
        members = []
        for file, ids, model in zip(self.files, self.ids, self.classes.models, strict=True):
            name, graphs = relative_file(file, folder), tuple(sorted(ids.tolist()))
            jobs = [MeasuredJob(name, graphs, layer.in_features, layer.out_features) for layer in model.layers]
            members.append(tuple(numbers.setdefault(job, len(numbers)) for job in jobs))
        return list(numbers), members

    def graphs_of(self, jobs: Sequence[MeasuredJob], folder: Path) -> tuple[Graph, ...]:
        """Return the graphs of jobs that `layer_jobs` named for a folder, a batch as one block-diagonal graph."""
        sets = {relative_file(file, folder): load_graph_set(file) for file in dict.fromkeys(self.files)}
        return tuple(sets[job.graph_file].batch(job.graph_ids) for job in jobs)
