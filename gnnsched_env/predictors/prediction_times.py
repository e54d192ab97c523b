"""How long predictors take for a job: what a scheduler waits for before it knows the job's latencies."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from gnnsched_env.hardware import GnnModel, make_model
from gnnsched_env.predictors.protocol import Job, Predictor, jobs_of
from gnnsched_env.tables import Pair
from gnnsched_env.workload import JobClasses

NEW_MODELS = 15
_FRESH = count()  # widths that no earlier call used


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionTimes:
    """Medians in microseconds a job: `one` alone, its model seen before; `new_model` alone, never seen; `many` at once.

    A predictor without `for_pairs` predicts one job as a batch of one.
    """

    one: float
    new_model: float
    many: float


def prediction_times(
    predictor: Predictor, classes: JobClasses, pairs: Sequence[Pair], *, repeats: int = 200
) -> PredictionTimes:
    """Time the predictor on the classes, taken in turn; `repeats` calls for the first figure."""
    one = job_predictor(predictor, classes, pairs)
    own = jobs_of(classes)
    for job in own:
        one(job)
    alone = median_us(lambda i: one(own[i % len(own)]), repeats)
    fresh = [own[i % len(own)]._replace(model=_fresh_model()) for i in range(NEW_MODELS + 1)]
    return PredictionTimes(
        one=alone,
        new_model=median_us(lambda i: one(fresh[i]), NEW_MODELS),
        many=median_us(lambda i: predictor.predict(classes, pairs), 3) / len(classes),
    )


def job_predictor(predictor: Predictor, classes: JobClasses, pairs: Sequence[Pair]) -> Callable[[Job], object]:
    """Return the predictor's fastest function that predicts one job."""
    if (made := getattr(predictor, "for_pairs", None)) is not None:
        known: Callable[[Job], object] = made(pairs)
        return known
    return lambda job: predictor.predict(_alone(job), pairs)


def median_us(call: Callable[[int], object], repeats: int) -> float:
    """Return the median of `repeats` calls in microseconds; each gets its number, and call 0 is discarded."""
    times = []
    for i in range(repeats + 1):
        start = time.perf_counter()
        call(i)
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times[1:])


def _alone(job: Job) -> JobClasses:
    return JobClasses(
        names=("job",),
        models=(job.model,),
        degrees=(job.degrees,),
        weights=np.ones(1),
        groups=np.zeros(1, np.int64),
        group_names=("job",),
        graphs=None if job.graph is None else (job.graph,),
    )


def _fresh_model() -> GnnModel:
    number = next(_FRESH)
    return make_model("gcn", 41 + 3 * number, 2 + number % 61)
