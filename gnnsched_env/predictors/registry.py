"""Predictors by name: shipped ones, ones trained on demand, and files."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

from gnnsched_env.common import store
from gnnsched_env.common.disk_cache import cached
from gnnsched_env.common.errors import ConfigError, FileFormatError, did_you_mean, needs_extra
from gnnsched_env.common.store import GNN_PREDICTOR, TREE_PREDICTOR
from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec
from gnnsched_env.predictors.levels import Level
from gnnsched_env.predictors.protocol import ClosedFormPredictor, ExactPredictor, Predictor
from gnnsched_env.predictors.trees.tree_predictor import TreePredictor, shipped_predictor
from gnnsched_env.predictors.trees.tree_training import DEFAULT_TRAINING, NAMES, Keep, Trainer
from gnnsched_env.tables import Pair

PREDICTORS = (
    "gradient_boosting",
    "gradient_boosting_metadata",
    "closed_form",
    "closed_form_metadata",
    "gnn",
    "exact",
)
"""The names of all predictors."""
DEFAULT_PREDICTOR = "gradient_boosting"

_BOOSTED = {name: level for level, name in NAMES.items()}
_KINDS: Final = {
    TREE_PREDICTOR: "gnnsched_env.predictors.trees.tree_predictor:TreePredictor",
    GNN_PREDICTOR: "gnnsched_env.predictors.gnn.gnn_predictor:GnnPredictor",
}
"""The reader of a predictor's file, by format: "module:class", imported only for such a file.

It is a name, because networks need torch.
"""


def make_predictor(
    name: str | Path,
    pairs: Sequence[Pair] | None = None,
    *,
    training: DatasetSpec = DEFAULT_TRAINING,
    keep: Keep = cached,
    progress: bool | None = None,
) -> Predictor:
    """Return a predictor by name (PREDICTORS), or from a file that a predictor's `save` wrote.

    Gradient boosting ships for the preset pairs; for others (`pairs`), or with other `training`, it is trained on
    synthetic jobs, about a minute, and kept (`keep`). `progress`: bars on stderr (None: if that is a terminal).
    """
    name = str(name)
    check_predictor(name)
    if name == "exact":
        return ExactPredictor()
    if name.startswith("closed_form"):
        return ClosedFormPredictor(Level.DEGREES if name == "closed_form" else Level.METADATA)
    if name == "gnn":
        from gnnsched_env.predictors.gnn import shipped_gnn

        return shipped_gnn()
    if name in _BOOSTED:
        shipped = _shipped(name)
        if training == DEFAULT_TRAINING and (pairs is None or shipped.covers(pairs)):
            return shipped
        if pairs is None:
            raise ConfigError(f"predictor {name!r}: training needs the (accelerator, dataflow) pairs")
        return Trainer(pairs, training, keep=keep, progress=progress).predictor(_BOOSTED[name])
    return _from_file(name)


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


def _from_file(path: str) -> Predictor:
    """Return the predictor of the kind given in the file's manifest."""
    stored = store.load(path, *_KINDS)
    module, kind = _KINDS[stored.format].split(":")
    with needs_extra(stored.source, "gnn"):
        reader = getattr(import_module(module), kind)
    predictor: Predictor = reader.from_stored(stored)
    return predictor


@cache
def _shipped(name: str) -> TreePredictor:
    return shipped_predictor(name)
