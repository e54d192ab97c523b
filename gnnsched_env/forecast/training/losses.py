"""Losses over the configurations of one program. Scores and targets are [K]; smaller is faster.

Each is a mean that does not grow with K, and is 0, with zero gradients, where nothing can be learned: fewer than two
configurations or (all but `mse`) equal targets.
"""

import torch
from torch import Tensor

from gnnsched_env.forecast.models.network_settings import Loss

LEAST_VARIANCE = 1e-8


def standardised(values: Tensor) -> Tensor:
    """Return values [K] less their mean, over their deviation; those that hardly differ become about 0."""
    centred = values - values.mean()
    return centred / (centred.square().mean() + LEAST_VARIANCE).sqrt()


def mse(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error; targets are standardised by the caller."""
    return (scores - targets).square().mean()


def pairwise_hinge(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    """Return the mean of max(0, margin - (slower's score - faster's)) over all pairs of unequal targets."""
    faster = targets[:, None] < targets[None, :]
    gaps = scores[None, :] - scores[:, None]
    return (torch.relu(margin - gaps) * faster).sum() / faster.sum().clamp_min(1)


def list_mle(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the mean negative log likelihood of the true order, fastest first, under Plackett and Luce's model.

    -(1 / K) * sum_k [u_k - log sum(exp(u_j) over all j not faster than k)], u = -scores (Xia et al. 2008). Equal
    targets are in each other's sums (Breslow's rule of survival analysis), so that their order does not matter.
    """
    if bool((targets == targets[:1]).all()):
        return scores.sum() * 0.0
    order = targets.argsort(stable=True)
    utilities, true = -scores[order].float(), targets[order].contiguous()
    behind = utilities.flip(0).logcumsumexp(dim=0).flip(0)
    first = torch.searchsorted(true, true)  # of the configurations with the same target
    return (behind[first] - utilities).mean()


def loss_of(kind: Loss, scores: Tensor, targets: Tensor, *, margin: float, standardise: bool) -> Tensor:
    """Return the loss of a name, with `standardise` of three and more scores after `standardised` (two have no size).

    The squared error standardises the targets with the scores: it is then twice one minus their correlation.
    """
    if standardise and len(scores) > 2:
        scores = standardised(scores)
        if kind is Loss.MSE:
            targets = standardised(targets)
    if kind is Loss.MSE:
        return mse(scores, targets)
    if kind is Loss.HINGE:
        return pairwise_hinge(scores, targets, margin=margin)
    return list_mle(scores, targets)
