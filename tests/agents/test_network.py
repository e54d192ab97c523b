"""The torch network equals numpy's; softmax, entropy and draws over packed rows equal those lane by lane."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_agents.torch_network import Critic, Packing, PairNetwork
from gnnsched_baselines.learned.pair_features import NUM_FEATURES
from gnnsched_baselines.learned.pair_network import Network, initial_network, shapes
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.nn.device import pick_device
from tests.twins import training as naive_training


def random_network(rng, width):
    return Network(**{name: rng.normal(0.0, 0.5, shape) for name, shape in shapes(width).items()})


@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    width=st.integers(1, 40),
    seed=st.integers(0, 1 << 32),
)
def test_scores_equal_the_numpy_network(sizes, width, seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng, width)
    rows = rng.uniform(-3.0, 3.0, (sum(sizes), NUM_FEATURES)).astype(np.float32)
    expected = network.scores(rows, np.concatenate([[0], np.cumsum(sizes)]))
    with torch.no_grad():
        scores = PairNetwork(network)(torch.from_numpy(rows), Packing.of(torch.tensor(sizes)))
    np.testing.assert_allclose(
        scores.numpy(), expected, rtol=1e-5, atol=1e-5 * (1.0 + np.abs(expected).max())
    )  # sums of terms of order one may cancel


def test_weights_come_back_as_they_went_in():
    network = random_network(np.random.default_rng(0), 5)
    module = PairNetwork(network)
    assert all((a == b).all() for a, b in zip(module.network().arrays, network.arrays, strict=True))
    with torch.no_grad():
        module.w1.add_(1.0)
    assert not (module.network().w1 == network.w1).any()


packed = st.lists(st.lists(st.floats(-30.0, 30.0, width=32), min_size=1, max_size=6), min_size=1, max_size=6)


def pack(lanes):
    scores = torch.tensor([score for lane in lanes for score in lane], dtype=torch.float64)
    return scores, Packing.of(torch.tensor([len(lane) for lane in lanes]))


@given(lanes=packed)
def test_softmax_and_entropy_equal_those_of_each_lane(lanes):
    scores, packing = pack(lanes)
    logs = packing.log_softmax(scores)
    expected = [naive_training.softmax(lane) for lane in lanes]
    np.testing.assert_allclose(logs.exp().numpy(), np.concatenate(expected), atol=1e-12)
    per_lane = [torch.distributions.Categorical(logits=torch.tensor(lane, dtype=torch.float64)) for lane in lanes]
    entropies = [float(distribution.entropy()) for distribution in per_lane]
    np.testing.assert_allclose(packing.entropy(logs).numpy(), entropies, atol=1e-9)


@given(lanes=packed)
def test_sums_means_and_largest_equal_those_of_each_lane(lanes):
    scores, packing = pack(lanes)
    np.testing.assert_allclose(packing.sum(scores).numpy(), [sum(lane) for lane in lanes], atol=1e-9)
    both = torch.stack([scores, -scores], dim=1)
    means = [[np.mean(lane), -np.mean(lane)] for lane in lanes]
    np.testing.assert_allclose(packing.mean(both).numpy(), means, atol=1e-9)
    assert packing.max(scores).tolist() == [max(lane) for lane in lanes]
    starts = np.cumsum([0, *map(len, lanes)])[:-1]
    assert packing.argmax(scores).tolist() == [
        start + int(np.argmax(lane)) for start, lane in zip(starts, lanes, strict=True)
    ]


@given(lanes=packed)
def test_gradients_equal_those_of_each_lane(lanes):
    scores, packing = pack(lanes)
    chosen = torch.tensor([len(lane) - 1 for lane in lanes]) + packing.sizes.cumsum(0) - packing.sizes
    scores.requires_grad_()
    logs = packing.log_softmax(scores)
    (logs[chosen].sum() + packing.entropy(logs).sum()).backward()
    expected = []
    for lane in lanes:
        own = torch.tensor(lane, dtype=torch.float64, requires_grad=True)
        alone = own.log_softmax(0)
        (alone[-1] - (alone.exp() * alone).sum()).backward()
        expected += own.grad.tolist()
    np.testing.assert_allclose(scores.grad.numpy(), expected, atol=1e-9)


def test_draws_follow_the_softmax():
    lanes = [[0.0, 1.0, -1.0], [5.0], [2.0, 2.0], [-40.0, 0.0]]
    scores, packing = pack(lanes)
    rng = np.random.default_rng(0)
    counts = np.zeros(len(scores))
    for _ in range(4000):
        drawn = packing.sample(scores, torch.from_numpy(rng.standard_exponential(len(scores))))
        counts[drawn.numpy()] += 1
    expected = np.concatenate([naive_training.softmax(lane) for lane in lanes])
    np.testing.assert_allclose(counts / 4000, expected, atol=4 * np.sqrt(0.25 / 4000))


def test_a_lane_without_rows_is_refused():
    with pytest.raises(ConfigError, match="every lane must have a row at least, got 0"):
        Packing.of(torch.tensor([2, 0, 1]))


def test_the_critic_keeps_its_values_when_its_scale_moves():
    rng = np.random.default_rng(0)
    critic = Critic(3, 8, rng)
    with torch.no_grad():
        critic.head.weight.normal_(generator=torch.Generator().manual_seed(0))
    first = torch.tensor([10.0, 20.0, 30.0])
    critic.track(first, 0.1)
    assert float(critic.mean) == pytest.approx(20.0)
    assert float(critic.deviation) == pytest.approx(np.std([10, 20, 30]))
    features = torch.from_numpy(rng.normal(size=(5, 3)).astype(np.float32))
    before = critic.values(features)
    critic.track(torch.tensor([-500.0, 300.0]), 0.1)
    assert float(critic.mean) == pytest.approx(0.9 * 20.0 + 0.1 * -100.0)
    torch.testing.assert_close(critic.values(features), before, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(critic.standardised(before), critic(features), rtol=1e-4, atol=1e-4)


def test_equal_returns_do_not_break_the_scale():
    critic = Critic(2, 4, np.random.default_rng(0))
    for _ in range(3):
        critic.track(torch.full((4,), -7.0), 0.5)
    assert torch.isfinite(critic.standardised(torch.tensor([-7.0, 3.0]))).all()


@pytest.mark.parametrize("name", ["abacus", "cuda:99", "meta:x"])
def test_an_unusable_device_is_refused(name):
    with pytest.raises(ConfigError, match=f"device '{name}' is not usable"):
        pick_device(name)


def test_the_initial_network_prefers_the_planned_action():
    network = initial_network(4, np.random.default_rng(0), prior=3.0)
    rows = torch.zeros(4, NUM_FEATURES)
    rows[2, 1] = 1.0
    packing = Packing.of(torch.tensor([4]))
    with torch.no_grad():
        probabilities = packing.log_softmax(PairNetwork(network)(rows, packing)).exp()
    assert probabilities.tolist() == pytest.approx(naive_training.softmax([0.0, 0.0, 3.0, 0.0]))
