"""The forecaster's network as a latency predictor: protocol, file, training, and its place in a scenario."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.errors import ConfigError, FileFormatError
from gnnsched_env.forecast import latency as bridge
from gnnsched_env.forecast.configs import ModelConfig
from gnnsched_env.forecast.latency import SCALING, ForecastPredictor, job_part, job_scores, vertex_features
from gnnsched_env.forecast.latency_training import LatencyRun, LatencyTraining, draw_jobs, label_jobs
from gnnsched_env.forecast.models import ForecastModel
from gnnsched_env.graphs import Graph, GraphSet
from gnnsched_env.hardware import load_fleet
from gnnsched_env.latency import ClosedFormPredictor, Level, build_table, make_predictor
from gnnsched_env.latency.gnn.encoding import encode_layer
from gnnsched_env.latency.gnn.layers import ConvStack
from gnnsched_env.tables import distinct_pairs, pair_cycles
from gnnsched_env.tables.cache import CACHE_VARIABLE
from scripts import train_forecast_predictor
from tests.latency.gnn.jobs import PAIRS, job_classes, random_graph

from . import naive_latency_features as naive

torch.set_num_threads(1)

MODEL = ModelConfig(conv="sage_mean", width=8, depth=2, norm="none", residual=True)
TINY = LatencyTraining(
    graphs=200,
    most_vertices=60,
    small_graphs=0,
    fleet="hetero4",
    steps=150,
    graphs_a_step=8,
    rate=8e-3,
    model=MODEL,
)
CLASSES = job_classes([random_graph(k, 9 + 8 * k) for k in range(6)], kinds=("gcn", "sage"), widths=((7, 2), (90, 5)))


@cache
def drawn():
    return draw_jobs(TINY, PAIRS)


def trained(steps, config=TINY):
    run = LatencyRun(config, drawn())
    for _ in range(steps):
        run.take_step()
    run.validate()
    return run


@cache
def small_predictor():
    """Return a predictor after four steps: its figures mean little, its arithmetic all."""
    return trained(4).predictor()


@pytest.fixture
def saved(tmp_path):
    small_predictor().save(tmp_path / "forecast.npz")
    return tmp_path / "forecast.npz"


def layer_configs():
    """Return float64 [P, T]: a layer under PAIRS."""
    return torch.tensor(encode_layer(CLASSES.models[0].layers[0], PAIRS).features)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=90))
def test_vertices_know_their_row_and_the_blocks_around_it(degrees):
    assert np.allclose(vertex_features(np.array(degrees)), naive.vertex_features(degrees))


def test_predictions_are_whole_cycles_for_every_pair():
    predictor = small_predictor()
    cycles = predictor.predict(CLASSES, PAIRS)
    assert cycles.shape == (6, len(PAIRS)) and cycles.dtype == np.int64 and (cycles >= 1).all()
    assert predictor.name == "forecast" and predictor.level is Level.GRAPH
    assert len(predictor.out_of_domain(CLASSES)) == 6


def test_it_is_the_forecaster_and_its_stack():
    network = small_predictor().network
    assert type(network) is ForecastModel and type(network.stack) is ConvStack
    with pytest.raises(ConfigError, match="attention must be off"):
        LatencyTraining(model=replace(MODEL, attention=True))
    with pytest.raises(ConfigError, match="directed must be off"):
        LatencyTraining(model=replace(MODEL, directed=True))


def test_classes_and_pairs_may_come_in_any_company(monkeypatch):
    predictor = small_predictor()
    together = predictor.predict(CLASSES, PAIRS)
    alone = np.concatenate([predictor.predict(CLASSES.subset([c]), PAIRS) for c in range(6)])
    order = [4, 0, 5, 2, 1, 3]
    assert (together == alone).all()
    assert (predictor.predict(CLASSES.subset(order), PAIRS[::-1]) == together[order][:, ::-1]).all()
    monkeypatch.setattr(bridge, "ROWS_AT_ONCE", 30)
    assert (predictor.predict(CLASSES, PAIRS) == together).all()


def test_a_model_takes_as_long_as_its_layers():
    deep = job_classes(list(CLASSES.graphs), widths=((20, 4),), hidden=(16,))
    parts = [job_classes(list(CLASSES.graphs), widths=(pair,), hidden=()) for pair in ((20, 16), (16, 4))]
    predict = small_predictor().predict
    assert np.abs(predict(deep, PAIRS) - sum(predict(part, PAIRS) for part in parts)).max() <= 1


@pytest.mark.parametrize("conv", ["none", "gcn", "sage", "sage_mean", "gin"])
@pytest.mark.parametrize("norm", ["none", "layer", "instance"])
def test_two_copies_of_a_graph_have_the_ratio_of_one(conv, norm):
    """The score is of the mean vertex: what is twice there, in blocks of its own, changes nothing but the sizes."""
    config = replace(MODEL, conv=conv, norm=norm, residual=False)
    torch.manual_seed(0)
    network = ForecastModel(config, bridge.WIDTHS).double().eval()
    configs = layer_configs()
    graph = random_graph(3, 512)
    ends = np.repeat(np.arange(512), np.diff(graph.indptr))
    twice = Graph.from_edges(1024, [*ends, *(ends + 512)], [*graph.indices, *(graph.indices + 512)])
    one, two = (job_part(each, config) for each in (graph, twice))
    two.nodes[:, 4] = one.nodes[0, 4]  # the number of vertices, which does differ
    with torch.no_grad():
        torch.testing.assert_close(
            job_scores(network, two, configs), job_scores(network, one, configs), atol=1e-9, rtol=0
        )


def test_neighbours_count_and_not_degrees_alone():
    one = Graph.from_edges(6, [0, 2, 3, 4], [2, 3, 1, 5])
    other = Graph.from_edges(6, [0, 2, 1, 3], [2, 4, 3, 5])  # the same degrees in the same order
    assert (np.diff(one.indptr) == np.diff(other.indptr)).all()
    network, configs = small_predictor().network, layer_configs()
    parts = [job_part(graph, MODEL) for graph in (one, other)]
    with torch.no_grad():
        first, second = (job_scores(network, part, configs) for part in parts)
        assert ((first - second).abs() > 1e-6).all()
        alone = ForecastModel(replace(MODEL, conv="none", residual=False), bridge.WIDTHS).double()
        parts = [job_part(graph, alone.config) for graph in (one, other)]
        assert torch.equal(*(job_scores(alone, part, configs) for part in parts))


def test_it_reads_the_graph_of_the_degrees():
    with pytest.raises(ConfigError, match="must have graphs"):
        small_predictor().predict(replace(CLASSES, graphs=None), PAIRS)
    with pytest.raises(ConfigError, match="graphs must be those of the degrees"):
        small_predictor().predict(replace(CLASSES, graphs=CLASSES.graphs[::-1]), PAIRS)


def test_what_lies_outside_training_is_named_and_still_predicted():
    classes = job_classes([random_graph(0, 12), random_graph(1, 400)], widths=((16, 16), (16, 9_000)))
    flags = small_predictor().out_of_domain(classes)
    assert flags == ((), ("vertices", "entries", "out_features"))
    assert small_predictor().predict(classes, PAIRS).shape == (2, len(PAIRS))


def test_a_graph_without_entries_is_predicted():
    empty = job_classes([Graph.from_edges(3, [], [])], kinds=("sage",))
    assert (small_predictor().predict(empty, PAIRS) >= 1).all()


def test_training_lowers_the_error_on_held_out_families():
    run = trained(TINY.steps)
    assert run.history[-1]["mape"] < 0.7 * run.floor
    held = [job for job in drawn() if job.family in TINY.held_out]
    again = LatencyRun(TINY, drawn())
    assert (
        again.floor
        == run.floor
        == pytest.approx(
            100 * np.mean(np.concatenate([np.abs(job.base / job.cycles - 1).ravel() for job in held])), rel=1e-9
        )
    )


def test_the_weights_that_validated_best_are_kept():
    run = trained(12)
    best = run.predictor()
    assert (best.weights["each.bias"] == run.network.each.bias.detach().numpy()).all()
    with torch.no_grad():
        run.network.each.bias += 3.0
    assert run.validate() > run.history[0]["mape"]
    assert run.predictor().weights["each.bias"] == best.weights["each.bias"]


def test_training_is_decided_by_its_seed():
    one, two, other = trained(3), trained(3), trained(3, replace(TINY, seed=1))
    assert one.predictor().digest() == two.predictor().digest() != other.predictor().digest()


def test_labels_are_the_cost_models():
    classes = job_classes([random_graph(k, 20 + k) for k in range(4)], widths=((3, 16), (40, 7)), hidden=())
    jobs = label_jobs(classes, PAIRS, MODEL, layers_a_graph=2)
    assert (np.stack([job.cycles[0] for job in jobs]) == pair_cycles(classes, PAIRS)).all()
    closed = ClosedFormPredictor(Level.METADATA).predict(classes, PAIRS)
    assert (np.stack([np.rint(job.base[0]) for job in jobs]) == closed).all()
    moved = replace(classes, models=(classes.models[3], *classes.models[:3]))  # a stride of 17 is one of 1 among 4
    assert (np.stack([job.cycles[1] for job in jobs]) == pair_cycles(moved, PAIRS)).all()
    assert jobs[0].sizes[:, 2:].tolist() == [[3, 3, 16], [40, 40, 7]]


def test_a_saved_predictor_predicts_the_same(saved, tmp_path):
    loaded = ForecastPredictor.load(saved)
    assert (loaded.predict(CLASSES, PAIRS) == small_predictor().predict(CLASSES, PAIRS)).all()
    assert loaded.out_of_domain(CLASSES) == small_predictor().out_of_domain(CLASSES)
    assert loaded.config == MODEL and loaded.digest() == small_predictor().digest()
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == saved.read_bytes()


def test_a_file_is_a_predictor_by_name(saved):
    made = make_predictor(str(saved))
    assert isinstance(made, ForecastPredictor)
    assert (made.predict(CLASSES, PAIRS) == small_predictor().predict(CLASSES, PAIRS)).all()


def rewritten(path, change):
    """Write the file again with its arrays changed."""
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)


def change_manifest(**changes):
    def change(arrays):
        manifest = json.loads(str(arrays["manifest"])) | changes
        arrays["manifest"] = np.array(json.dumps(manifest))

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda arrays: arrays.update(shift=arrays["shift"] + 1e-6), "SHA-256"),
        (change_manifest(version=2), "version must be 1, got 2"),
        (change_manifest(format="other"), "not a predictor file"),
        (change_manifest(format=["other"]), "not a predictor file"),
        (lambda arrays: arrays.update(manifest=np.array("[1]")), "not a predictor file"),
        (lambda arrays: arrays.pop("manifest"), "not a predictor file"),
        (lambda arrays: arrays.pop("shift"), "SHA-256"),
    ],
)
def test_a_changed_file_is_refused(saved, change, says):
    rewritten(saved, change)
    with pytest.raises(FileFormatError, match=says):
        make_predictor(str(saved))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_truncated_file_is_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileFormatError, match=r"forecast\.npz"):
        make_predictor(str(saved))


def test_a_file_for_other_features_is_refused(saved, monkeypatch):
    other = ("colour", *bridge.VERTEX_FEATURES[1:])
    monkeypatch.setitem(bridge.ForecastPredictor.ENCODING, "vertex_features", other)
    with pytest.raises(FileFormatError, match="its vertex_features must be, in this order, colour"):
        ForecastPredictor.load(saved)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("shift", np.zeros(3), "weight 'shift' must have shape"),
        ("shift", np.full(len(bridge.VERTEX_FEATURES), np.nan), "must hold finite floats"),
        (SCALING[0], np.zeros(2), r"weight 'configs.shift' must have shape \(27,\)"),
        (SCALING[1], np.zeros(27), "must be above 0"),
    ],
)
def test_wrong_weights_are_refused(name, value, says):
    own = small_predictor()
    with pytest.raises(FileFormatError, match=says):
        ForecastPredictor.of(own.config, {**own.weights, name: value}, domain=own.domain, provenance={})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"small_graphs": -1}, "small_graphs must be an integer of at least 0"),
        ({"rate": 0.0}, "rate must be above 0"),
    ],
)
def test_bad_trainings_are_refused(changes, says):
    with pytest.raises(ConfigError, match=says):
        replace(TINY, **changes)


def test_families_must_be_left_on_both_sides():
    with pytest.raises(ConfigError, match="held_out must leave jobs on both sides"):
        LatencyRun(replace(TINY, held_out=()), drawn())


def test_a_table_has_its_predictions_and_keeps_them_by_content(saved, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    fleet, own = load_fleet("hetero4"), small_predictor()
    first = build_table(CLASSES, fleet, predictor=str(saved))
    distinct = distinct_pairs(fleet)
    assert (first.predicted_cycles == own.predict(CLASSES, distinct.pairs)[:, distinct.columns]).all()
    moved = dict(own.weights) | {"shift": own.weights["shift"] + 1}
    ForecastPredictor.of(own.config, moved, domain=own.domain, provenance={}).save(saved)
    second = build_table(CLASSES, fleet, predictor=str(saved))
    assert (second.predicted_cycles != first.predicted_cycles).any()


def test_it_is_scored_and_a_policy_schedules_with_it(saved, tmp_path):
    graphs, records = tmp_path / "graphs.npz", tmp_path / "records.json"
    GraphSet.from_graphs(list(CLASSES.graphs), name="toys", num_features=5, num_classes=3).save(graphs)
    given = ["--predictor", str(saved), "--graphs", str(graphs), "--json", str(records)]
    for words in (
        ["scripts.score_predictor", "--batch-sizes", "1", "4"],
        ["scripts.evaluate", "--jobs", "20", "--episodes", "2", "--policies", "sjf"],
    ):
        out = subprocess.run([sys.executable, "-m", *words, *given], capture_output=True, text=True, check=False)
        assert out.returncode == 0, out.stderr
        record = json.loads(records.read_text())["records"][-1]
        assert record["samples"] > 0 if "samples" in record else record["mean_completion"] > 0


def test_it_is_trained_from_the_command_line(tmp_path, capsys):
    out = tmp_path / "new" / "forecast.npz"
    options = (
        "--graphs 60 --most-vertices 40 --small-graphs 0 --fleet hetero4 --steps 2 --graphs-a-step 2 --model.width 4"
    )
    held = ["--held-out", *TINY.held_out]
    assert train_forecast_predictor.main(["--out", str(out), *options.split(), *held]) == 0
    assert "step 2: held-out families: MAPE" in capsys.readouterr().err
    assert make_predictor(out).predict(CLASSES, PAIRS).shape == (6, len(PAIRS))
    assert train_forecast_predictor.main(["--out", str(tmp_path / "forecast.txt")]) == 2
    assert "--out: must end in .npz" in capsys.readouterr().err
