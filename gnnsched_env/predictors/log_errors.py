"""How far a predictor errs: quantiles of log(true / predicted) on synthetic jobs that nothing was trained on.

Multiplied with a prediction they give an interval of the true latency (split conformal prediction with a multiplicative
score, one calibration for each pair; Papadopoulos et al. 2002). Jobs of other kinds may be predicted better or worse:
`gnnsched score-predictor --csv` counts how often the truth lies inside on graphs of one's own.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.disk_cache import cached, code_digest, content_key
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec, training_chunk
from gnnsched_env.predictors.datasets.training_set import DEFAULT_TRAINING
from gnnsched_env.predictors.exact import ExactPredictor
from gnnsched_env.predictors.protocol import ROOMS, Predictor
from gnnsched_env.tables import ERROR_LEVELS, Pair, pair_cycles, pair_key

FloatArray = NDArray[np.float64]

CALIBRATION = DatasetSpec(graphs=1_000, seed=1_000_003, most_vertices=20_000)  # trainings draw with other seeds

DIGITS = 6  # of a quantile after the point: more is not known of it


def log_error_quantiles(name: str, predictor: Predictor, pairs: Sequence[Pair]) -> FloatArray:
    """Return float64 [Q, P]: the quantiles (`tables.ERROR_LEVELS`) of log(true / predicted) under each pair.

    `name` is that by which the predictor was made (`make_predictor`), a file's path or a name. Measuring takes some
    seconds, and is kept on disk.
    """
    if isinstance(predictor, ExactPredictor):
        return np.zeros((len(ERROR_LEVELS), len(pairs)))
    source = hashlib.sha256(Path(name).read_bytes()).hexdigest() if name.endswith(".npz") else name
    key = content_key(
        kind="log errors",
        calibration=asdict(CALIBRATION),
        training=asdict(DEFAULT_TRAINING),
        source=source,
        pairs=[pair_key(*pair) for pair in pairs],
        code=code_digest(*ROOMS, "nn"),
    )
    return cached(key, ["log_errors"], lambda: {"log_errors": _measured(predictor, pairs)})["log_errors"]


def _measured(predictor: Predictor, pairs: Sequence[Pair]) -> FloatArray:
    parts = []
    for chunk in range(CALIBRATION.chunks):
        jobs = training_chunk(CALIBRATION, chunk)
        parts.append(np.log(pair_cycles(jobs, pairs, workers=1)) - np.log(predictor.predict(jobs, pairs)))
    quantiles: FloatArray = np.quantile(np.concatenate(parts), ERROR_LEVELS, axis=0)
    return np.round(quantiles, DIGITS)
