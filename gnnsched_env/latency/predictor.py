"""What every latency predictor offers, and the two that learn nothing: the cost model and its closed form."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.cycles import CyclePlan, plan_for
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import GnnModel, Layer
from gnnsched_env.latency.dataset import job_inputs
from gnnsched_env.latency.estimates import TERM_NAMES, ClosedForm, closed_form
from gnnsched_env.latency.levels import Level
from gnnsched_env.tables import JobClasses, Pair, pair_cycles
from gnnsched_env.tables.table import CYCLE_LIMIT

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

CYCLES = TERM_NAMES.index("cycles")


class Job(NamedTuple):
    """One job whose latency is asked: row degrees int64 [V] of the matrix that its model aggregates over, and more."""

    degrees: IntArray
    model: GnnModel
    graph: Graph | None = None


class Predictor(Protocol):
    """Latencies of jobs under (accelerator, dataflow) pairs."""

    @property
    def name(self) -> str:
        """The name on the command line."""
        ...

    @property
    def level(self) -> Level:
        """What it must know of a job."""
        ...

    def predict(self, classes: JobClasses, pairs: Sequence[Pair]) -> IntArray:
        """Return cycles, int64 [C, P], at least 1."""
        ...

    def out_of_domain(self, classes: JobClasses) -> tuple[tuple[str, ...], ...]:
        """Return, for each class, the features that lie outside what the predictor was trained on."""
        ...


class ExactPredictor:
    """The cost model itself."""

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
        """Return nothing for each class: what the cost model does not cover it refuses."""
        return ((),) * len(classes)


class ClosedFormPredictor:
    """The cost model without its arbiters, from the degrees or, at METADATA, from rows of equal degree."""

    def __init__(self, level: Level = Level.DEGREES) -> None:
        self.level = level
        self.name = "closed_form" if level is Level.DEGREES else "closed_form_metadata"

    def predict(self, classes: JobClasses, pairs: Sequence[Pair]) -> IntArray:
        """Return int64 [C, P]."""
        inputs = job_inputs(classes, pairs, self.level)
        terms = inputs.degree_terms if self.level is Level.DEGREES else inputs.metadata_terms
        return as_cycles(inputs.per_class(terms[:, :, CYCLES]))

    def for_pairs(self, pairs: Sequence[Pair]) -> Callable[[Job], IntArray]:
        """Return a function from a job to int64 [P]; a layer is bound to its tilings when it first comes."""
        forms = LayerForms(pairs)
        metadata = self.level is Level.METADATA

        def cycles(job: Job) -> IntArray:
            total = np.zeros(len(pairs))
            for layer in job.model.layers:
                own = forms[layer]
                terms = (
                    own.metadata_terms(job.degrees.size, int(job.degrees.sum()))
                    if metadata
                    else own.degree_terms(job.degrees)
                )
                total += terms[:, CYCLES]
            return as_cycles(total)

        return cycles

    def out_of_domain(self, classes: JobClasses) -> tuple[tuple[str, ...], ...]:
        """Return nothing for each class: it was not trained."""
        return ((),) * len(classes)


class LayerForms(dict[Layer, ClosedForm]):
    """The closed-form records [P] of each layer under some pairs, made when first asked for."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        super().__init__()
        self._pairs = tuple(pairs)

    def __missing__(self, layer: Layer) -> ClosedForm:
        self[layer] = closed_form(layer, self._pairs)
        return self[layer]


def as_cycles(values: FloatArray) -> IntArray:
    """Round to whole cycles that a latency table accepts."""
    return np.clip(np.rint(values), 1, CYCLE_LIMIT - 1).astype(np.int64)
