"""The capacity program written out: a variable for each class on each accelerator, whichever are equal."""

import numpy as np
from scipy.optimize import linprog


def capacity(latencies, weights):
    """Return (rate, prices) of `latencies` [classes][accelerators]: the work of a unit's time, split over the fleet."""
    classes, fleet = np.shape(latencies)
    busy = [[latencies[c][a] * (a == b) for c in range(classes) for a in range(fleet)] + [0.0] for b in range(fleet)]
    served = [[float(c == d) for c in range(classes) for _ in range(fleet)] + [-weights[d]] for d in range(classes)]
    cost = [0.0] * (classes * fleet) + [-1.0]
    found = linprog(cost, A_ub=busy, b_ub=np.ones(fleet), A_eq=served, b_eq=np.zeros(classes))
    return found.x[-1], found.ineqlin.marginals / found.ineqlin.marginals.sum()
