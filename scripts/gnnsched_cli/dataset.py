"""Build a labelled training set for latency predictors, or check one.

Synthetic graphs and layers, with their true cycles under every pair of a fleet, and features. A build that was stopped
or killed goes on when the same command is run again, and ends with the same bytes.

Examples:
    gnnsched dataset build --graphs 100000 --seed 0 --out DIR
    gnnsched dataset build --graphs 100000 --out DIR --ray 10.0.0.1:6379
    gnnsched dataset check DIR
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gnnsched_cli.command import OutFolder, counted
from gnnsched_cli.task_options import Ray


@dataclass(frozen=True, kw_only=True)
class Build:
    """Draw and label jobs, in a folder that an interrupted build is continued in."""

    out: OutFolder
    """Folder that the data set is written to, and that an interrupted build is continued in."""
    graphs: int = 100_000
    """Number of jobs: each is a graph or a batch of graphs, and a layer."""
    seed: int = 0
    """Seed of the jobs."""
    fleet: str = "big_little"
    """Fleet (preset or TOML file) whose (accelerator, dataflow) pairs are labelled; big_little has all presets'."""
    most_vertices: int = 100_000
    """Largest number of vertices of a graph or a batch."""
    workers: int | None = None
    """Number of processes of this machine (by default, one per core); the files do not depend on it."""
    ray: Ray = None


@dataclass(frozen=True, kw_only=True)
class Check:
    """Read a finished data set whole, and say what it holds."""

    folder: tyro.conf.Positional[Path]
    """Folder of the data set."""


Arguments = Annotated[Build, tyro.conf.subcommand("build")] | Annotated[Check, tyro.conf.subcommand("check")]


def run(given: Build | Check) -> None:
    """Do what was asked for."""
    if isinstance(given, Build):
        build(given)
    else:
        check(given)


def build(given: Build) -> None:
    """Build and say what was done."""
    import os

    from gnnsched_env.common.parallel.task_runs import Where
    from gnnsched_env.hardware import load_fleet
    from gnnsched_env.predictors.datasets.dataset_files import build_dataset
    from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec
    from gnnsched_env.tables import distinct_pairs

    spec = DatasetSpec(graphs=given.graphs, seed=given.seed, most_vertices=given.most_vertices)
    fleet = load_fleet(given.fleet)
    where = Where(workers=os.cpu_count() or 1 if given.workers is None else given.workers, ray=given.ray)
    start = time.perf_counter()
    built = build_dataset(spec, fleet, given.out, where=where)
    print(
        f"{given.out}: {counted(spec.graphs, 'graph')} x {counted(len(distinct_pairs(fleet).keys), 'pair')}, "
        f"{counted(spec.chunks, 'chunk')}, {built} built now in {time.perf_counter() - start:.1f} s"
    )


def check(given: Check) -> None:
    """Read every chunk."""
    from gnnsched_env.predictors.datasets.dataset_files import load_dataset

    stored = load_dataset(given.folder)
    jobs, pairs = stored.dataset.cycles.shape
    vertices = f"{stored.vertices.min():,} to {stored.vertices.max():,} vertices"
    print(
        f"{given.folder}: {counted(jobs, 'graph')} x {counted(pairs, 'pair')}, "
        f"{counted(int(stored.chunks[-1]) + 1, 'chunk')}, {vertices}"
    )
