"""The options of `gnnsched forecast` and its subcommands."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gnnsched_env.forecast.models.model_list import MODELS
from gnnsched_env.forecast.models.network_settings import NetworkSettings
from gnnsched_env.forecast.models.ranker import RankerSettings

DEFAULT = "sage"


@dataclass(frozen=True, kw_only=True)
class Files:
    """What all commands share."""

    data: tuple[Path, ...]
    """The data set's root (it holds npz/, npz_all/npz/, or layout/ and tile/), or .npz files."""
    collection: tuple[str, ...] = ()
    """Such as layout:xla:default or tile:xla; none: all that are there (to train: layouts or tiles alone)."""
    name: tuple[str, ...] = ()
    """Files to take, without suffix; none: all."""
    limit: int | None = None
    """How many files of each collection at most."""
    cache: Path | None = None
    """A folder that keeps layouts in a form that is read faster."""
    device: str = "auto"
    """A torch device; auto is a GPU when there is one."""
    progress: bool | None = None
    """Show a bar; none: if stderr is a terminal."""


@dataclass(frozen=True, kw_only=True)
class Train(Files):
    """Train a ranker; the same command goes on where a stopped or killed training was."""

    out: Path
    """Where ranker.npz, checkpoint and TensorBoard's events go."""
    model: Annotated[str, tyro.conf.arg(help=f"{', '.join(MODELS)}; the options below change its settings.")] = DEFAULT
    training: Annotated[RankerSettings, tyro.conf.arg(name="")] = field(default_factory=NetworkSettings)
    minutes: float | None = None
    """Stop then; the same command goes on."""
    held_share: float = 0.1
    """What is held back to choose the best weights: of five programs and more a share of them, else of each one's
    configurations."""
    split: Path | None = None
    """A JSON file of named parts of the configurations of one program."""
    train_part: str = "train"
    """The part to train on, with --split."""
    score_part: str | None = None
    """The part to score when trained, with --split; it must have no configuration in common with the other."""
    leave_one_out: bool = False
    """Train on all files but one, score that one, for each file; writes scores.json."""
    tensorboard: bool | None = None
    """Write events; none: if TensorBoard is installed."""


@dataclass(frozen=True, kw_only=True)
class Score(Files):
    """Score a ranker on files with runtimes."""

    ranker: tuple[str, ...]
    """A ranker.npz, several as COLLECTION=PATH, `random`, or `ridge` (needs --split; fitted to --train-part)."""
    files: Literal["train", "valid", "test"] | None = None
    """Which files of the data set; none: train with --split, else valid."""
    split: Path | None = None
    """A JSON file of named parts of the configurations of one program."""
    score_part: str = "heldout"
    """The part to score, with --split."""
    train_part: str = "train"
    """The part that was trained on (`ridge` is fitted to it): no configuration of it may be in the scored part."""
    merged: bool = False
    """Count equal configurations once, with the mean of their runtimes; else each row with its own."""
    ceiling: bool = False
    """Also estimate from duplicate configurations which tau noise leaves to a perfect predictor (of rows)."""
    seed: int = 0
    """Of `random`."""
    json: Path | None = None
    """Where to write the scores."""


@dataclass(frozen=True, kw_only=True)
class Predict(Files):
    """Write a submission: a ranking of each file's configurations, whether they have runtimes or not."""

    ranker: tuple[str, ...]
    """A ranker.npz, several as COLLECTION=PATH, or `random`."""
    out: Path
    """The CSV file."""
    files: Literal["train", "valid", "test"] = "test"
    """Which files of the data set."""
    seed: int = 0
    """Of `random`."""


@dataclass(frozen=True, kw_only=True)
class Standin:
    """Make a synthetic stand-in for the TpuGraphs data set: its tree and types, made-up programs and runtimes.

    A score on it says nothing about real collections.
    """

    out: Path
    """Folder of the data set."""
    seed: int = 0
    """Seed of all programs."""
    size: Literal["small", "medium", "large"] = "small"
    """small: to test and train on in minutes; large: as many files as the real data set."""
    layouts: tuple[int, int, int] | None = None
    """Programs of each family (xla, nlp) in train, valid and test, instead of the size's."""
    tiles: tuple[int, int, int] | None = None
    """Kernels in train, valid and test, instead of the size's."""
    nodes: int | None = None
    """Most operations of a graph, at least 876, instead of the size's."""
    configs: tuple[int, int] | None = None
    """Fewest (at least 109) and most configurations of a layout program, instead of the size's."""
    specials: bool | None = None
    """Add the odd files (20,000 and 40,000 nodes, 20,000 configurations, hidden runtimes, ...) or leave them out."""
    force: bool = False
    """Replace a stand-in that is there."""
