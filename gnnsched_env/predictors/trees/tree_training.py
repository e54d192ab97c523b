"""Training of predictors on synthetic jobs: the shipped ones, and those for other pairs, which are cached."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common import store
from gnnsched_env.common.disk_cache import cached, code_digest, content_key
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.predictors.datasets.labelled_layers import Dataset, Inputs, labelled
from gnnsched_env.predictors.datasets.training_families import TRAINING_FAMILIES
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec, training_chunk
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.trees.regression import RegressionPredictor
from gnnsched_env.predictors.trees.regressors import Boosting
from gnnsched_env.predictors.trees.tree_predictor import ARRAYS, TreePredictor
from gnnsched_env.tables import Pair, pair_key

FloatArray = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]
Keep = Callable[[str, Iterable[str], Callable[[], Mapping[str, NDArray[Any]]]], Arrays]

DEFAULT_TRAINING = DatasetSpec(graphs=4_000, most_vertices=20_000)
"""The training for pairs that no shipped predictor covers: about a minute for nine pairs on one core."""

FEATURES_OF = {Level.METADATA: "S2", Level.DEGREES: "terms"}
BOOSTING_OF = {
    Level.METADATA: Boosting(trees=40, leaves=4, least=500, objective="l1"),
    Level.DEGREES: Boosting(trees=60, leaves=15),
}
"""The boosting settings chosen by validation on held-out families (docs/reference/predictor.md)."""
NAMES = {Level.METADATA: "gradient_boosting_metadata", Level.DEGREES: "gradient_boosting"}

_ROOMS = ("graphs", "hardware", "cycles", "workload", "tables", "predictors")


def draw_dataset(
    pairs: Sequence[Pair], spec: DatasetSpec = DEFAULT_TRAINING, *, progress: bool | None = False
) -> Dataset:
    """Return synthetic jobs of one layer each, labelled by the cost model under the pairs; features of DEGREES."""
    parts = []
    with progress_bar("training jobs", spec.chunks, shown=progress) as advance:
        for chunk in range(spec.chunks):
            parts.append(labelled(training_chunk(spec, chunk), pairs, workers=1))
            advance(1)
    names = parts[0].inputs.arrays()
    arrays = {name: np.concatenate([part.inputs.arrays()[name] for part in parts]) for name in names}
    cycles = np.concatenate([part.cycles for part in parts])
    return Dataset(
        inputs=Inputs.from_arrays(arrays | {"owners": np.arange(len(cycles))}),
        cycles=cycles,
        families=np.concatenate([part.families for part in parts]),
        family_names=parts[0].family_names,
        pair_keys=parts[0].pair_keys,
    )


def train(
    dataset: Dataset,
    pairs: Sequence[Pair],
    level: Level,
    provenance: Mapping[str, Any],
    *,
    progress: bool | None = False,
) -> TreePredictor:
    """Return gradient boosting on residuals, one regressor per pair, with the features of METADATA or DEGREES."""
    trained = RegressionPredictor("lightgbm", FEATURES_OF[level], boosting=BOOSTING_OF[level])
    with progress_bar("training", len(pairs), shown=progress) as advance:
        trained.fit(dataset, pairs, advance=advance)
    about = {
        "lightgbm": metadata.version("lightgbm"),
        "samples": len(dataset.cycles),
        "boosting": asdict(BOOSTING_OF[level]),
        **provenance,
    }
    return TreePredictor.of(trained, NAMES[level], mean_log_cycles(dataset), about)


def mean_log_cycles(dataset: Dataset) -> FloatArray:
    """Return float64 [P]: the mean logarithm of a layer's cycles under each pair, which determines static choices."""
    means: FloatArray = np.log(dataset.cycles).mean(axis=0)
    return means


class Trainer:
    """Data sets, means and predictors for some pairs, each made once and cached under a hash of its inputs."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        spec: DatasetSpec = DEFAULT_TRAINING,
        *,
        keep: Keep = cached,
        progress: bool | None = None,
    ) -> None:
        self._pairs, self._spec, self._keep, self._progress = tuple(pairs), spec, keep, progress
        self._dataset: Dataset | None = None

    def means(self) -> FloatArray:
        """Return mean logarithms of cycles, float64 [P]; see `mean_log_cycles`."""
        return self._keep(self._key("means"), ["means"], lambda: {"means": mean_log_cycles(self._data())})["means"]

    def predictor(self, level: Level) -> TreePredictor:
        """Return the trained predictor of a level."""
        key = self._key(f"predictor {level}", lightgbm=metadata.version("lightgbm"))
        provenance = {"training": asdict(self._spec), "key": key}
        stored = self._keep(
            key,
            ARRAYS,
            lambda: train(self._data(), self._pairs, level, provenance, progress=self._progress).arrays(),
        )
        return TreePredictor.from_stored(store.unpack(stored, store.TREE_PREDICTOR, source=f"cached predictor {key}"))

    def _data(self) -> Dataset:
        if self._dataset is None:
            names = ("features", "metadata_terms", "degree_terms", "owners", "cycles", "families")
            stored = self._keep(self._key("training set"), names, self._draw)
            self._dataset = Dataset(
                inputs=Inputs.from_arrays(stored),
                cycles=stored["cycles"],
                families=stored["families"],
                family_names=tuple(family.name for family in TRAINING_FAMILIES),
                pair_keys=tuple(pair_key(*pair) for pair in self._pairs),
            )
        return self._dataset

    def _draw(self) -> Arrays:
        dataset = draw_dataset(self._pairs, self._spec, progress=self._progress)
        return {**dataset.inputs.arrays(), "cycles": dataset.cycles, "families": dataset.families}

    def _key(self, kind: str, **parts: Any) -> str:
        pairs = [pair_key(*pair) for pair in self._pairs]
        return content_key(kind=kind, pairs=pairs, training=asdict(self._spec), code=code_digest(*_ROOMS), **parts)
