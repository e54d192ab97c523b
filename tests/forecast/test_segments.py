"""Programs in parts: what a part holds, whose gradients a step follows, how much memory it takes."""

import dataclasses

import numpy as np
import pytest
import torch

from gnnsched_env.forecast.models import segments
from gnnsched_env.forecast.models.network import ForecastNetwork
from gnnsched_env.forecast.models.network_ranker import widths
from gnnsched_env.forecast.models.network_settings import ConvolutionShape
from tests.forecast.little_samples import layout_sample, tile_sample

CPU = torch.device("cpu")
CONFIG = ConvolutionShape(width=8, depth=2, norm="instance", residual=True, attention=True, references=4, segment=10)


def network(config=CONFIG, *, is_tile=False):
    torch.manual_seed(0)
    return ForecastNetwork(config, widths(is_tile)).eval()


@pytest.mark.parametrize(("nodes", "sizes"), [(10, [10]), (11, [6, 5]), (30, [10, 10, 10]), (31, [8, 8, 7, 8])])
def test_parts_are_even_and_hold_every_operation_once(nodes, sizes):
    sample = layout_sample(nodes=nodes)
    pieces = segments.cut(sample, CONFIG, CPU)
    assert sorted(len(part.opcodes) for part in pieces.parts) == sorted(sizes)
    np.testing.assert_array_equal(torch.cat([part.nodes for part in pieces.parts]), sample.nodes)
    starts = np.cumsum([0, *[len(part.opcodes) for part in pieces.parts]])
    found = [part.configurable + start for part, start in zip(pieces.parts, starts[:-1], strict=True)]
    np.testing.assert_array_equal(torch.cat(found), sample.configurable)
    np.testing.assert_array_equal(torch.cat([part.places for part in pieces.parts]), np.arange(4))


def test_edges_between_parts_are_left_out_and_no_others():
    pieces = segments.cut(layout_sample(nodes=30), CONFIG, CPU)
    for part in pieces.parts:
        expected = torch.zeros(10, 10)
        expected[torch.arange(9), torch.arange(1, 10)] = expected[torch.arange(1, 10), torch.arange(9)] = 1.0
        assert torch.equal(part.adjacency.matrix.to_dense() > 0, expected > 0)


def test_directed_networks_get_the_edges_of_each_way_apart():
    config = dataclasses.replace(CONFIG, conv="sage_mean", directed=True)
    for part in segments.cut(layout_sample(nodes=30), config, CPU).parts:
        along = torch.zeros(10, 10)
        along[torch.arange(1, 10), torch.arange(9)] = 1.0  # a row gathers: consumers from their producers
        assert torch.equal(part.adjacency.matrix.to_dense(), along)
        assert torch.equal(part.against.matrix.to_dense(), along.T)
    both = segments.cut(layout_sample(nodes=30), CONFIG, CPU).parts[0]
    assert both.against is None


@pytest.mark.parametrize("nodes", [10, 35])
@pytest.mark.parametrize("make", [layout_sample, tile_sample])
def test_a_training_score_is_the_predicted_one_whatever_part_is_followed(nodes, make, monkeypatch):
    sample = make(nodes=nodes)
    model, pieces = network(is_tile=sample.is_tile), segments.cut(sample, CONFIG, CPU)
    rows = np.array([5, 2, 30, 11, 8])
    expected = segments.predict(model, pieces, rows)
    monkeypatch.setattr(segments, "ROWS_AT_ONCE", 20)
    for chosen in range(len(pieces.parts)):
        found = segments.training_scores(model, pieces, rows, chosen)
        assert found.requires_grad
        torch.testing.assert_close(found.detach(), expected, rtol=1e-4, atol=1e-5)


def slopes(model, loss):
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


def test_gradients_of_the_parts_have_the_whole_ones_as_their_mean():
    model, pieces = network(), segments.cut(layout_sample(nodes=30), CONFIG, CPU)
    rows, weights = np.arange(6), torch.randn(6, generator=torch.Generator().manual_seed(0))
    configs = pieces.configs(rows)
    sums = [
        model(part, configs[:, part.places], segments.summaries_of(model, pieces, k))
        for k, part in enumerate(pieces.parts)
    ]
    whole = slopes(model, model.score(sum(sums), nodes=30, configurable=4) @ weights)
    parts = [slopes(model, segments.training_scores(model, pieces, rows, k) @ weights) for k in range(3)]
    readout = sum(value.numel() for name, value in model.named_parameters() if name.startswith("whole"))
    torch.testing.assert_close(torch.stack(parts).mean(dim=0), whole, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(parts[0][:-readout], parts[1][:-readout], rtol=1e-3, atol=1e-5)


def kept_bytes(sample, config=CONFIG):
    """Return the bytes that a step keeps for the way back, parameters apart."""
    model = network()
    pieces = segments.cut(sample, config, CPU)
    own = {value.data_ptr() for value in model.parameters()}
    kept = {}

    def keep(tensor):
        if tensor.layout is torch.strided and tensor.data_ptr() not in own:
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = segments.training_scores(model, pieces, np.arange(40), 0).sum()
    loss.backward()
    return sum(kept.values())


def test_what_a_step_keeps_does_not_grow_with_the_program():
    small, large = kept_bytes(layout_sample(nodes=10)), kept_bytes(layout_sample(nodes=100))
    assert large < 1.2 * small


def test_what_is_not_cut_keeps_in_proportion():
    whole = dataclasses.replace(CONFIG, segment=10_000)
    small, large = (kept_bytes(layout_sample(nodes=nodes), whole) for nodes in (10, 100))
    assert large > 4 * small


def test_nothing_asked_is_nothing_answered():
    pieces = segments.cut(layout_sample(), CONFIG, CPU)
    assert segments.predict(network(), pieces, np.zeros(0, np.int64)).shape == (0,)
