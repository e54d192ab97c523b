"""Job classes from lists of degrees, for the tests of the predictors."""

import numpy as np

from gnnsched_env.hardware import make_model
from gnnsched_env.workload import JobClasses


def classes_of(*degree_lists, model=None, graphs=None):
    count = len(degree_lists)
    return JobClasses(
        names=tuple(str(i) for i in range(count)),
        models=(model or make_model("gcn", 5, 3),) * count,
        degrees=tuple(np.array(degrees, np.int64) for degrees in degree_lists),
        weights=np.full(count, 1 / count),
        groups=np.zeros(count, np.int64),
        group_names=("toy",),
        graphs=graphs,
    )
