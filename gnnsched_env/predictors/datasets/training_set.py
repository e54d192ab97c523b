"""The labelled synthetic jobs that predictors for given pairs are trained on, drawn when first needed and cached."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.disk_cache import cached, code_digest, content_key
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.predictors.datasets.labelled_layers import Dataset, Inputs, labelled
from gnnsched_env.predictors.datasets.training_families import TRAINING_FAMILIES
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec, training_chunk
from gnnsched_env.predictors.protocol import ROOMS
from gnnsched_env.tables import Pair, pair_key

FloatArray = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]
Keep = Callable[[str, Iterable[str], Callable[[], Mapping[str, NDArray[Any]]]], Arrays]
"""Function like `disk_cache.cached`: return the arrays kept under a key, or build and keep them."""

DEFAULT_TRAINING = DatasetSpec(graphs=4_000, most_vertices=20_000)
"""The training for pairs that no shipped predictor covers: about a minute for nine pairs on one core."""


class TrainingSet:
    """Synthetic jobs of one layer each, labelled by the cost model under some pairs; features of level DEGREES.

    Nothing is drawn before `dataset` is called. `keep` caches what is drawn, and what is trained on it, under `key`.
    `progress`: bars on stderr (None: if that is a terminal).
    """

    def __init__(
        self,
        pairs: Sequence[Pair] | None,
        spec: DatasetSpec = DEFAULT_TRAINING,
        *,
        keep: Keep = cached,
        progress: bool | None = None,
    ) -> None:
        self.spec, self.keep, self.progress = spec, keep, progress
        self._pairs = None if pairs is None else tuple(pairs)
        self._dataset: Dataset | None = None

    @property
    def has_pairs(self) -> bool:
        """Whether the pairs are known."""
        return self._pairs is not None

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The (accelerator, dataflow) pairs; raise ConfigError if they are not known."""
        if self._pairs is None:
            raise ConfigError("predictor: training needs the (accelerator, dataflow) pairs, got none")
        return self._pairs

    def dataset(self) -> Dataset:
        """Return the labelled jobs: drawn, or from the cache."""
        if self._dataset is None:
            names = ("features", "metadata_terms", "degree_terms", "owners", "cycles", "families")
            stored = self.keep(self.key("training set"), names, self._draw)
            self._dataset = Dataset(
                inputs=Inputs.from_arrays(stored),
                cycles=stored["cycles"],
                families=stored["families"],
                family_names=tuple(family.name for family in TRAINING_FAMILIES),
                pair_keys=tuple(pair_key(*pair) for pair in self.pairs),
            )
        return self._dataset

    def mean_log_cycles(self) -> FloatArray:
        """Return float64 [P]: the mean logarithm of a job's cycles under each pair."""
        return self.keep(self.key("means"), ["means"], lambda: {"means": mean_log_cycles(self.dataset())})["means"]

    def key(self, kind: str, **parts: Any) -> str:
        """Return a hash (SHA-256, hexadecimal) of jobs, pairs, the package's sources, and what is given here."""
        pairs = [pair_key(*pair) for pair in self.pairs]
        return content_key(kind=kind, pairs=pairs, training=asdict(self.spec), code=code_digest(*ROOMS), **parts)

    def _draw(self) -> Arrays:
        parts = []
        with progress_bar("training jobs", self.spec.chunks, shown=self.progress) as advance:
            for chunk in range(self.spec.chunks):
                parts.append(labelled(training_chunk(self.spec, chunk), self.pairs, workers=1))
                advance(1)
        columns = [{**part.inputs.arrays(), "cycles": part.cycles, "families": part.families} for part in parts]
        joined = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
        return joined | {"owners": np.arange(len(joined["cycles"]))}


def mean_log_cycles(dataset: Dataset) -> FloatArray:
    """Return float64 [P]: the mean logarithm of a layer's cycles under each pair, which determines static choices."""
    means: FloatArray = np.log(dataset.cycles).mean(axis=0)
    return means
