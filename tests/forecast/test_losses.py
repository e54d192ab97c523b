"""Losses against sums written out, and what they do with ties."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.forecast.models.network_settings import Loss
from gnnsched_env.forecast.training.losses import list_mle, loss_of, mse, pairwise_hinge
from tests.twins import forecast_learning as naive

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
        before = loss_of(kind, scores, targets, margin=1.0, standardise=False)
        after = loss_of(kind, scores[list(order)], targets[list(order)], margin=1.0, standardise=False)
        assert float(before) == pytest.approx(float(after), abs=1e-6)


@pytest.mark.parametrize("kind", [Loss.HINGE, Loss.LIST_MLE])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("standardise", [False, True])
def test_equal_targets_teach_nothing(kind, count, standardise):
    scores = torch.arange(float(count), requires_grad=True)
    loss = loss_of(kind, scores, torch.ones(count), margin=1.0, standardise=standardise)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert not scores.grad.any()


@pytest.mark.parametrize("kind", list(Loss))
@pytest.mark.parametrize("standardise", [False, True])
def test_every_loss_leads_to_the_true_order(kind, standardise):
    targets = torch.tensor([0.3, -1.2, 1.4, -0.5])
    scores = torch.zeros(4, requires_grad=True)
    for _ in range(300):
        (slope,) = torch.autograd.grad(loss_of(kind, scores, targets, margin=1.0, standardise=standardise), scores)
        scores = (scores - 0.1 * slope).detach().requires_grad_()
    np.testing.assert_array_equal(scores.argsort().numpy(), targets.argsort().numpy())


def test_large_scores_stay_finite():
    scores = torch.tensor([500.0, -500.0, 0.0], requires_grad=True)
    loss = list_mle(scores, torch.tensor([1.0, 2.0, 3.0]))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(scores.grad).all()


def test_mse_is_the_mean_square():
    assert float(mse(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]))) == 2.5


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=9, unique=True), st.floats(0.1, 10.0), st.floats(-50.0, 50.0))
@pytest.mark.parametrize("kind", list(Loss))
def test_standardised_scores_have_no_size(kind, scores, stretch, shift):
    own = torch.tensor(scores, dtype=torch.float64)
    if float(own.std()) < 0.1:
        return
    targets = torch.arange(len(scores)).double()
    one, other = (loss_of(kind, x, targets, margin=1.0, standardise=True) for x in (own, stretch * own + shift))
    assert float(one) == pytest.approx(float(other), abs=1e-3)


def test_the_squared_error_of_standardised_scores_is_twice_one_minus_their_correlation():
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(size=(2, 12))
    found = loss_of(Loss.MSE, torch.tensor(scores), torch.tensor(targets), margin=1.0, standardise=True)
    assert float(found) == pytest.approx(2 - 2 * np.corrcoef(scores, targets)[0, 1], abs=1e-6)


@pytest.mark.parametrize("kind", list(Loss))
def test_equal_scores_are_standardised_without_harm(kind):
    scores = torch.zeros(5, requires_grad=True)
    loss_of(kind, scores, torch.arange(5.0), margin=1.0, standardise=True).backward()
    assert torch.isfinite(scores.grad).all() and scores.grad.any()


@pytest.mark.parametrize("kind", list(Loss))
def test_two_scores_are_left_as_they_are(kind):
    scores, targets = torch.tensor([0.3, 0.1]), torch.tensor([1.0, 2.0])
    plain, other = (loss_of(kind, scores, targets, margin=1.0, standardise=flag) for flag in (False, True))
    assert float(plain) == float(other)
