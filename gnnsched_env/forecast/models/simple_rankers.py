"""Rankings to compare with: at random, and by a regression that sees no graph."""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.data.schema import LARGEST_LAYOUT, SMALLEST_LAYOUT
from gnnsched_env.forecast.encoding.samples import Sample

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ALPHA = 1.0
LETTERS = LARGEST_LAYOUT - SMALLEST_LAYOUT + 1


class RandomRanker:
    """Scores without meaning; the same ones for the same seed, file and number of configurations."""

    hops = 0

    def __init__(self, seed: int = 0) -> None:
        self.seed = Integer(0).check("random ranking", "seed", seed)

    def predict(self, sample: Sample, rows: IntArray | None = None) -> FloatArray:
        """Return scores drawn from 0..1, float64 [u] or [k]."""
        rng = np.random.default_rng((self.seed, zlib.crc32(sample.name.encode())))
        scores = rng.random(sample.num_configs)
        return scores if rows is None else scores[rows]


class RidgeRanker:
    """Ridge regression of the rank on which layout each node has: one unknown for each (node, layout) seen in training.

    It knows no graph and no layout but by name, so it ranks configurations of the file that it was fitted on only, and
    gives layouts that it has not seen no weight. It says how far one gets by adding up nodes' own costs.
    """

    hops = 0

    def __init__(self, sample: Sample, rows: IntArray | None = None, *, alpha: float = ALPHA) -> None:
        """Fit a labelled sample of a layout file, or places `rows` of it."""
        from sklearn.linear_model import Ridge  # heavy, and needed here only
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder

        codes = layout_codes(sample, rows)
        if not sample.labelled:
            raise ConfigError(f"{sample.name}: needs runtimes to fit a ridge regression, got an unlabelled file")
        targets = sample.targets if rows is None else sample.targets[rows]
        self._name, self._nodes = sample.name, codes.shape[1]
        self._model: Any = make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge(alpha=alpha))
        self._model.fit(codes, rankdata(targets))

    def predict(self, sample: Sample, rows: IntArray | None = None) -> FloatArray:
        """Return predicted ranks, float64 [u] or [k]; ConfigError for another file."""
        codes = layout_codes(sample, rows)
        if (sample.name, codes.shape[1]) != (self._name, self._nodes):
            raise ConfigError(
                f"{sample.name}: the ridge regression knows {self._name} only, whose nodes it was fitted on"
            )
        predicted: FloatArray = np.asarray(self._model.predict(codes), np.float64)
        return predicted


def layout_codes(sample: Sample, rows: IntArray | None = None) -> IntArray:
    """Return one number for the layout of each node, int64 [u, nc] or [k, nc]: equal ones for equal layouts."""
    if sample.is_tile:
        raise ConfigError(f"{sample.name}: the ridge regression ranks layout files, got one of {sample.collection}")
    raw = sample.raw if rows is None else sample.raw[rows]
    codes = np.zeros(raw.shape[:2], np.int64)
    for column in range(raw.shape[2]):
        codes = codes * LETTERS + (raw[:, :, column].astype(np.int64) - SMALLEST_LAYOUT)
    return codes
