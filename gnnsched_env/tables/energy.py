"""Energy of job classes under (accelerator, dataflow) pairs: the cost model's access counts times unit energies."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.cycles import layer_spec
from gnnsched_env.cycles.cost_kernels import row_folds
from gnnsched_env.cycles.counts import LayerSpec, RowTotals, count_accesses
from gnnsched_env.cycles.domain import check_work, slots_of
from gnnsched_env.cycles.layer import phase_links
from gnnsched_env.hardware import Accelerator, Composition, Dataflow, Fleet, Layer, bind
from gnnsched_env.hardware.energy import UnitEnergies, load_unit_energies
from gnnsched_env.tables.build import distinct_pairs
from gnnsched_env.workload.job_classes import JobClasses

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Pair = tuple[Accelerator, Dataflow]


def energy_table(classes: JobClasses, fleet: Fleet, *, units: UnitEnergies | None = None) -> FloatArray:
    """Return float64 [C, K], pJ: the energy of each class under each choice of the fleet; see `pair_energy`."""
    distinct = distinct_pairs(fleet)
    return pair_energy(classes, distinct.pairs, units=units)[:, distinct.columns]


def pair_energy(classes: JobClasses, pairs: Sequence[Pair], *, units: UnitEnergies | None = None) -> FloatArray:
    """Return float64 [C, pairs], pJ, summed over the layers of each class's model, all quirks mended.

    A layer's energy is that of its useful multiply-accumulates, its register-file accesses, the links its words cross
    to the PEs, and its global-buffer accesses under the pair's composition. Anything not counted (DRAM, leakage, the
    way of results back, idle PEs) costs nothing. `units`: the default preset if None.
    """
    units = load_unit_energies() if units is None else units
    rows = _RowCounts(classes)
    energy = np.zeros((len(classes), len(pairs)))
    for layer, members in _layer_users(classes):
        for column, (accelerator, dataflow) in enumerate(pairs):
            bound = bind(dataflow, layer, accelerator)
            spec = layer_spec(layer, bound)
            totals = rows.totals(members, spec)
            own = _layer_energy(spec, bound.composition, totals, units)
            np.add.at(energy[:, column], members, own)  # a model may have one layer twice
    return energy


class _RowCounts:
    """The row totals of each class from which accesses are counted; folds are summed once for each T_N that occurs."""

    def __init__(self, classes: JobClasses) -> None:
        self._degrees = classes.degrees
        self._rows = np.array([degrees.size for degrees in classes.degrees], np.int64)
        self._entries = np.array([int(degrees.sum()) for degrees in classes.degrees], np.int64)
        self._folds: dict[int, IntArray] = {}

    def totals(self, members: IntArray, spec: LayerSpec) -> RowTotals:
        """Return totals whose fields are int64 [members]: the formulas of the counts hold element by element."""
        rows: Any = self._rows[members]
        entries: Any = self._entries[members]
        an_entry, a_row, _ = slots_of(spec)
        largest = int((entries * float(an_entry) + rows * float(a_row)).argmax())
        check_work(spec, int(rows[largest]), int(entries[largest]))
        folds: Any = self._sums_and_last(spec.tiling.t_n)[members]
        return RowTotals(rows=rows, entries=entries, folds=folds[:, 0], last_folds=folds[:, 1])

    def _sums_and_last(self, t_n: int) -> IntArray:
        """Return int64 [C, 2]: the folds of all rows, and those of the last."""
        if t_n not in self._folds:
            folds = [row_folds(np.ascontiguousarray(degrees, np.int64), t_n) for degrees in self._degrees]
            self._folds[t_n] = np.array([(own.sum(), own[-1]) for own in folds], np.int64)
        return self._folds[t_n]


def _layer_users(classes: JobClasses) -> Iterable[tuple[Layer, IntArray]]:
    """Return each distinct layer with the classes that have it; a class appears once for each occurrence."""
    users: dict[Layer, list[int]] = {}
    for c, model in enumerate(classes.models):
        for layer in model.layers:
            users.setdefault(layer, []).append(c)
    return ((layer, np.array(members, np.int64)) for layer, members in users.items())


def _layer_energy(spec: LayerSpec, composition: Composition, totals: RowTotals, units: UnitEnergies) -> FloatArray:
    """Return float64 [classes], pJ, of one layer."""
    accesses = count_accesses(spec, totals, phase_links(spec), literal_sp=False)
    phases = (accesses.aggregation, accesses.combination)
    macs = totals.entries * spec.in_features + totals.rows * spec.combination_features * spec.out_features
    energy: FloatArray = np.multiply(macs, units.mac_pj, dtype=np.float64)
    energy += units.register_file_pj * sum(phase.register_file for phase in phases)
    energy += units.link_pj * sum(phase.dn_links for phase in phases)
    energy += units.global_buffer_pj * (accesses.gb_sp if composition is Composition.SP else accesses.gb_pp_seq)
    return energy
