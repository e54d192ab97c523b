"""Predictors by name and by file: a new predictor is one file, and its entries in the two tables here."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gnnsched_env.common import store
from gnnsched_env.common.errors import ConfigError, FileFormatError, did_you_mean
from gnnsched_env.common.store import GNN_PREDICTOR, TREE_PREDICTOR, Format, Stored
from gnnsched_env.predictors.closed_form import ClosedFormPredictor
from gnnsched_env.predictors.datasets.training_set import TrainingSet
from gnnsched_env.predictors.exact import ExactPredictor
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.protocol import Predictor
from gnnsched_env.predictors.trees.tree_predictor import TreePredictor
from gnnsched_env.predictors.trees.tree_training import boosted_predictor
from gnnsched_env.tables import Pair


def _shipped_gnn(jobs: TrainingSet) -> Predictor:
    from gnnsched_env.predictors.gnn import shipped_gnn

    return shipped_gnn()


def _read_gnn(stored: Stored) -> Predictor:
    from gnnsched_env.predictors.gnn import GnnPredictor

    return GnnPredictor.from_stored(stored)


EXACT = "exact"  # the predictor that does not err

MAKERS: Final[Mapping[str, Callable[[TrainingSet], Predictor]]] = {
    "gradient_boosting": lambda jobs: boosted_predictor(jobs, Level.DEGREES),
    "gradient_boosting_metadata": lambda jobs: boosted_predictor(jobs, Level.METADATA),
    "closed_form": lambda jobs: ClosedFormPredictor(Level.DEGREES),
    "closed_form_metadata": lambda jobs: ClosedFormPredictor(Level.METADATA),
    "gnn": _shipped_gnn,
    EXACT: lambda jobs: ExactPredictor(),
}
"""The function that makes each predictor by name; one that needs training has the jobs, and the pairs, to train on.

A function that needs torch imports it in its body.
"""

READERS: Final[Mapping[Format, Callable[[Stored], Predictor]]] = {
    TREE_PREDICTOR: TreePredictor.from_stored,
    GNN_PREDICTOR: _read_gnn,
}
"""The function that makes a predictor from the content of a file, by the file's format."""

PREDICTORS = tuple(MAKERS)
"""The names of all predictors."""
DEFAULT_PREDICTOR = "gradient_boosting"


def make_predictor(
    name: str | Path, pairs: Sequence[Pair] | None = None, *, jobs: TrainingSet | None = None
) -> Predictor:
    """Return a predictor by name (PREDICTORS), or from a file that a predictor's `save` wrote.

    Gradient boosting ships for the preset pairs. For others it is trained on `jobs`, by default `TrainingSet(pairs)`:
    synthetic jobs, about a minute, kept on disk. Raise ConfigError for an unknown name, or if pairs are needed and not
    given; FileFormatError for a file that is missing or invalid.
    """
    name = str(name)
    check_predictor(name)
    if name in MAKERS:
        return MAKERS[name](TrainingSet(pairs) if jobs is None else jobs)
    stored = store.load(name, *READERS)
    return READERS[stored.format](stored)


def check_predictor(name: str) -> None:
    """Raise ConfigError unless the name is known or a file."""
    if name in PREDICTORS:
        return
    if not isinstance(name, str):
        raise ConfigError(f"predictor must be one of {', '.join(PREDICTORS)}, or a file, got {name!r}")
    if name.endswith(".npz"):
        if not Path(name).is_file():
            raise FileFormatError(f"predictor {name}: no such file")
        return
    hint = did_you_mean(name, PREDICTORS)
    raise ConfigError(f"predictor must be one of {', '.join(PREDICTORS)}, or a file (.npz), got {name!r}{hint}")
