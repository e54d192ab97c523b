"""`ExactPredictor`: the cost model as a predictor, which is never wrong."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.cycles import CyclePlan, plan_for
from gnnsched_env.hardware import GnnModel
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.protocol import Job
from gnnsched_env.tables import Pair, pair_cycles
from gnnsched_env.workload import JobClasses

IntArray = NDArray[np.int64]


class ExactPredictor:
    """The exact predictor: the cost model itself."""

    name = "exact"
    level = Level.DEGREES

    def predict(self, classes: JobClasses, pairs: Sequence[Pair]) -> IntArray:
        """Return the true cycles, int64 [C, P]."""
        return pair_cycles(classes, pairs)

    def for_pairs(self, pairs: Sequence[Pair]) -> Callable[[Job], IntArray]:
        """Return a function from a job to int64 [P]; a model's tilings are compiled when it first comes."""
        plans: dict[GnnModel, CyclePlan] = {}
        fixed = tuple(pairs)

        def cycles(job: Job) -> IntArray:
            plan = plans.get(job.model)
            if plan is None:
                plan = plans.setdefault(job.model, plan_for(job.model, fixed))
            return plan.cycles(job.degrees)

        return cycles

    def out_of_domain(self, classes: JobClasses) -> tuple[tuple[str, ...], ...]:
        """Return no features for each class; the cost model raises an error for anything outside its bounds."""
        return ((),) * len(classes)
