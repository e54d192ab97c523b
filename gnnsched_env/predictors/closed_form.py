"""Closed-form cycles of layers, from row degrees or from the graph's size alone, and the predictor made of them."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.cycles import (
    CompiledTiling,
    CyclePlan,
    LayerSpec,
    RowCost,
    closed_form_tiling,
    layer_spec,
    row_cost,
    sp_terms,
)
from gnnsched_env.hardware import Composition, GnnModel, Layer, bind
from gnnsched_env.predictors import feature_kernels as kernels
from gnnsched_env.predictors.features import log_widths
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.protocol import Job, as_cycles, one_by_one, sizes_of
from gnnsched_env.tables import Pair
from gnnsched_env.workload import JobClasses

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TERM_NAMES = ("combination", "cycles")
CYCLES = TERM_NAMES.index("cycles")

_COMPOSITIONS = {Composition.SEQ: kernels.SEQ, Composition.SP: kernels.SP, Composition.PP: kernels.PP}


class ClosedFormPredictor:
    """The cost model without its arbiters, from the degrees or, at METADATA, from rows of equal degree."""

    def __init__(self, level: Level = Level.DEGREES) -> None:
        self.level = level
        self.name = "closed_form" if level is Level.DEGREES else "closed_form_metadata"

    def predict(self, classes: JobClasses, pairs: Sequence[Pair]) -> IntArray:
        """Return predicted cycles, int64 [C, P]."""
        return one_by_one(self.for_pairs(pairs), classes)

    def for_pairs(self, pairs: Sequence[Pair]) -> Callable[[Job], IntArray]:
        """Return a function from a job to int64 [P]; a layer is bound to its tilings when it first comes."""
        forms = ModelForms(pairs)
        metadata = self.level is Level.METADATA

        def cycles(job: Job) -> IntArray:
            form = forms[job.model]
            terms = form.metadata_terms(*sizes_of(job)) if metadata else form.degree_terms(job.degrees)
            return as_cycles(terms[:, :, CYCLES].sum(axis=0))

        return cycles

    def out_of_domain(self, classes: JobClasses) -> tuple[tuple[str, ...], ...]:
        """Return no features for each class, as there is no training range."""
        return ((),) * len(classes)


@lru_cache(maxsize=256)
def bound_form(layers: tuple[Layer, ...], pairs: tuple[Pair, ...]) -> "ClosedForm":
    """Return the closed form of layers under pairs; recent results are cached."""
    return ClosedForm(layers, pairs)


class ClosedForm:
    """L layers under P pairs, without a graph: the cost model without its arbiters (`cycles.closed_form_tiling`).

    `widths` float64 [L, 3]: the layers' `log_widths`.
    """

    def __init__(self, layers: Sequence[Layer], pairs: Sequence[Pair]) -> None:
        self._shape = len(layers), len(pairs)
        self.widths = log_widths(layers)
        self.records = np.zeros(len(layers) * len(pairs), kernels.CLOSED_FORM_DTYPE)
        self.stamps = np.zeros(0, np.int64)
        entries: list[tuple[int, LayerSpec, Composition]] = []
        tilings: dict[LayerSpec, CompiledTiling] = {}
        for i, (layer, (accelerator, dataflow)) in enumerate(product(layers, pairs)):
            bound = bind(dataflow, layer, accelerator)
            spec = layer_spec(layer, bound)
            cost = row_cost(spec)
            tilings[spec] = closed_form_tiling(spec, cost)
            self._record(i, spec, cost, bound.composition)
            entries.append((i, spec, bound.composition))
        self._plan = CyclePlan(entries, tilings.__getitem__) if entries else None

    def degree_terms(self, degrees: IntArray) -> FloatArray:
        """Return float64 [L, P, 2], cycles by TERM_NAMES, from row degrees int64 [V] in the order of the rows; O(V)."""
        terms = np.empty((self.records.size, len(TERM_NAMES)))
        if self._plan is not None:
            np.multiply(-(-degrees.size // self.records["t_vc"]), self.records["tile_cycles"], out=terms[:, 0])
            terms[:, 1] = self._plan.cycles(degrees)
        return terms.reshape(*self._shape, len(TERM_NAMES))

    def metadata_terms(self, vertices: int, entries: int) -> FloatArray:
        """Return float64 [L, P, 2], cycles by TERM_NAMES, of a graph whose rows all have the mean degree; O(1)."""
        terms: FloatArray = kernels.metadata_terms(vertices, entries, self.records, self.stamps)
        return terms.reshape(*self._shape, len(TERM_NAMES))

    def _record(self, i: int, spec: LayerSpec, cost: RowCost, composition: Composition) -> None:
        tiling = spec.tiling
        row = (tiling.t_va, tiling.t_n, cost.weights, cost.inputs, cost.groups, cost.lines, cost.base)
        tile = (tiling.t_vc, _COMPOSITIONS[composition], *sp_terms(spec), cost.tile_cycles, self.stamps.size)
        self.records[i] = (*row, *tile)
        self.stamps = np.concatenate((self.stamps, cost.stamps))


class ModelForms(dict[GnnModel, ClosedForm]):
    """The closed form of each model's layers under some pairs, computed at the first request."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        super().__init__()
        self._pairs = tuple(pairs)

    def __missing__(self, model: GnnModel) -> ClosedForm:
        self[model] = bound_form(model.layers, self._pairs)
        return self[model]
