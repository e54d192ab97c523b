"""Size and degree features of job classes: what a regressor sees of a graph and its model's widths."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.latency import kernels
from gnnsched_env.tables import JobClasses

FloatArray = NDArray[np.float64]

BINS = 1_024  # degrees above count as this one in shares and quantiles
SMALL_DEGREES = (1, 2, 4, 8, 16)
QUANTILES = (0.25, 0.5, 0.75, 0.9, 0.99)
FOLD_WIDTH = 8
TILE_HEIGHTS = (8, 32, 128, 512)

FEATURE_NAMES = (
    "log_vertices",
    "log_entries",
    "log_in_features",
    "log_out_features",
    "mean_degree",
    "degree_deviation",
    "degree_skewness",
    "log_max_degree",
    *(f"share_up_to_{degree}" for degree in SMALL_DEGREES),
    *(f"degree_quantile_{round(100 * share)}" for share in QUANTILES),
    "fold_waste",
    *(f"imbalance_{height}" for height in TILE_HEIGHTS),
)


def job_features(classes: JobClasses) -> FloatArray:
    """Return float64 [C, len(FEATURE_NAMES)].

    Degrees are those of the matrix that is aggregated over. `fold_waste`: slots over entries where rows are folded by
    eight; `imbalance_h`: rows' longest in each tile of h, summed times h, over the entries.
    """
    rows = [
        _features(degrees, model.in_features, model.out_features)
        for degrees, model in zip(classes.degrees, classes.models, strict=True)
    ]
    return np.array(rows, np.float64)


def _features(degrees: NDArray[np.int64], in_features: int, out_features: int) -> list[float]:
    vertices, entries = degrees.size, max(1, int(degrees.sum()))
    mean, deviation, skewness, largest = kernels.degree_moments(degrees)
    shares = np.cumsum(kernels.degree_histogram(degrees, BINS)) / vertices
    return [
        np.log(vertices),
        np.log(entries),
        np.log(in_features),
        np.log(out_features),
        mean,
        deviation,
        skewness,
        np.log1p(largest),
        *(shares[degree] for degree in SMALL_DEGREES),
        *(float(np.searchsorted(shares, share)) for share in QUANTILES),
        FOLD_WIDTH * kernels.tile_folds(degrees, 1, FOLD_WIDTH) / entries,
        *(height * kernels.tile_folds(degrees, height, 1) / entries for height in TILE_HEIGHTS),
    ]
