"""Build a `LatencyTable` from job classes and a fleet, caching each step; and the table shipped with the package."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.disk_cache import cached, code_digest, content_key
from gnnsched_env.hardware import Fleet, load_fleet
from gnnsched_env.hardware.energy import UnitEnergies, load_unit_energies
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec
from gnnsched_env.predictors.datasets.training_set import DEFAULT_TRAINING, Arrays, TrainingSet
from gnnsched_env.predictors.exact import ExactPredictor
from gnnsched_env.predictors.log_errors import log_error_quantiles
from gnnsched_env.predictors.protocol import ROOMS, KeptPredictor
from gnnsched_env.predictors.registry import DEFAULT_PREDICTOR, check_predictor, make_predictor
from gnnsched_env.predictors.trees.tree_training import training_means
from gnnsched_env.tables import LatencyTable, choice_keys, distinct_pairs, pair_cycles
from gnnsched_env.tables.energy import pair_energy
from gnnsched_env.version import __version__
from gnnsched_env.workload import JobClasses, synthetic_classes

SHIPPED_FILE = "synthetic.npz"

_LABEL_ROOMS = ("graphs", "hardware", "cycles", "workload", "tables")


def build_table(
    job_classes: JobClasses,
    fleet: Fleet,
    *,
    predictor: str = DEFAULT_PREDICTOR,
    progress: bool | None = None,
    cache: bool = True,
    workers: int | None = None,
    training: DatasetSpec = DEFAULT_TRAINING,
    units: UnitEnergies | None = None,
) -> LatencyTable:
    """Return the true and predicted cycles of the classes under the fleet's choices, and their energy.

    `predictor`: a name of PREDICTORS or a predictor's file. "gradient_boosting" ships trained for the preset pairs and
    is trained on synthetic jobs for others (about a minute for nine); "exact" predicts the truth. With `cache`,
    labels and predictions are kept on disk, so that the next call takes a fraction of a second. `progress`: bars on
    stderr (None: if that is a terminal); `workers`: as in `tables.pair_cycles`. `units`: the unit energies, by default
    those of the default preset.
    """
    check_predictor(predictor)
    units = load_unit_energies() if units is None else units
    keep = cached if cache else _built
    distinct = distinct_pairs(fleet)
    pairs = distinct.pairs

    def kept(kind: str, rooms: tuple[str, ...], build: Callable[[], NDArray[Any]], **parts: Any) -> NDArray[Any]:
        """Return an array [C, P] from the cache, or build and cache it, under a hash of all that it depends on."""
        depends = {"classes": job_classes.digest(), "pairs": distinct.keys, "code": code_digest(*rooms), **parts}
        return keep(content_key(kind=kind, **depends), [kind], lambda: {kind: build()})[kind]

    true = kept("true", _LABEL_ROOMS, lambda: pair_cycles(job_classes, pairs, workers=workers, progress=progress))
    energy = kept("energy", _LABEL_ROOMS, lambda: pair_energy(job_classes, pairs, units=units), units=units.key())
    jobs = TrainingSet(pairs, training, keep=keep, progress=progress)
    made = make_predictor(predictor, jobs=jobs)
    if isinstance(made, ExactPredictor):
        predicted = true
    elif isinstance(made, KeptPredictor):
        graphs = [graph.digest() for graph in job_classes.graphs or ()]
        rooms = (*ROOMS, "nn")
        digest, predict = made.digest(), made.predict
        predicted = kept("predicted", rooms, lambda: predict(job_classes, pairs), predictor=digest, graphs=graphs)
    else:
        predicted = made.predict(job_classes, pairs)
    columns = distinct.columns
    return LatencyTable(
        true_cycles=true[:, columns],
        predicted_cycles=predicted[:, columns],
        energy_pj=energy[:, columns],
        **_class_fields(job_classes),
        **_fleet_fields(fleet, training_means(jobs)[columns]),
        provenance={"predictor": predictor, "made": dict(getattr(made, "provenance", {}))}
        | {"classes": job_classes.digest(), "unit_energies": units.to_dict(), **_provenance(fleet)},
    )


def with_log_errors(table: LatencyTable, fleet: Fleet, *, predictor: str = DEFAULT_PREDICTOR) -> LatencyTable:
    """Return a fleet's table with the `log_errors` of the predictor that made it, measured on synthetic jobs.

    That takes some seconds the first time, and is kept on disk; those of the default predictor under the preset pairs
    are in the shipped table.
    """
    shipped, wanted = _shipped_table(), choice_keys(fleet)
    places = {key: column for column, key in enumerate(shipped.pair_keys)}
    if predictor == DEFAULT_PREDICTOR and places.keys() >= set(wanted) and shipped.log_errors is not None:
        return replace(table, log_errors=shipped.log_errors[:, [places[key] for key in wanted]])
    distinct = distinct_pairs(fleet)
    made = make_predictor(predictor, jobs=TrainingSet(distinct.pairs))
    log_errors = log_error_quantiles(predictor, made, distinct.pairs)
    return replace(table, log_errors=log_errors[:, distinct.columns])


def default_table(fleet: Fleet | str, *, progress: bool | None = None) -> LatencyTable:
    """Return the table of the embedded synthetic classes for a fleet, or a preset fleet's name.

    The shipped file has a column for each (accelerator, dataflow) pair of the preset fleets as they were shipped. A
    fleet of such pairs, in any order, is served from it: nothing is trained or imported. Where a pair is not in it
    (a dataflow was added, a tile rule or an accelerator changed), or the default unit energies changed, the whole
    table is built as by `build_table` (about a minute), and kept on disk; `progress` as there.
    """
    return _default_table(load_fleet(fleet) if isinstance(fleet, str) else fleet, progress)


@cache
def _default_table(fleet: Fleet, progress: bool | None) -> LatencyTable:
    shipped, wanted = _shipped_table(), choice_keys(fleet)
    places = {key: column for column, key in enumerate(shipped.pair_keys)}
    if not places.keys() >= set(wanted) or shipped.provenance["unit_energies"] != load_unit_energies().to_dict():
        return build_table(synthetic_classes(), fleet, progress=progress)
    columns = np.array([places[key] for key in wanted])
    return replace(
        shipped,
        true_cycles=shipped.true_cycles[:, columns],
        predicted_cycles=shipped.predicted_cycles[:, columns],
        energy_pj=None if shipped.energy_pj is None else shipped.energy_pj[:, columns],
        log_errors=None if shipped.log_errors is None else shipped.log_errors[:, columns],
        **_fleet_fields(fleet, shipped.mean_log_cycles[columns]),
        provenance={**shipped.provenance, "fleet": fleet.digest()},
    )


def _built(key: str, names: Iterable[str], build: Callable[[], Mapping[str, NDArray[Any]]]) -> Arrays:
    """Build the arrays: the stand-in for the disk cache of a table that is built without it."""
    return dict(build())


def _class_fields(classes: JobClasses) -> dict[str, Any]:
    return {
        "class_names": classes.names,
        "class_groups": classes.groups,
        "group_names": classes.group_names,
        "weights": classes.weights / classes.weights.sum(),  # the frozen tasks depend on their last bits
    }


def _fleet_fields(fleet: Fleet, mean_log_cycles: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "choice_names": tuple(choice.name for choice in fleet.choices),
        "choice_accelerators": fleet.choice_accelerators,
        "accelerator_names": tuple(accelerator.name for accelerator in fleet.accelerators),
        "mean_log_cycles": mean_log_cycles,
        "pair_keys": choice_keys(fleet),
    }


def _provenance(fleet: Fleet) -> dict[str, Any]:
    return {
        "package": __version__,
        "code": code_digest(*ROOMS),
        "fleet": fleet.digest(),
    }


@cache
def _shipped_table() -> LatencyTable:
    with resources.as_file(resources.files(__package__) / "data" / SHIPPED_FILE) as path:
        return LatencyTable.load(path)
