"""Closed-form cycles of layers, from row degrees or from the size of the graph alone."""

from collections.abc import Sequence
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
from gnnsched_env.hardware import Composition, Layer, bind
from gnnsched_env.predictors import feature_kernels as kernels
from gnnsched_env.predictors.features import log_widths
from gnnsched_env.tables import Pair

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TERM_NAMES = ("combination", "cycles")

_COMPOSITIONS = {Composition.SEQ: kernels.SEQ, Composition.SP: kernels.SP, Composition.PP: kernels.PP}


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
