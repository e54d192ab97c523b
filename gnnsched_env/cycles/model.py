"""The typed interface of the cost model, for one graph, one model, one accelerator and one dataflow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.cycles import cost_kernels as kernels
from gnnsched_env.cycles.arguments import check_accelerator, check_dataflow, check_graph, check_model
from gnnsched_env.cycles.counts import LayerSpec, PhaseAccesses, RowTotals, count_accesses
from gnnsched_env.cycles.domain import check_rows
from gnnsched_env.cycles.layer import phase_links, simulate_layer
from gnnsched_env.cycles.plan import CyclePlan, compile_tiling, layer_spec
from gnnsched_env.cycles.quirks import CORRECTED, Quirks
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import Accelerator, BoundDataflow, Composition, Dataflow, GnnModel, Layer, bind

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCounts:
    """One layer under one dataflow: cycles, words moved, useful multiply-accumulates.

    `aggregation_cycles` and `combination_cycles` are the time of each phase on its own part of the array; `cycles` is
    the time of the two composed. `macs` = E * F + V * (combination width) * G, without padding.
    """

    dataflow: BoundDataflow
    cycles: int
    aggregation_cycles: int
    combination_cycles: int
    macs: int
    global_buffer: int
    psum: int
    aggregation: PhaseAccesses
    combination: PhaseAccesses

    @property
    def register_file(self) -> int:
        """Register-file accesses of both phases."""
        return self.aggregation.register_file + self.combination.register_file

    @property
    def links(self) -> int:
        """Distribution links crossed in both phases."""
        return self.aggregation.dn_links + self.combination.dn_links


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleCounts:
    """A model under one dataflow: the sum over its layers, in cycles and words; `pes` counts the whole accelerator."""

    pes: int
    layers: tuple[LayerCounts, ...]

    @property
    def cycles(self) -> int:
        """Cycles of all layers, one after another."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates."""
        return sum(layer.macs for layer in self.layers)

    @property
    def utilisation(self) -> float:
        """Useful multiply-accumulates / (cycles * PEs of the accelerator), in 0..1."""
        return self.macs / (self.cycles * self.pes)

    @property
    def global_buffer(self) -> int:
        """Words read from and written to the global buffer."""
        return sum(layer.global_buffer for layer in self.layers)

    @property
    def register_file(self) -> int:
        """Register-file accesses."""
        return sum(layer.register_file for layer in self.layers)

    @property
    def links(self) -> int:
        """Distribution links crossed."""
        return sum(layer.links for layer in self.layers)


def count_cycles(
    graph: Graph, model: GnnModel, accelerator: Accelerator, dataflow: Dataflow, *, quirks: Quirks = CORRECTED
) -> CycleCounts:
    """Return the cycles and accesses of a model on a graph; each layer aggregates over A or A+I by its `self_loops`.

    With all quirks mended (the default) the tilings are compiled once and kept; otherwise every row is replayed.
    """
    check_graph(graph)
    check_model(model)
    check_accelerator(accelerator)
    check_dataflow(dataflow)
    layers = []
    for layer in model.layers:
        degrees = graph.row_degrees(self_loops=layer.self_loops)
        layers.append(_count_layer(degrees, layer, bind(dataflow, layer, accelerator), quirks))
    return CycleCounts(pes=accelerator.pes, layers=tuple(layers))


def _count_layer(degrees: IntArray, layer: Layer, bound: BoundDataflow, quirks: Quirks) -> LayerCounts:
    spec = layer_spec(layer, bound)
    macs = int(degrees.sum()) * layer.in_features + degrees.size * layer.combination_features * layer.out_features
    if quirks != CORRECTED or compile_tiling(spec) is None:
        result = simulate_layer(degrees, spec, quirks=quirks)
        return LayerCounts(
            dataflow=bound,
            cycles=result.cycles(bound.composition),
            aggregation_cycles=result.agg,
            combination_cycles=result.cmb,
            macs=macs,
            global_buffer=result.global_buffer(bound.composition),
            psum=result.sp_psum if bound.composition is Composition.SP else 0,
            aggregation=result.aggregation,
            combination=result.combination,
        )
    cycles, aggregation_cycles, combination_cycles = _compiled_cycles(degrees, spec, bound.composition)
    folds = kernels.row_folds(degrees, spec.tiling.t_n)
    totals = RowTotals(rows=degrees.size, entries=int(degrees.sum()), folds=int(folds.sum()), last_folds=int(folds[-1]))
    accesses = count_accesses(spec, totals, phase_links(spec), literal_sp=False)
    composed_sp = bound.composition is Composition.SP
    return LayerCounts(
        dataflow=bound,
        cycles=cycles,
        aggregation_cycles=aggregation_cycles,
        combination_cycles=combination_cycles,
        macs=macs,
        global_buffer=accesses.gb_sp if composed_sp else accesses.gb_pp_seq,
        psum=accesses.sp_psum if composed_sp else 0,
        aggregation=accesses.aggregation,
        combination=accesses.combination,
    )


def phase_cycles(degrees: IntArray, spec: LayerSpec, composition: Composition) -> tuple[int, int, int]:
    """Return a layer's cycles under a composition, and those of its aggregation and its combination alone.

    `degrees` int64 [V]; all quirks are mended.
    """
    if compile_tiling(spec) is None:
        replayed = simulate_layer(degrees, spec)
        return replayed.cycles(composition), replayed.agg, replayed.cmb
    return _compiled_cycles(degrees, spec, composition)


def _compiled_cycles(degrees: IntArray, spec: LayerSpec, composition: Composition) -> tuple[int, int, int]:
    """Return (cycles of the composition, of the aggregation, of the combination)."""
    check_rows(degrees, spec, CORRECTED)
    compiled = compile_tiling(spec)
    assert compiled is not None
    total, serial = CyclePlan([(0, spec, composition), (1, spec, Composition.SEQ)]).cycles(degrees).tolist()
    combination = -(-degrees.size // spec.tiling.t_vc) * int(compiled.record["tile_cycles"][0])
    return total, serial - combination, combination
