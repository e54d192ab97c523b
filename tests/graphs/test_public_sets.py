import sys
from types import ModuleType

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.graphs import EXAMPLES, GraphSet
from gnnsched_env.graphs.public_sets import PUBLIC_SETS, fetch_graph_set
from tests.twins.graphs import rows_of


@pytest.fixture
def library(monkeypatch):
    """Return a function that puts a loader in place of a library's."""

    def put(module, **loaders):
        names = module.split(".")
        for i in range(len(names)):
            monkeypatch.setitem(sys.modules, ".".join(names[: i + 1]), ModuleType(names[i]))
        for name, loader in loaders.items():
            setattr(sys.modules[module], name, loader)

    return put


def pyg_set(features, classes, graphs):
    torch = pytest.importorskip("torch", reason="needs the extra `gnn`")
    geometric = pytest.importorskip("torch_geometric.data", reason="needs the extra `gnn`")

    class Set(list):
        num_features, num_classes = features, classes

    return Set(
        geometric.Data(
            edge_index=torch.tensor(edges).reshape(2, -1).long(), num_nodes=vertices, y=torch.tensor([label])
        )
        for vertices, edges, label in graphs
    )


TOYS = [(3, [[0, 1, 1, 2], [1, 0, 2, 1]], 1), (2, [[], []], 0)]


@pytest.mark.parametrize(("name", "official"), [("imdb-binary", "IMDB-BINARY"), ("MUTAG", "MUTAG")])
def test_a_set_of_pygs(library, name, official):
    asked = []
    toys = pyg_set(0, 2, TOYS)
    library("torch_geometric.datasets", Planetoid=None, TUDataset=lambda root, name: asked.append(name) or toys)
    graphs = fetch_graph_set(name)
    assert asked == [official]
    assert (graphs.name, [rows_of(graph) for graph in graphs]) == (official, [[[1], [0, 2], [1]], [[], []]])
    assert (graphs.num_features, graphs.num_classes, graphs.labels.tolist()) == (3, 2, [1, 0])
    assert fetch_graph_set(name, num_features=8).num_features == 8


def test_a_single_graph_of_pygs(library, capsys):
    def load(root, name):
        print("Downloading")
        return pyg_set(7, 6, TOYS[:1])

    library("torch_geometric.datasets", Planetoid=load, TUDataset=None)
    graphs = fetch_graph_set("citeseer")
    assert (graphs.name, len(graphs), graphs.num_features, graphs.num_classes) == ("CiteSeer", 1, 7, 6)
    assert graphs.labels is None
    assert capsys.readouterr() == ("", "Downloading\n")


def ogb_loader(task, classes, tasks, features, labels):
    class Loader:
        task_type, num_classes, num_tasks = task, classes, tasks

        def __init__(self, name, root):
            self.rows = [
                ({"edge_index": np.array([[0], [1]]), "num_nodes": 3, "node_feat": features}, label) for label in labels
            ]

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, i):
            return self.rows[i]

    return Loader


@pytest.mark.parametrize(
    ("task", "classes", "tasks", "labels", "outputs", "kept"),
    [
        ("multiclass classification", "37", 1, [np.array([5]), np.array([36])], 37, [5, 36]),
        ("binary classification", 2, 1, [np.array([1]), np.array([0])], 1, [1, 0]),
        ("binary classification", 2, 3, [np.array([1.0, np.nan, 0.0])] * 2, 3, None),
        ("regression", -1, 1, [np.array([0.5]), np.array([1.5])], 1, None),
        ("subtoken prediction", -1, 1, [["get"], ["set", "x"]], 1, None),
    ],
)
def test_a_set_of_ogbs_graphs(library, task, classes, tasks, labels, outputs, kept):
    loader = ogb_loader(task, classes, tasks, np.zeros((3, 4)), labels)
    library("ogb.graphproppred", GraphPropPredDataset=loader)
    graphs = fetch_graph_set("ogbg-toy")
    assert (graphs.name, [rows_of(graph) for graph in graphs]) == ("ogbg-toy", [[[1], [0], []]] * 2)
    assert (graphs.num_features, graphs.num_classes) == (4, outputs)
    assert (None if graphs.labels is None else graphs.labels.tolist()) == kept


def test_a_graph_of_ogbs_without_features(library):
    loader = ogb_loader("binary classification", 2, 112, None, [np.zeros((3, 112), int)])
    library("ogb.nodeproppred", NodePropPredDataset=loader)
    graphs = fetch_graph_set("ogbn-toy")
    assert (len(graphs), graphs.num_features, graphs.num_classes, graphs.labels) == (1, 2, 112, None)


def test_examples_need_nothing():
    assert fetch_graph_set("karate").digest() == GraphSet.load(EXAMPLES["karate"]).digest()


def test_a_set_that_is_unknown_is_refused(library):
    for name, message in (
        ("corra", "did you mean 'cora'"),
        ("xyz", f"known: karate, southern_women, {', '.join(PUBLIC_SETS)}"),
        ("ogbn-mag", "several types of vertices"),
    ):
        with pytest.raises(ConfigError, match=message):
            fetch_graph_set(name)

    def refuse(name, root):
        raise ValueError(f"Invalid dataset name {name}.\nAvailable datasets are as follows:\nogbg-molhiv")

    library("ogb.graphproppred", GraphPropPredDataset=refuse)
    with pytest.raises(ConfigError, match=r"ogbg-moll: OGB does not have it: .* follows: ogbg-molhiv"):
        fetch_graph_set("ogbg-moll")


@pytest.mark.parametrize("error", [OSError("no route to host"), RuntimeError("Stopped")])
def test_without_a_network(library, error):

    def fail(root, name):
        raise error

    library("torch_geometric.datasets", Planetoid=fail, TUDataset=fail)
    with pytest.raises(FileFormatError, match=f"cora: cannot be fetched, which needs a network: {error}"):
        fetch_graph_set("cora")


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("cora", "torch_geometric", "gnn"), ("ogbn-arxiv", "ogb", "ogb")]
)
def test_without_the_extra(monkeypatch, name, module, extra):
    for loaded in [known for known in sys.modules if known.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"needs the extra `{extra}` \(pip install 'gnnsched-env\[{extra}\]'\)"):
        fetch_graph_set(name)
