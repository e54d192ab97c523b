"""Where the cycles of a layer go: useful work, PEs without work, ports, lines, filling and draining, composition.

Distribution and reduction are told by what cycles would be without their limit: the cost model is asked again for the
same tiles on arrays of a distribution port, and then of a collection line too, for each PE. What is left of a phase
then is steps, in each of which every PE could do a multiply-accumulate, and the cycles between them.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.cycles.arguments import check_accelerator, check_dataflow, check_graph, check_model
from gnnsched_env.cycles.cost_kernels import row_folds
from gnnsched_env.cycles.counts import LayerSpec
from gnnsched_env.cycles.model import phase_cycles
from gnnsched_env.cycles.plan import layer_spec
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import Accelerator, BoundDataflow, Composition, Dataflow, GnnModel, bind
from gnnsched_env.hardware.binding import PhaseArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseParts:
    """What one phase of a layer spends its cycles on; the parts sum to the cycles of the phase alone.

    `useful`: multiply-accumulates over the PEs of the phase's part of the array, as if all of them always worked.
    `unmapped`: PEs beyond the tiles. `padding`: places of the tiles that hold no work, since a degree, a width or a
    number of vertices does not fill them. `slowest_row`: rows of a tile that are done and wait for its slowest one.
    `distribution`, `reduction`: what limited ports and lines add. `filling`: configuring, filling and draining the
    array between tiles, whose length no port or line decides.
    """

    useful: float
    unmapped: float
    padding: float
    slowest_row: float
    distribution: float
    reduction: float
    filling: float

    @property
    def cycles(self) -> float:
        """Return the cycles of the phase alone."""
        return float(sum(getattr(self, part.name) for part in fields(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerParts:
    """What one layer spends its cycles on: its two phases, and what composing them adds.

    `composing` is the layer's cycles less those of the two phases, one after the other: 0 for Seq, below 0 where phases
    overlap (PP) or need not write and read what lies between them (SP), above 0 where that costs more than it saves.
    `stall` (PP, else 0): cycles beyond those of the longer phase, in which one phase waits for the other. (A pipeline
    may also end before the longer phase alone would: it does not wait for rows that the last tile lacks.)
    """

    dataflow: BoundDataflow
    aggregation: PhaseParts
    combination: PhaseParts
    composing: int
    stall: int
    cycles: int


def explain_cycles(
    graph: Graph, model: GnnModel, accelerator: Accelerator, dataflow: Dataflow
) -> tuple[LayerParts, ...]:
    """Return for each layer of a model what its cycles on a graph go to, all quirks mended.

    The layers' `cycles` sum to those of `count_cycles`. Raise ConfigError and GraphError as it does.
    """
    check_graph(graph)
    check_model(model)
    check_accelerator(accelerator)
    check_dataflow(dataflow)
    return tuple(
        _explain(graph.row_degrees(self_loops=layer.self_loops), bound, layer_spec(layer, bound))
        for layer in model.layers
        for bound in [bind(dataflow, layer, accelerator)]
    )


def _explain(degrees: IntArray, bound: BoundDataflow, spec: LayerSpec) -> LayerParts:
    total, *actual = phase_cycles(degrees, spec, bound.composition)
    wide = _widened(spec, "distribution_bandwidth")
    _, *ports = phase_cycles(degrees, wide, bound.composition)
    _, *unlimited = phase_cycles(degrees, _widened(wide, "reduction_bandwidth"), bound.composition)
    steps = (_aggregation_steps(degrees, spec), _combination_steps(degrees.size, spec))
    phases = [
        replace(
            own,
            distribution=float(taken - without_ports),
            reduction=float(without_ports - without_both),
            filling=without_both - own.cycles,
        )
        for own, taken, without_ports, without_both in zip(steps, actual, ports, unlimited, strict=True)
    ]
    return LayerParts(
        dataflow=bound,
        aggregation=phases[0],
        combination=phases[1],
        composing=total - sum(actual),
        stall=max(0, total - max(actual)) if bound.composition is Composition.PP else 0,
        cycles=total,
    )


def _widened(spec: LayerSpec, bandwidth: str) -> LayerSpec:
    """Return the layer on arrays with as many ports (or lines) as PEs."""
    aggregation, combination = (
        replace(array, **{bandwidth: array.pes}) for array in (spec.aggregation, spec.combination)
    )
    return replace(spec, aggregation=aggregation, combination=combination)


def _aggregation_steps(degrees: IntArray, spec: LayerSpec) -> PhaseParts:
    """Return what the steps of the aggregation hold; a row's steps are its folds, once for each group of features."""
    tiling = spec.tiling
    folds = row_folds(degrees, tiling.t_n)
    tiles = np.maximum.reduceat(folds, np.arange(0, len(folds), tiling.t_va))
    groups = -(-spec.in_features // tiling.t_fa)
    own, held = int(folds.sum()) * groups, int(tiles.sum()) * groups * tiling.t_va
    absent = int(tiles[-1]) * groups * (len(tiles) * tiling.t_va - len(folds))  # rows that the last tile lacks
    row = tiling.t_n * tiling.t_fa  # PEs that a row has
    return _parts(
        spec.aggregation,
        steps=held // tiling.t_va,
        tile=row * tiling.t_va,
        useful=int(degrees.sum()) * spec.in_features,
        slowest_row=(held - own - absent) * row,
    )


def _combination_steps(rows: int, spec: LayerSpec) -> PhaseParts:
    """Return what the steps of the combination hold, all of whose rows are alike."""
    tiling, width, outputs = spec.tiling, spec.combination_features, spec.out_features
    sizes = ((rows, tiling.t_vc), (width, tiling.t_fc), (outputs, tiling.t_g))
    steps = int(np.prod([-(-size // tile) for size, tile in sizes], dtype=np.int64))
    tile = tiling.t_vc * tiling.t_fc * tiling.t_g
    return _parts(spec.combination, steps=steps, tile=tile, useful=rows * width * outputs, slowest_row=0)


def _parts(array: PhaseArray, *, steps: int, tile: int, useful: int, slowest_row: int) -> PhaseParts:
    """Return the parts of `steps` steps of `tile` places; `useful` and `slowest_row` are places, all steps together."""
    return PhaseParts(
        useful=useful / array.pes,
        unmapped=steps * (array.pes - tile) / array.pes,
        padding=(steps * tile - useful - slowest_row) / array.pes,
        slowest_row=slowest_row / array.pes,
        distribution=0.0,
        reduction=0.0,
        filling=0.0,
    )
