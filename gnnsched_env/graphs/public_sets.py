"""Public data sets, fetched by PyTorch Geometric's and OGB's own loaders and converted to graph sets."""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnsched_env.common.errors import ConfigError, FileFormatError, did_you_mean
from gnnsched_env.graphs.formats import EXAMPLES
from gnnsched_env.graphs.graph import Graph
from gnnsched_env.graphs.graph_set import GraphSet

PLANETOID = ("Cora", "CiteSeer", "PubMed")
TU = ("MUTAG", "PROTEINS", "ENZYMES", "IMDB-BINARY", "IMDB-MULTI", "REDDIT-BINARY", "COLLAB", "NCI1", "DD")
OGB_PREFIXES = ("ogbn-", "ogbg-")
PUBLIC_SETS = tuple(name.lower() for name in (*PLANETOID, *TU))
"""The sets fetched by PyTorch Geometric (extra `gnn`); OGB's ogbn-... and ogbg-... sets need the extra `ogb`."""

HETEROGENEOUS = ("ogbn-mag",)


def fetch_graph_set(name: str, *, num_features: int | None = None, num_classes: int | None = None) -> GraphSet:
    """Fetch a public set over the network: one of PUBLIC_SETS, or one of OGB's ogbn- and ogbg- sets.

    An example that comes with the package needs no network.

    The library downloads and unpacks into a temporary folder, which is deleted; its output goes to stderr. Every
    edge counts in both directions; self loops are as the library gives them (PyTorch Geometric drops CiteSeer's). F is
    the width of the set's node features, or without any its highest degree + 1 (degrees one-hot); G is its number of
    classes, or for OGB's other tasks the number of values predicted; `num_features` and `num_classes` replace them.
    Class labels of graphs are kept. Raise ConfigError for an unknown set and for a library that is not installed,
    FileFormatError where fetching fails.
    """
    wanted = name.lower()
    if wanted in EXAMPLES:
        return GraphSet.load(EXAMPLES[wanted]).with_widths(num_features, num_classes)
    official = {one.lower(): one for one in (*PLANETOID, *TU)}
    if wanted in HETEROGENEOUS:
        raise ConfigError(f"{name}: has several types of vertices; only sets of one type are taken over")
    if wanted in official:
        fetch: Callable[[str, str], GraphSet] = _fetch_pyg
    elif wanted.startswith(OGB_PREFIXES):
        fetch = _fetch_ogb
    else:
        known = (*EXAMPLES, *PUBLIC_SETS)
        hint = did_you_mean(wanted, known) or f"; known: {', '.join(known)}, ogbn-..., ogbg-..."
        raise ConfigError(f"unknown data set {name!r}{hint}")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        try:
            graphs = fetch(official.get(wanted, wanted), folder)
        except ImportError as error:
            extra = "ogb" if fetch is _fetch_ogb else "gnn"
            raise ConfigError(
                f"{name}: fetching it needs the extra `{extra}` (pip install 'gnnsched-env[{extra}]'): "
                f"{error.name} is not installed"
            ) from None
        except (OSError, RuntimeError) as error:
            raise FileFormatError(
                f"{name}: cannot be fetched, which needs a network: {error}; to convert a local file, use "
                "`gnnsched graphs convert`"
            ) from None
    return graphs.with_widths(num_features, num_classes)


def _fetch_pyg(name: str, folder: str) -> GraphSet:
    from torch_geometric.datasets import Planetoid, TUDataset  # type: ignore[import-untyped]

    dataset = (Planetoid if name in PLANETOID else TUDataset)(folder, name)
    graphs = [Graph.from_pyg(data) for data in dataset]
    labels = [data.y.numpy().ravel() for data in dataset] if len(graphs) > 1 else None
    return _joined(name, graphs, dataset.num_features, dataset.num_classes, labels)


def _fetch_ogb(name: str, folder: str) -> GraphSet:
    if name.startswith("ogbn-"):
        from ogb.nodeproppred import NodePropPredDataset as Dataset
    else:
        from ogb.graphproppred import GraphPropPredDataset as Dataset

    try:
        dataset = Dataset(name, root=folder)
    except ValueError as error:
        raise ConfigError(f"{name}: OGB does not have it: {' '.join(str(error).split())}") from None
    found = [dataset[i] for i in range(len(dataset))]
    graphs = [Graph.from_edges(graph["num_nodes"], *graph["edge_index"]) for graph, _ in found]
    features = found[0][0]["node_feat"]
    classes = dataset.num_classes if "multiclass" in dataset.task_type else dataset.num_tasks
    labels = [label for _, label in found] if name.startswith("ogbg-") else None
    return _joined(name, graphs, 0 if features is None else features.shape[1], int(classes), labels)


def _joined(
    name: str, graphs: list[Graph], num_features: int, num_classes: int, labels: Sequence[ArrayLike] | None
) -> GraphSet:
    """Return the set; a width of 0 stands for none."""
    return GraphSet.from_graphs(
        graphs,
        name=name,
        num_features=num_features or 1 + max(int(graph.degrees.max()) for graph in graphs),
        num_classes=max(num_classes, 1),
        labels=None if labels is None else _class_labels(labels),
    )


def _class_labels(labels: Sequence[ArrayLike]) -> NDArray[Any] | None:
    """Return int [graphs], or None unless each graph has one label and that is a small integer: a class."""
    if any(np.size(label) != 1 for label in labels):
        return None
    column = np.array([np.ravel(label)[0] for label in labels])
    small = column.dtype.kind in "iu" and np.abs(column).max() <= np.iinfo(np.int16).max
    return column if small else None
