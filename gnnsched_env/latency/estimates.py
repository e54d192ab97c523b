"""Closed-form phase times, which a regressor then corrects: folds, column groups and row tiles, but no queues."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.hardware import BoundDataflow, Composition, Layer
from gnnsched_env.latency import kernels
from gnnsched_env.tables import JobClasses, Pair

FloatArray = NDArray[np.float64]


def phase_estimates(classes: JobClasses, pairs: Sequence[Pair]) -> FloatArray:
    """Return float64 [C, pairs, layers, 2]: cycles of aggregation and combination, each on its part of the array.

    Aggregation: folds of all row tiles x ceil(F / T_Fa), and a cycle to configure each tile. Combination: row tiles x
    ceil(width / T_Fc) x ceil(G / T_G). Every fold counts one cycle, whatever the bandwidths. All classes must have
    models of as many layers.
    """
    bound: dict[Layer, list[BoundDataflow]] = {}
    estimates = np.zeros((len(classes), len(pairs), len(classes.models[0].layers), 2))
    for c, model in enumerate(classes.models):
        folds = _fold_counter(classes.degrees[c])
        for i, layer in enumerate(model.layers):
            if layer not in bound:
                bound[layer] = [dataflow.bind(layer, accelerator) for accelerator, dataflow in pairs]
            for p, dataflow in enumerate(bound[layer]):
                estimates[c, p, i] = _phases(layer, dataflow, classes.degrees[c].size, folds)
    return estimates


def composed_estimates(phases: FloatArray, pairs: Sequence[Pair]) -> FloatArray:
    """Return float64 [C, pairs] from [C, pairs, layers, 2]: layers in turn; PP's phases overlap, others' follow."""
    parallel = np.array([dataflow.composition is Composition.PP for _, dataflow in pairs])
    layers = np.where(parallel[:, None], phases.max(axis=3), phases.sum(axis=3))
    total: FloatArray = layers.sum(axis=2)
    return total


def _phases(layer: Layer, bound: BoundDataflow, rows: int, folds: Callable[[int, int], int]) -> tuple[int, int]:
    t_va, t_n, t_fa, t_vc, t_g, t_fc = bound.tiling.as_tuple()
    aggregation = folds(t_va, t_n) * _ceil(layer.in_features, t_fa) + _ceil(rows, t_va)
    columns = _ceil(layer.combination_features, t_fc) * _ceil(layer.out_features, t_g)
    return aggregation, _ceil(rows, t_vc) * columns


def _fold_counter(degrees: NDArray[np.int64]) -> Callable[[int, int], int]:
    """Return the folds of all row tiles by (T_Va, T_N), each counted once."""
    known: dict[tuple[int, int], int] = {}

    def folds(t_va: int, t_n: int) -> int:
        if (t_va, t_n) not in known:
            known[t_va, t_n] = int(kernels.tile_folds(degrees, t_va, t_n))
        return known[t_va, t_n]

    return folds


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
