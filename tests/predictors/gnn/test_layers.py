"""The generic stack: every convolution against dense arithmetic, order of vertices and graphs."""

import numpy as np
import pytest
import torch

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.nn.layers import ConvKind, ConvStack, Norm, StackConfig, read_out

DENSE = torch.tensor([[0, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0]], dtype=torch.float64)
EDGES = torch.stack((DENSE.nonzero()[:, 1], DENSE.nonzero()[:, 0]))
X = torch.tensor([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0], [-2.0, 1.0]], dtype=torch.float64)


def stack(**options):
    torch.manual_seed(0)
    return ConvStack(StackConfig(in_dim=2, hidden=5, **options)).double().eval()


def linear(layer, x):
    out = x @ layer.weight.T
    return out if layer.bias is None else out + layer.bias


@pytest.mark.parametrize("mean", [False, True])
def test_sage_adds_its_own_features_and_its_neighbours(mean):
    network = stack(depth=2, conv=ConvKind.SAGE_MEAN if mean else ConvKind.SAGE)
    gather = DENSE / DENSE.sum(1, keepdim=True) if mean else DENSE
    first, second = network.convs
    inner = torch.relu(linear(first.lin_l, gather @ X) + linear(first.lin_r, X))
    expected = linear(second.lin_l, gather @ inner) + linear(second.lin_r, inner)
    assert torch.allclose(network(X, EDGES), expected)


def test_gin_passes_the_sum_through_its_perceptron():
    network = stack(depth=1, conv=ConvKind.GIN)
    before, _, after = network.convs[0].nn
    assert torch.allclose(network(X, EDGES), linear(after, torch.relu(linear(before, X + DENSE @ X))))


def test_gcn_normalises_by_the_degrees_of_both_ends():
    network = stack(depth=1, conv=ConvKind.GCN)
    looped = DENSE + torch.eye(4)
    scale = looped.sum(1).rsqrt()
    expected = linear(network.convs[0].lin, scale[:, None] * looped * scale @ X) + network.convs[0].bias
    assert torch.allclose(network(X, EDGES), expected)


@pytest.mark.parametrize("kind", list(ConvKind))
@pytest.mark.parametrize("norm", list(Norm))
def test_renumbered_vertices_have_renumbered_embeddings(kind, norm):
    network = stack(depth=3, conv=kind, norm=norm, dropout=0.5)
    order = torch.tensor([2, 0, 3, 1])
    place = order.argsort()
    assert torch.allclose(network(X[order], place[EDGES]), network(X, EDGES)[order])


def test_dropout_acts_in_training_only():
    network = stack(depth=2, dropout=0.5)
    rested = network(X, EDGES)
    assert torch.equal(network(X, EDGES), rested)
    network.train()
    assert not all(torch.equal(network(X, EDGES), rested) for _ in range(5))


def test_readouts_tell_sizes_apart():
    values = torch.tensor([[1.0], [3.0], [5.0]], dtype=torch.float64)
    read = read_out(values, torch.tensor([0, 0, 1]), 2, scale=0.5)
    np.testing.assert_allclose(read.numpy(), [[2.0, 2.0, 3.0], [2.5, 5.0, 5.0]])


@pytest.mark.parametrize("wrong", [{"in_dim": 0}, {"depth": 0}, {"hidden": -1}, {"dropout": 1.0}])
def test_a_wrong_shape_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        StackConfig(**{"in_dim": 1} | wrong)
