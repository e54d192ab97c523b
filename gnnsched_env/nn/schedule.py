"""The learning rate over a training: linear warm-up, then cosine decay."""

import numpy as np
from torch.optim import Optimizer

WARM_UP = 0.05  # share of the steps in which the learning rate rises; then it falls as a cosine
LAST_RATE = 1e-3  # final learning rate over the peak


def rate_share(done: float, *, last: float = LAST_RATE) -> float:
    """Return the learning rate over its peak after a share `done` of the steps; `last`: the final and least value."""
    if done < WARM_UP:
        return max(last, done / WARM_UP)
    return last + (1.0 - last) * 0.5 * (1.0 + float(np.cos(np.pi * (done - WARM_UP) / (1.0 - WARM_UP))))


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Give all parameters of an optimiser a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
