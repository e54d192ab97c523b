"""Kinds of files that the project reads: for each a small valid one, and the function that reads it."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import scipy.io
import scipy.sparse

from gnnsched_agents.config_files import read_config
from gnnsched_agents.run_folder import RunFolder
from gnnsched_baselines.learned.pair_network import initial_network, load_network, save_network
from gnnsched_env.bounds.known import known_optima
from gnnsched_env.cycles.golden import read_golden
from gnnsched_env.evaluation.records_file import read_records
from gnnsched_env.forecast.data.row_splits import read_split
from gnnsched_env.forecast.scoring.submission import read_submission
from gnnsched_env.forecast.standin import made
from gnnsched_env.graphs.formats import load_graph_set
from gnnsched_env.graphs.graph import Graph
from gnnsched_env.graphs.graph_set import GraphSet
from gnnsched_env.graphs.loaders import load_edge_list
from gnnsched_env.hardware import load_fleet
from gnnsched_env.hardware.energy import load_unit_energies
from gnnsched_env.predictors.measured.measurements import load_measurements
from gnnsched_env.scenario import load_scenario
from gnnsched_env.scenario.traces import read_trace
from gnnsched_env.tables import LatencyTable
from tests import toys
from tests.fuzz.kind import Kind, beside
from tests.fuzz.stored_kinds import STORED
from tests.report.pages import write_records

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = """name = "mine"
fleet = "hetero4"
[environment]
load = 0.7
jobs = 12
[decision]
latency_us = 3.5
workers = 2
[arrivals]
process = "bursty"
deadlines = [2.0, 40.0]
"""
FLEET = """[fleet]
name = "mine"
accelerators = ["omega512", "small"]
clock_hz = 500_000_000
[[accelerator]]
name = "small"
pes = 64
distribution_bandwidth = 32
dataflows = ["Seq1"]
"""
TRACE = "time,class,deadline,weight\n0,a,3,1\n0.5,b,,2\n0.75,a,9.5,1\n"
MEASURED = "graph_file,choice,microseconds\nA.npz,fast,1.5\nA.npz,slow,20\n"
ENERGIES = """[[unit_energies]]
name = "mine"
source = "mine"
mac_pj = 4.6
register_file_pj = 4.6
link_pj = 9.2
global_buffer_pj = 27.6
"""
TRAINING = 'base = "queue_hetero4_es"\nseed = 3\n[method]\nsigma = 0.1\n'


def graph() -> Graph:
    return Graph.from_edges(5, [0, 1, 2, 3], [1, 2, 3, 4], name="line")


def graph_set(path: Path) -> None:
    GraphSet.from_graphs([graph(), graph()], name="lines", num_features=3, num_classes=2).save(path)


def matrix() -> scipy.sparse.coo_array:
    return scipy.sparse.coo_array(networkx.to_scipy_sparse_array(networkx.path_graph(5)))


def weights(path: Path) -> None:
    save_network(path, initial_network(3, np.random.default_rng(0)), {"note": "mine"})


def measured(path: Path) -> None:
    graph_set(path.with_name("A.npz"))
    path.write_text(MEASURED, encoding="utf-8")


def tu_folder(path: Path) -> None:
    path.write_text("1, 2\n2, 1\n3, 4\n", encoding="utf-8")
    path.with_name("file_graph_indicator.txt").write_text("1\n1\n2\n2\n")


def standin_list(path: Path) -> list[Path]:
    return list(made(beside(path, "standin.json").parent))


def run_folder(path: Path) -> None:
    RunFolder(path.parent / "beside").write(
        {"config": {}, "iteration": 2, "decisions": 3, "seconds": 1.5, "curve": []}, lambda method: None
    )
    path.write_bytes((path.parent / "beside" / "checkpoint.json").read_bytes())


def one_graph(path: Path) -> GraphSet:
    return load_graph_set(path, num_features=3, num_classes=2)


def table_content(table: LatencyTable) -> Any:
    return table.true_cycles.tobytes(), table.predicted_cycles.tobytes(), table.weights.tobytes(), table.class_names


def network_content(loaded: Any) -> Any:
    return tuple(array.tobytes() for array in loaded[0].arrays), sorted(loaded[1])


def recorded_scenarios(path: Path) -> Any:
    recorded = read_records(path)
    return [recorded.scenario(record) for record in recorded.records]


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


KINDS = {
    "latency table": Kind(".npz", lambda path: toys.random_table(np.random.default_rng(0)).save(path),
                          LatencyTable.load, table_content),
    "weights": Kind(".npz", weights, load_network, network_content),
    "graph set": Kind(".npz", graph_set, lambda path: load_graph_set(path)[1].digest()),
    "scipy matrix": Kind(".npz", lambda path: scipy.sparse.save_npz(path, matrix()), one_graph),
    "edge list": Kind(".txt", text("0 1\n1 2\n2 3\n"), one_graph),
    "MatrixMarket": Kind(".mtx", lambda path: scipy.io.mmwrite(path, matrix()), one_graph),
    "GraphML": Kind(".graphml", lambda path: networkx.write_graphml(networkx.path_graph(5), path), one_graph),
    "GML": Kind(".gml", lambda path: networkx.write_gml(networkx.path_graph(5), path), one_graph),
    "adjacency list": Kind(".adjlist", lambda path: networkx.write_adjlist(networkx.path_graph(5), path), one_graph),
    "scenario": Kind(".toml", text(SCENARIO), load_scenario),
    "fleet": Kind(".toml", text(FLEET), load_fleet),
    "unit energies": Kind(".toml", text(ENERGIES), load_unit_energies),
    "training": Kind(".toml", text(TRAINING), read_config),
    "trace": Kind(".csv", text(TRACE), read_trace),
    "measured latencies": Kind(".csv", measured, load_measurements),
    "known optima": Kind(".json", lambda path: path.write_bytes(
        (ROOT / "gnnsched_env" / "bounds" / "known_optima.json").read_bytes()), known_optima, slow=True),
    "records": Kind(".json", write_records, recorded_scenarios),
    "golden cases": Kind(".gz", lambda path: path.write_bytes(
        (ROOT / "tests" / "golden" / "omega_sample.jsonl.gz").read_bytes()), lambda path: list(read_golden(path)),
        slow=True),
    "edge list, gzipped": Kind(".gz", lambda path: path.write_bytes(gzip.compress(b"0 1\n1 2\n2 3\n" * 20)),
                               load_edge_list, lambda found: found.digest()),
    "TU edges": Kind("_A.txt", tu_folder, lambda path: load_graph_set(path.parent)),
    "submission": Kind(".csv", text("ID,TopConfigs\nlayout:xla:random:a,2;0;1\ntile:xla:b,7;3\n"),
                       lambda path: read_submission(path, {"layout:xla:random:a": 3, "tile:xla:b": 9})),
    "rows of a split": Kind(".json", text('{"train": [0, 1, 5], "score": [2, 3]}'), read_split),
    "stand-in's list": Kind("", text('{"what": "", "files": ["npz/tile/xla/train/a.npz", "b.npz"]}'), standin_list),
    "run folder": Kind("", run_folder, lambda path: RunFolder(beside(path, "checkpoint.json").parent).read()),
    **STORED,
}  # fmt: skip
