"""Get, convert and describe graphs.

Examples:
    gnnsched graphs get karate
    gnnsched graphs convert roads.mtx --features 16 --classes 4
    gnnsched graphs describe karate roads.npz
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from gnnsched_cli.command import OutFile, check_file, counted
from gnnsched_env.common.errors import ConfigError

if TYPE_CHECKING:
    from gnnsched_env.graphs import Graph, GraphSet


@dataclass(frozen=True, kw_only=True)
class Get:
    """Fetch a public data set as an npz file, or copy an example that comes with the package."""

    name: tyro.conf.Positional[str]
    """An example (karate, southern_women); cora, citeseer, pubmed, mutag, proteins, enzymes, imdb-binary, imdb-multi,
    reddit-binary, collab, nci1, dd (need a network and the extra `gnn`); OGB's ogbn-... and ogbg-... (need a network
    and the extra `ogb`)."""
    out: OutFile | None = None
    """The file to write; by default NAME.npz in the current folder."""
    features: int | None = None
    """Features of a vertex; by default the data set's."""
    classes: int | None = None
    """Classes; by default the data set's."""


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Convert graphs to an npz file; every edge counts in both directions, and repeated edges count once."""

    file: tyro.conf.Positional[Path]
    """A TU folder; an edge list (.txt .csv .tsv .edges .edgelist .el); MatrixMarket (.mtx); a scipy.sparse matrix
    (.npz); networkx's GraphML, GML or adjacency list (.graphml .gml .adjlist). Text may be gzipped (.gz)."""
    out: OutFile | None = None
    """The file to write; by default NAME.npz in the current folder."""
    features: int | None = None
    """Features of a vertex; required except for a TU folder."""
    classes: int | None = None
    """Classes; required except for a TU folder."""
    vertices: int | None = None
    """Number of vertices of an edge list whose ids are 0, 1, ...; by default the ids that occur are numbered anew."""


@dataclass(frozen=True, kw_only=True)
class Describe:
    """Print a table of structural statistics of graph sets and of the synthetic families."""

    paths: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Npz files, TU folders, or examples that come with the package."""
    count: int = 200
    """Synthetic graphs to draw of each family; 0 leaves the families out."""
    seed: int = 0
    """Seed of the synthetic graphs."""


Arguments = (
    Annotated[Get, tyro.conf.subcommand("get")]
    | Annotated[Convert, tyro.conf.subcommand("convert")]
    | Annotated[Describe, tyro.conf.subcommand("describe")]
)


def run(given: Get | Convert | Describe) -> None:
    """Do what was asked for."""
    if isinstance(given, Get):
        get(given)
    elif isinstance(given, Convert):
        convert(given)
    else:
        describe(given)


def get(given: Get) -> None:
    """Fetch or copy a set and write it."""
    from gnnsched_env.graphs.public_sets import fetch_graph_set

    out = given.out or Path(f"{given.name.lower()}.npz")
    check_file("--out", out)
    write(fetch_graph_set(given.name, num_features=given.features, num_classes=given.classes), out)


def convert(given: Convert) -> None:
    """Read a file of any format and write it as npz."""
    from gnnsched_env.graphs import load_graph_set

    name = given.file.resolve().name.removesuffix(".gz")
    out = given.out or Path(name if given.file.is_dir() else Path(name).stem).with_suffix(".npz")
    check_file("--out", out)
    if given.vertices is not None and given.vertices < 1:
        raise ConfigError(f"--vertices must be at least 1, got {given.vertices}")
    if out.exists() and given.file.exists() and out.samefile(given.file):
        raise ConfigError(f"--out: must not be the file that is read, got {out}")
    widths = {"num_features": given.features, "num_classes": given.classes}
    write(load_graph_set(given.file, **widths, num_vertices=given.vertices), out)


def write(graphs: "GraphSet", out: Path) -> None:
    """Save a set and say in one line what it holds."""
    out.parent.mkdir(parents=True, exist_ok=True)
    graphs.save(out)
    sizes = f"{len(graphs.loops):,} vertices, {counted(len(graphs.indices), 'stored edge')}"
    print(
        f"{out}: {counted(len(graphs), 'graph')}, {sizes}, F = {graphs.num_features:,} features, "
        f"G = {graphs.num_classes:,} classes"
    )


def describe(given: Describe) -> None:
    """Print one row for each set and family."""
    from gnnsched_env.graphs import load_graph_set
    from gnnsched_env.graphs.generators import FAMILIES, draw_graphs

    for option, value in (("count", given.count), ("seed", given.seed)):
        if value < 0:
            raise ConfigError(f"--{option} must be at least 0, got {value}")
    sets = [load_graph_set(path) for path in given.paths]
    print("| set | graphs | mean vertices | mean edges | mean degree | max degree | mean clustering |")
    print("|---|---|---|---|---|---|---|")
    for graphs in sets:
        print(_row(graphs.name, graphs))
    for name in FAMILIES if given.count else ():
        rng = np.random.default_rng(given.seed)
        print(_row(f"`{name}` (like {FAMILIES[name].resembles})", draw_graphs(name, rng, given.count)))


def _row(name: str, graphs: "Iterable[Graph]") -> str:
    """Return one line: means over the graphs; mean degree over all vertices together."""
    from gnnsched_env.graphs import graph_statistics

    found = [graph_statistics(graph) for graph in graphs]
    vertices = np.array([one.vertices for one in found])
    mean_degree = np.average([one.mean_degree for one in found], weights=vertices)
    return (
        f"| {name} | {len(found)} | {vertices.mean():.1f} | {np.mean([one.edges for one in found]):.1f} "
        f"| {mean_degree:.2f} | {max(one.max_degree for one in found)} "
        f"| {np.mean([one.clustering for one in found]):.3f} |"
    )
