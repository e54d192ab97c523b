"""From job classes and a fleet to a `LatencyTable`, cached step by step; and the table that ships with the package."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import metadata, resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.errors import ConfigError, did_you_mean
from gnnsched_env.hardware import Fleet, GnnModel, load_fleet
from gnnsched_env.latency.dataset import Dataset, Inputs, job_inputs, training_dataset
from gnnsched_env.latency.regressors import GradientBoostingRegressor
from gnnsched_env.latency.training_graphs import DEFAULT_TRAINING, TrainingSpec, reshaped
from gnnsched_env.tables import (
    DistinctPairs,
    JobClasses,
    LatencyTable,
    cached,
    code_digest,
    content_key,
    distinct_pairs,
    pair_cycles,
    pair_key,
    progress_bar,
)
from gnnsched_env.version import __version__

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]

PREDICTORS = ("gradient_boosting", "exact")
SHIPPED_FILE = "synthetic.npz"
SHIPPED_FLEET = "big_little"  # has every (accelerator, dataflow) pair of the preset fleets

_Keep = Callable[[str, Iterable[str], Callable[[], Mapping[str, NDArray[Any]]]], Arrays]

_LABEL_ROOMS = ("graphs", "hardware", "cycles", "tables")
_PREDICTION_ROOMS = (*_LABEL_ROOMS, "latency")


def build_table(
    job_classes: JobClasses,
    fleet: Fleet,
    *,
    predictor: str = "gradient_boosting",
    progress: bool | None = None,
    cache: bool = True,
    workers: int | None = None,
    training: TrainingSpec = DEFAULT_TRAINING,
) -> LatencyTable:
    """Return the true and predicted cycles of the classes under the fleet's choices.

    "gradient_boosting" trains on synthetic graphs, once for each shape of model among the classes (about 20 seconds
    for nine pairs); "exact" predicts the truth. With `cache`, labels and predictions are kept on disk, so that the
    next call takes a fraction of a second. `progress`: bars on stderr (None: if that is a terminal); `workers`: as in
    `tables.pair_cycles`.
    """
    _check_predictor(predictor)
    build = _Build(
        classes=job_classes,
        distinct=distinct_pairs(fleet),
        training=training,
        progress=progress,
        workers=workers,
        keep=cached if cache else _remembered(),
    )
    true = build.true_cycles()
    predicted = true if predictor == "exact" else build.predicted_cycles()
    means = build.mean_log_cycles()
    columns = build.distinct.columns
    return LatencyTable(
        true_cycles=true[:, columns],
        predicted_cycles=predicted[:, columns],
        **_class_fields(job_classes),
        **_fleet_fields(fleet, means[columns]),
        provenance={"predictor": predictor, "training": asdict(training)}
        | {"classes": job_classes.digest(), **_provenance(fleet)},
    )


@cache
def default_table(fleet_name: str) -> LatencyTable:
    """Return the shipped table of a preset fleet: the embedded synthetic classes; nothing is trained or imported."""
    fleet, shipped = load_fleet(fleet_name), _shipped_table()
    source = [pair_key(choice.accelerator, choice.dataflow) for choice in load_fleet(SHIPPED_FLEET).choices]
    wanted = [pair_key(choice.accelerator, choice.dataflow) for choice in fleet.choices]
    columns = np.array([source.index(key) for key in wanted])
    return replace(
        shipped,
        true_cycles=shipped.true_cycles[:, columns],
        predicted_cycles=shipped.predicted_cycles[:, columns],
        **_fleet_fields(fleet, shipped.mean_log_cycles[columns]),
        provenance={**shipped.provenance, "fleet": fleet.digest()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """The steps of one table; each keeps its arrays under a hash of all that they depend on."""

    classes: JobClasses
    distinct: DistinctPairs
    training: TrainingSpec
    progress: bool | None
    workers: int | None
    keep: _Keep

    def true_cycles(self) -> IntArray:
        """Return int64 [C, P]."""
        key = content_key(
            kind="true", classes=self.classes.digest(), pairs=self.distinct.keys, code=code_digest(*_LABEL_ROOMS)
        )

        def build() -> Arrays:
            pairs = self.distinct.pairs
            return {"cycles": pair_cycles(self.classes, pairs, workers=self.workers, progress=self.progress)}

        return self.keep(key, ["cycles"], build)["cycles"]

    def predicted_cycles(self) -> IntArray:
        """Return int64 [C, P]: a regressor for each shape of model among the classes."""
        key = self._key("predicted", classes=self.classes.digest(), sklearn=metadata.version("scikit-learn"))
        return self.keep(key, ["cycles"], lambda: {"cycles": self._predict()})["cycles"]

    def mean_log_cycles(self) -> FloatArray:
        """Return float64 [P]: over the training set, each shape of model counting the same."""
        means = []
        for template in self._templates():
            key = self._key("means", template=template.to_dict())
            means.append(self.keep(key, ["means"], lambda t=template: {"means": self._means(t)})["means"])  # type: ignore[misc]
        mean: FloatArray = np.mean(means, axis=0)
        return mean

    def _key(self, kind: str, **parts: Any) -> str:
        code = code_digest(*_PREDICTION_ROOMS)
        return content_key(kind=kind, pairs=self.distinct.keys, training=asdict(self.training), code=code, **parts)

    def _templates(self) -> dict[GnnModel, list[int]]:
        """Return the classes of each shape of model."""
        members: dict[GnnModel, list[int]] = {}
        for c, model in enumerate(self.classes.models):
            members.setdefault(reshaped(model, 1, 1), []).append(c)
        return members

    def _predict(self) -> IntArray:
        cycles = np.empty((len(self.classes), len(self.distinct.pairs)), np.int64)
        for template, members in self._templates().items():
            dataset = self._dataset(template)
            with progress_bar("training", cycles.shape[1], shown=self.progress) as advance:
                regressor = GradientBoostingRegressor(advance=advance).fit(dataset)
            cycles[members] = regressor.predict(job_inputs(self.classes.subset(members), self.distinct.pairs))
        return cycles

    def _means(self, template: GnnModel) -> FloatArray:
        means: FloatArray = np.log(self._dataset(template).cycles).mean(axis=0)
        return means

    def _dataset(self, template: GnnModel) -> Dataset:
        names = ("features", "phases", "estimates", "cycles")
        arrays = self.keep(
            self._key("training", template=template.to_dict()), names, lambda: self._dataset_arrays(template)
        )
        inputs = Inputs(features=arrays["features"], phases=arrays["phases"], estimates=arrays["estimates"])
        return Dataset(inputs=inputs, cycles=arrays["cycles"])

    def _dataset_arrays(self, template: GnnModel) -> Arrays:
        dataset = training_dataset(
            template, self.distinct.pairs, self.training, workers=self.workers, progress=self.progress
        )
        inputs = dataset.inputs
        return {
            "features": inputs.features,
            "phases": inputs.phases,
            "estimates": inputs.estimates,
            "cycles": dataset.cycles,
        }


def _check_predictor(predictor: str) -> None:
    if predictor not in PREDICTORS:
        hint = did_you_mean(predictor, PREDICTORS)
        raise ConfigError(f"predictor must be one of {', '.join(PREDICTORS)}, got {predictor!r}{hint}")


def _remembered() -> _Keep:
    """Return a stand-in for the disk cache that lasts for one table."""
    known: dict[str, Arrays] = {}

    def keep(key: str, names: Iterable[str], build: Callable[[], Mapping[str, NDArray[Any]]]) -> Arrays:
        if key not in known:
            known[key] = dict(build())
        return known[key]

    return keep


def _class_fields(classes: JobClasses) -> dict[str, Any]:
    return {
        "class_names": classes.names,
        "class_groups": classes.groups,
        "group_names": classes.group_names,
        "weights": classes.weights,
    }


def _fleet_fields(fleet: Fleet, mean_log_cycles: FloatArray) -> dict[str, Any]:
    return {
        "choice_names": tuple(choice.name for choice in fleet.choices),
        "choice_accelerators": fleet.choice_accelerators,
        "accelerator_names": tuple(accelerator.name for accelerator in fleet.accelerators),
        "mean_log_cycles": mean_log_cycles,
    }


def _provenance(fleet: Fleet) -> dict[str, Any]:
    return {
        "package": __version__,
        "code": code_digest(*_PREDICTION_ROOMS),
        "fleet": fleet.digest(),
    }


@cache
def _shipped_table() -> LatencyTable:
    with resources.as_file(resources.files(__package__) / "data" / SHIPPED_FILE) as path:
        return LatencyTable.load(path)
