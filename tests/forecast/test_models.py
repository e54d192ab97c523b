"""Networks: their convolutions against PyG's, attention against numbers, what a score depends on and what not."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.encoding.reference_rows import reference_rows
from gnnsched_env.forecast.models import segments
from gnnsched_env.forecast.models.model_list import MODELS, model_named
from gnnsched_env.forecast.models.network import ForecastNetwork
from gnnsched_env.forecast.models.network_ranker import widths
from gnnsched_env.forecast.models.network_settings import ConvolutionShape, NetworkSettings
from gnnsched_env.nn.adjacency import Adjacency
from gnnsched_env.nn.layers import ConfigAttention, ConvKind, ConvStack, Norm, StackConfig, edge_weighting
from tests.forecast.little_samples import layout_sample, tile_sample
from tests.twins import forecast_learning as naive

CPU = torch.device("cpu")
NETWORKS = {name: config.model for name, config in MODELS.items() if isinstance(config, NetworkSettings)}
EDGES = torch.tensor([[0, 0, 1, 2, 3, 1], [1, 2, 2, 3, 1, 0]])


def network(config, sample, *, seed=0):
    torch.manual_seed(seed)
    model = ForecastNetwork(config, widths(sample.is_tile)).eval()
    model.fit_scaling(torch.from_numpy(sample.nodes))
    return model


def scores(config, sample, rows=None, *, seed=0):
    rows = np.arange(sample.num_configs) if rows is None else np.asarray(rows)
    model = network(config, sample, seed=seed)
    return segments.predict(model, segments.cut(sample, config, CPU), rows).numpy()


def unattended(shape):
    """Return the shape without attention to other configurations, if it has any."""
    return dataclasses.replace(shape, attention=False) if shape.attended else shape


def renumbered(sample, order):
    """Return the same program with its operations in another order (configurable ones stay ascending)."""
    place = np.argsort(order)
    moved = place[sample.configurable]
    by_place = np.argsort(moved)
    return dataclasses.replace(
        sample,
        nodes=sample.nodes[order],
        opcodes=sample.opcodes[order],
        edge_index=place[sample.edge_index],
        configurable=moved[by_place],
        shapes=sample.shapes[by_place],
        raw=sample.raw if sample.is_tile else np.ascontiguousarray(sample.raw[:, by_place]),
    )


@pytest.mark.parametrize("kind", list(ConvKind))
@pytest.mark.parametrize("norm", [Norm.NONE, Norm.LAYER, Norm.INSTANCE])
@pytest.mark.parametrize("residual", [False, True])
def test_many_configurations_at_once_are_each_what_pyg_makes_of_it(kind, norm, residual):
    torch.manual_seed(1)
    stack = ConvStack(StackConfig(in_dim=6, hidden=6, depth=3, conv=kind, norm=norm, residual=residual)).eval()
    x = torch.randn(5, 4, 6)  # vertex 4 has no neighbours
    together = stack(x, Adjacency.of(EDGES, 5, edge_weighting(kind)))
    for k in range(4):
        torch.testing.assert_close(together[:, k], stack(x[:, k], EDGES), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [ConvKind.SAGE, ConvKind.SAGE_MEAN])
def test_a_directed_stack_gathers_each_way_through_its_own_matrix(kind):
    torch.manual_seed(1)
    stack = ConvStack(StackConfig(in_dim=6, hidden=6, depth=2, conv=kind, directed=True)).eval()
    x, weighting = torch.randn(5, 4, 6), edge_weighting(kind)
    along, against = (Adjacency.of(edges, 5, weighting) for edges in (EDGES, EDGES.flip(0)))
    together = stack(x, along, against=against)
    for k in range(4):
        first = stack.convs[0](x[:, k], EDGES) + stack.backward_convs[0](x[:, k], EDGES.flip(0))
        expected = stack.convs[1](first.relu(), EDGES) + stack.backward_convs[1](first.relu(), EDGES.flip(0))
        torch.testing.assert_close(together[:, k], expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(stack(x[:, k], EDGES), expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(together, stack(x, against, against=along), atol=1e-3)
    with pytest.raises(ConfigError, match="turned edges"):
        stack(x, along)


def test_only_sage_convolutions_are_directed():
    with pytest.raises(ConfigError, match="directed needs a SAGE convolution, got gcn"):
        StackConfig(in_dim=6, conv=ConvKind.GCN, directed=True)
    with pytest.raises(ConfigError, match="directed needs conv sage or sage_mean, got none"):
        ConvolutionShape(conv="none", directed=True)


@pytest.mark.parametrize("weighting", ["sum", "mean", "symmetric"])
def test_gathering_has_the_gradient_of_the_dense_product(weighting):
    adjacency = Adjacency.of(EDGES, 5, weighting, dtype=torch.float64)
    dense = adjacency.matrix.to_dense()
    assert torch.equal(adjacency.transpose.to_dense(), dense.T)
    x = torch.randn(5, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(adjacency.gather, (x,))
    torch.testing.assert_close(adjacency.gather(x), torch.einsum("ij,jkc->ikc", dense, x))


def test_gathering_takes_half_precision():
    adjacency = Adjacency.of(EDGES, 5, "mean")
    x = torch.randn(5, 3, 2)
    with torch.autocast("cpu", torch.bfloat16):
        found = adjacency.gather(x.bfloat16())
    assert found.dtype is torch.bfloat16
    torch.testing.assert_close(found.float(), adjacency.gather(x.bfloat16().float()), rtol=1e-2, atol=1e-2)


def test_an_unknown_weighting_is_refused():
    with pytest.raises(ConfigError, match="weighting"):
        Adjacency.of(EDGES, 5, "median")


def test_instance_norm_is_over_vertices_of_each_configuration_and_channel():
    stack = ConvStack(StackConfig(in_dim=3, hidden=4, depth=2, norm=Norm.INSTANCE))
    seen = []
    stack.dropout.register_forward_hook(lambda module, given, made: seen.append(made))
    adjacency, x = Adjacency.of(EDGES, 5, "sum"), torch.randn(5, 6, 3)
    stack(x, adjacency)
    first = stack.convs[0]
    before = first.lin_l(adjacency.gather(x)) + first.lin_r(x)
    expected = torch.relu(F.instance_norm(before.permute(1, 2, 0))).permute(2, 0, 1)
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-5)


def test_attention_is_a_softmax_over_a_configuration_and_its_references():
    torch.manual_seed(0)
    attend = ConfigAttention(2)
    with torch.no_grad():
        attend.sharpness.copy_(torch.tensor([0.7, 2.0]))
        attend.gate.copy_(torch.tensor([0.5, -1.0]))
    x, references = torch.randn(3, 4, 2), torch.randn(3, 5, 2)
    found = attend(x, attend.summarise(references))
    sharpness, gate = attend.sharpness.tolist(), attend.gate.tolist()
    for vertex, k, channel in np.ndindex(3, 4, 2):
        expected = naive.attend(
            float(x[vertex, k, channel]),
            references[vertex, :, channel].tolist(),
            sharpness[channel],
            gate[channel],
        )
        assert found[vertex, k, channel].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("make", [layout_sample, tile_sample])
def test_a_score_does_not_depend_on_what_else_is_asked(name, make, monkeypatch):
    sample = make()
    whole = scores(NETWORKS[name], sample)
    assert whole.dtype == np.float32 and np.isfinite(whole).all() and whole.std() > 1e-5
    rows = np.array([17, 3, 3, 39, 0])
    np.testing.assert_allclose(scores(NETWORKS[name], sample, rows), whole[rows], atol=1e-5)
    monkeypatch.setattr(segments, "ROWS_AT_ONCE", 1)
    np.testing.assert_allclose(scores(NETWORKS[name], sample), whole, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("make", [layout_sample, tile_sample])
def test_the_numbering_of_operations_is_of_no_account(name, make):
    sample = make()
    other = renumbered(sample, np.random.default_rng(0).permutation(sample.num_nodes))
    config = unattended(NETWORKS[name])  # the references' hashes follow the numbering
    np.testing.assert_allclose(scores(config, other), scores(config, sample), atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_edges_count_for_graph_networks_only(name):
    sample = layout_sample()
    cut = dataclasses.replace(sample, edge_index=sample.edge_index[:, ::2])
    same = np.allclose(scores(NETWORKS[name], sample), scores(NETWORKS[name], cut), atol=1e-5)
    assert same == (NETWORKS[name].weighting is None)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_operation_sees_its_own_layout(name):
    sample = layout_sample()
    swapped = dataclasses.replace(sample, raw=np.ascontiguousarray(sample.raw[:, ::-1]))
    config = unattended(NETWORKS[name])
    assert not np.allclose(scores(config, sample), scores(config, swapped), atol=1e-5)


def test_attention_answers_to_the_references():
    sample = layout_sample(configs=81)
    few = dataclasses.replace(sample, raw=sample.raw[:40], targets=sample.targets[:40], groups=sample.groups[:40])
    config = NETWORKS["attention"]
    assert not np.array_equal(reference_rows(few.raw, 16), reference_rows(sample.raw, 16))
    assert not np.allclose(scores(config, sample, np.arange(40)), scores(config, few), atol=1e-5)


def test_references_are_different_configurations_whatever_the_order_and_what_is_repeated():
    raw = layout_sample(configs=50).raw
    chosen = reference_rows(raw, 8)
    order = np.random.default_rng(3).permutation(50)
    shuffled = np.concatenate([raw[order], raw[order[:20]]])
    np.testing.assert_array_equal(shuffled[reference_rows(shuffled, 8)], raw[chosen])
    assert len(np.unique(raw[chosen], axis=0)) == 8
    assert len(reference_rows(np.repeat(raw[:3], 5, axis=0), 8)) == 3
    np.testing.assert_array_equal(reference_rows(raw, 20)[:8], chosen)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"conv": "gat"}, "conv"),
        ({"norm": "batch"}, "norm"),
        ({"width": 0}, "width"),
        ({"references": 1.5}, "references"),
        ({"segment": -1}, "segment"),
        ({"dropout": 1.0}, "dropout"),
        ({"conv": "none", "attention": True}, "attention"),
    ],
)
def test_a_wrong_shape_is_refused_by_name(wrong, named):
    with pytest.raises(ConfigError, match=named):
        ConvolutionShape(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": "l3"},
        {"steps": 0},
        {"rate": 0.0},
        {"decay": -1.0},
        {"average": 1.0},
        {"hops": -1},
        {"configs_a_step": 1},
        {"seed": -1},
    ],
)
def test_a_wrong_training_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        NetworkSettings(**wrong)


def test_a_mistyped_model_is_guessed():
    with pytest.raises(ConfigError, match="did you mean 'sage'"):
        model_named("sagee")
    assert model_named("nn") is MODELS["nn"]
