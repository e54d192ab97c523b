"""Losses against sums written out, and what they do with ties."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.forecast.configs import Loss
from gnnsched_env.forecast.losses import list_mle, loss_of, mse, pairwise_hinge

from . import naive_learning as naive

LISTS = st.lists(st.tuples(st.floats(-3, 3), st.integers(0, 4)), min_size=1, max_size=9)


@given(LISTS, st.floats(0.1, 2.0))
def test_the_hinge_is_the_mean_over_pairs_of_unequal_targets(pairs, margin):
    scores, targets = zip(*pairs, strict=True)
    found = pairwise_hinge(torch.tensor(scores), torch.tensor(targets), margin=margin)
    assert float(found) == pytest.approx(naive.hinge(scores, targets, margin), abs=1e-5)


@given(LISTS)
def test_list_mle_is_the_likelihood_of_the_order(pairs):
    scores, targets = zip(*pairs, strict=True)
    found = list_mle(torch.tensor(scores), torch.tensor(targets))
    assert float(found) == pytest.approx(naive.list_mle(scores, targets), abs=1e-5)


def test_list_mle_is_a_probability_over_orders_where_no_targets_are_equal():
    scores = torch.tensor([0.3, -1.0, 0.7])
    orders = [torch.tensor(order) for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0])]
    assert sum(float(torch.exp(-3 * list_mle(scores, order))) for order in orders) == pytest.approx(1.0)


@given(st.permutations(range(6)))
def test_the_order_of_configurations_is_of_no_account(order):
    scores, targets = torch.tensor([0.5, 0.1, -0.4, 1.2, 0.0, -2.0]), torch.tensor([3.0, 1.0, 3.0, 1.0, 2.0, 3.0])
    for kind in Loss:
        before = loss_of(kind, scores, targets, margin=1.0)
        after = loss_of(kind, scores[list(order)], targets[list(order)], margin=1.0)
        assert float(before) == pytest.approx(float(after), abs=1e-6)


@pytest.mark.parametrize("kind", [Loss.HINGE, Loss.LIST_MLE])
@pytest.mark.parametrize("count", [1, 4])
def test_equal_targets_teach_nothing(kind, count):
    scores = torch.arange(float(count), requires_grad=True)
    loss = loss_of(kind, scores, torch.ones(count), margin=1.0)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert not scores.grad.any()


@pytest.mark.parametrize("kind", list(Loss))
def test_every_loss_leads_to_the_true_order(kind):
    targets = torch.tensor([0.3, -1.2, 1.4, -0.5])
    scores = torch.zeros(4, requires_grad=True)
    for _ in range(300):
        (slope,) = torch.autograd.grad(loss_of(kind, scores, targets, margin=1.0), scores)
        scores = (scores - 0.1 * slope).detach().requires_grad_()
    np.testing.assert_array_equal(scores.argsort().numpy(), targets.argsort().numpy())


def test_large_scores_stay_finite():
    scores = torch.tensor([500.0, -500.0, 0.0], requires_grad=True)
    loss = list_mle(scores, torch.tensor([1.0, 2.0, 3.0]))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(scores.grad).all()


def test_mse_is_the_mean_square():
    assert float(mse(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]))) == 2.5
