"""Every prediction beside the truth, its interval and the time that predicting takes: rows, and their summary."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.graphs import GraphSet
from gnnsched_env.hardware import Fleet
from gnnsched_env.predictors.graph_scores import DEFAULT_SCORING, ScoringSpec, pair_names, scoring_classes
from gnnsched_env.predictors.log_errors import log_error_quantiles
from gnnsched_env.predictors.prediction_times import prediction_times
from gnnsched_env.predictors.protocol import Predictor
from gnnsched_env.predictors.scores import mape, selection_accuracy
from gnnsched_env.tables import distinct_pairs, pair_cycles
from gnnsched_env.tables.table import interval_ends

TIMED = 60  # classes that a predictor is timed on
COLUMNS = (
    "predictor", "knows", "graphs", "batch_size", "class", "choice", "true_cycles", "predicted_cycles", "low_cycles",
    "high_cycles", "deciding_us",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointTable:
    """A predictor on the C classes of a graph set under a fleet's P distinct pairs.

    `true`, `predicted` int64 [C, P], `low`, `high` float64 [C, P] (ends of the intervals): cycles. `deciding_us`:
    microseconds to predict a job alone under all pairs, the median over classes.
    """

    predictor: str
    level: str
    graphs: str
    choices: tuple[str, ...]
    classes: tuple[str, ...]
    batch_sizes: NDArray[np.int64]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    deciding_us: float

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield a row for each class and choice, in the order of COLUMNS."""
        cost = round(self.deciding_us, 2)
        for c, (name, size) in enumerate(zip(self.classes, self.batch_sizes.tolist(), strict=True)):
            for p, choice in enumerate(self.choices):
                ends = (round(float(self.low[c, p]), 1), round(float(self.high[c, p]), 1))
                known = (int(self.true[c, p]), int(self.predicted[c, p]))
                yield (self.predictor, self.level, self.graphs, size, name, choice, *known, *ends, cost)

    def summary(self) -> dict[str, float]:
        """Return the error and the right choices (percent), the share of the truth inside its interval, and the cost.

        `width` is the median ratio of an interval's upper end to its lower one.
        """
        inside = (self.true >= self.low - 0.5) & (self.true <= self.high + 0.5)  # predictions are whole cycles
        return {
            "mape": mape(self.true, self.predicted),
            "right": selection_accuracy(self.true, self.predicted),
            "inside": 100.0 * float(inside.mean()),
            "width": float(np.median(self.high / self.low)),
            "deciding_us": self.deciding_us,
        }


def joint_table(
    name: str,
    predictor: Predictor,
    graphs: GraphSet,
    fleet: Fleet,
    spec: ScoringSpec = DEFAULT_SCORING,
    *,
    coverage: float = 0.9,
) -> JointTable:
    """Predict the classes on which a graph set is scored, label them, and time the predictor on up to 60 of them.

    `name` is that by which the predictor was made. Intervals have a `coverage` on the synthetic jobs of `log_errors`.
    """
    classes, sizes = scoring_classes(graphs, spec)
    distinct = distinct_pairs(fleet)
    predicted = np.asarray(predictor.predict(classes, distinct.pairs))
    low, high = interval_ends(predicted, log_error_quantiles(name, predictor, distinct.pairs), coverage)
    timed = np.unique(np.linspace(0, len(classes) - 1, min(TIMED, len(classes))).round().astype(int))
    return JointTable(
        predictor=name,
        level=str(predictor.level),
        graphs=graphs.name,
        choices=tuple(pair_names(distinct)),
        classes=classes.names,
        batch_sizes=sizes,
        true=pair_cycles(classes, distinct.pairs),
        predicted=predicted,
        low=low,
        high=high,
        deciding_us=prediction_times(predictor, classes.subset(timed.tolist()), distinct.pairs).one,
    )
