"""How a broken rule is told."""

import numpy as np


class Violation(AssertionError):
    """Something that must hold did not."""


def require(rule, good):
    """Raise Violation naming the rule and where unless all of `good` (bool array) holds; return its size."""
    if not good.all():
        raise Violation(f"{rule}: broken at {np.argwhere(~good)[:4].tolist()} of {list(good.shape)}")
    return good.size
