"""The networks: the compiled order against a loop, the whole against dense arithmetic, gradients, batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import Layer, bind
from gnnsched_env.predictors.gnn.graph_batch import batch_graphs, fold_graph, stack_encodings
from gnnsched_env.predictors.gnn.latency_networks import ModelConfig, closed_form, make_network
from gnnsched_env.predictors.gnn.pair_encoding import FEATURES, NO_PIPELINE, encode_layer
from gnnsched_env.predictors.gnn.row_order import follow_order
from gnnsched_env.tables import pair_cycles
from tests.predictors.gnn.jobs import PAIRS, job_classes, random_graph
from tests.twins import gnn as naive_gnn

LAYERS = [
    Layer(in_features=7, combination_features=7, out_features=16, self_loops=True),
    Layer(in_features=300, combination_features=600, out_features=5, self_loops=False),
]


def run_order(rows, tile, lag, order):
    """Return total and derivatives of one class under one pair."""
    rows = np.array(rows, np.float64)
    given_arrays = (rows[:, None], np.arange(len(rows)), np.array([0, len(rows)]))
    total, by_tile, by_lag = (np.zeros((1, 1)) for _ in range(3))
    by_time = np.zeros((len(rows), 1))
    scalars = np.array([[tile]], np.float64), np.array([[lag]], np.float64)
    follow_order(*given_arrays, *scalars, np.array([[order]], np.int64), total, by_time, by_tile, by_lag)
    return total[0, 0], by_time[:, 0], by_tile[0, 0], by_lag[0, 0]


orders = st.builds(
    lambda t_va, t_vc, kind, saved, overhead: [
        t_va,
        t_vc,
        max(t_va, t_vc) if kind == "PP" else NO_PIPELINE,
        int(kind == "SP"),
        saved,
        4,
        overhead,
    ],
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from(["Seq", "SP", "PP"]),
    st.integers(0, 200),
    st.integers(0, 9),
)
times = st.lists(st.integers(1, 60), min_size=1, max_size=40)


@given(times, st.integers(1, 60), st.integers(0, 5), orders)
def test_the_compiled_order_is_that_of_a_plain_loop(rows, tile, lag, order):
    assert run_order(rows, tile, lag, order)[0] == naive_gnn.follow_order(rows, tile, lag, *order)


@given(times, st.integers(1, 60), st.integers(0, 5), orders)
def test_derivatives_give_back_the_total(rows, tile, lag, order):
    total, by_time, by_tile, by_lag = run_order(rows, tile, lag, order)
    linear = by_time @ np.array(rows) + by_tile * tile + by_lag * lag
    row_tiles = -(-len(rows) // order[1])
    change = row_tiles * order[6] - row_tiles * order[4] // order[5]
    assert total - linear in ((0, change) if order[3] else (0,))


@settings(max_examples=30)
@given(times, st.integers(1, 60), orders, st.integers(0, 1_000))
def test_derivatives_are_slopes_of_the_plain_loop(rows, tile, order, seed):
    rows = (np.array(rows) + np.random.default_rng(seed).uniform(0, 0.4, len(rows))).tolist()  # no ties
    total, by_time, by_tile, _ = run_order(rows, tile + 0.07, 0.0, order)
    step = 1e-9
    shifted = naive_gnn.follow_order([row + step * (r == 0) for r, row in enumerate(rows)], tile + 0.07, 0.0, *order)
    assert (shifted - total) / step == pytest.approx(by_time[0], abs=0.02)
    shifted = naive_gnn.follow_order(rows, tile + 0.07 + step, 0.0, *order)
    assert (shifted - total) / step == pytest.approx(by_tile, abs=0.02)


def forward(network, graphs, layers):
    batch = batch_graphs([fold_graph(graph, network.config.depth) for graph in graphs])
    features, geometry = stack_encodings([encode_layer(layer, PAIRS) for layer in layers])
    return network(network.embed(batch), batch, features.to(network.shift.dtype), geometry), batch, features, geometry


def new_network(**options):
    torch.manual_seed(3)
    network = make_network(ModelConfig(**{"hidden": 9, "width": 11} | options)).double().eval()
    network.fit_scaling(stack_encodings([encode_layer(layer, PAIRS) for layer in LAYERS])[0].flatten(0, 1))
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.05 * torch.randn_like(weights))
    return network


@pytest.mark.parametrize("seed", range(4))
def test_the_tile_model_is_what_dense_arithmetic_says(seed):
    network = new_network()
    graphs = [random_graph(seed, 12), random_graph(seed + 10, 45)]
    with torch.no_grad():
        found, _, features, geometry = forward(network, graphs, LAYERS)
    for c, graph in enumerate(graphs):
        expected = naive_gnn.tile_cycles(network, graph, features[c].numpy(), geometry[c])
        np.testing.assert_allclose(found[c].exp().numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("options", [{}, {"architecture": "readout", "depth": 2, "conv": "gin"}])
def test_a_batch_predicts_as_its_graphs_alone_in_any_order(options):
    network = new_network(**options)
    graphs, layers = [random_graph(k, 8 + 9 * k) for k in range(4)], [LAYERS[k % 2] for k in range(4)]
    with torch.no_grad():
        together = forward(network, graphs, layers)[0]
        reversed_order = forward(network, graphs[::-1], layers[::-1])[0].flip(0)
        alone = torch.cat([forward(network, [graphs[k]], [layers[k]])[0] for k in range(4)])
    assert torch.allclose(together, alone, rtol=1e-12) and torch.allclose(together, reversed_order, rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"architecture": "readout", "depth": 2}])
def test_gradients_are_finite_differences(options):
    network = new_network(**options)
    graphs = [random_graph(1, 15), random_graph(2, 22)]
    loss = forward(network, graphs, LAYERS)[0].sum()
    loss.backward()
    weight = network.head[0].weight
    direction = torch.randn_like(weight)
    with torch.no_grad():
        weight.add_(1e-7 * direction)
        slope = (forward(network, graphs, LAYERS)[0].sum() - loss) / 1e-7
    assert float(slope) == pytest.approx(float((weight.grad * direction).sum()), rel=1e-3)


def test_the_closed_form_is_near_the_truth_for_equal_rows():
    graphs = [random_graph(0, 40)]
    classes = job_classes(graphs, widths=((7, 16),), hidden=())
    _, batch, features, geometry = forward(new_network(), [graphs[0].with_self_loops()], LAYERS[:1])
    ratio = closed_form(batch, features, geometry).numpy() / pair_cycles(classes, PAIRS)
    assert ratio.min() > 0.3 and ratio.max() < 1.5


def test_what_the_network_reads_of_a_layer_follows_from_its_tiles():
    one = encode_layer(LAYERS[1], PAIRS)
    accelerator, dataflow = PAIRS[0]
    tiling = bind(dataflow, LAYERS[1], accelerator).tiling
    named = dict(zip(FEATURES, one.features[0].tolist(), strict=True))
    assert named["log2_t_va"] == np.log2(tiling.t_va) and named["inverse_t_n"] == 1 / tiling.t_n
    assert named["log2_combination_features"] == np.log2(600)
    assert sum(named[f"is_{kind}"] for kind in ("seq", "sp", "pp")) == 1.0


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"architecture": "tree"}, "architecture"),
        ({"conv": "gat"}, "conv"),
        ({"conv": "gin"}, "conv sage"),
        ({"depth": 2}, "depth"),
        ({"width": 0}, "width"),
        ({"hidden": 1}, "hidden"),
        ({"norm": "batch"}, "norm"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(wrong, names):
    with pytest.raises(ConfigError, match=names):
        ModelConfig(**wrong)
