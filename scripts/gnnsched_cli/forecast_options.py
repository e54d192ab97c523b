"""The options of `gnnsched forecast` and its subcommands."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gnnsched_cli.command import OutFile, OutFolder
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
    """Collections such as layout:xla:default or tile:xla; none: all. Training takes either layouts or tiles."""
    name: tuple[str, ...] = ()
    """Names of the files to use, without suffix; none: all."""
    limit: int | None = None
    """Largest number of files of each collection."""
    cache: OutFolder | None = None
    """Folder that keeps layout configurations in a form that is read faster."""
    device: str = "auto"
    """Device of torch; "auto": a GPU if there is one, else the CPU."""
    progress: bool | None = None
    """Show a progress bar; none: only if stderr is a terminal."""


@dataclass(frozen=True, kw_only=True)
class Train(Files):
    """Train a ranker; the same command goes on where a stopped or killed training was."""

    out: OutFolder
    """Folder for ranker.npz, the checkpoint and TensorBoard's events."""
    model: Annotated[str, tyro.conf.arg(help=f"{', '.join(MODELS)}; the options below change its settings.")] = DEFAULT
    training: Annotated[RankerSettings, tyro.conf.arg(name="")] = field(default_factory=NetworkSettings)
    minutes: float | None = None
    """Minutes after which to stop; the same command continues the training. None: no limit."""
    held_share: float = 0.1
    """Share held back to choose the best weights: a share of the programs if there are five or more, else of each one's
    configurations."""
    split: Path | None = None
    """JSON file that names parts of the configurations of one program."""
    train_part: str = "train"
    """Part to train on, if --split is given."""
    score_part: str | None = None
    """Part to score after training, if --split is given; it must share no configuration with the part trained on."""
    leave_one_out: bool = False
    """For each file: train on all the others, then score it. Writes scores.json."""
    tensorboard: bool | None = None
    """Write events for TensorBoard; none: only if it is installed."""


@dataclass(frozen=True, kw_only=True)
class Score(Files):
    """Score a ranker on files with runtimes."""

    ranker: tuple[str, ...]
    """A ranker.npz, several as COLLECTION=PATH, `random`, or `ridge` (needs --split; fitted to --train-part)."""
    files: Literal["train", "valid", "test"] | None = None
    """Which part of the data set; none: "train" if --split is given, else "valid"."""
    split: Path | None = None
    """JSON file that names parts of the configurations of one program."""
    score_part: str = "heldout"
    """Part to score, if --split is given."""
    train_part: str = "train"
    """Part that the ranker was trained on (`ridge` is fitted to it); it must share no configuration with the scored
    part."""
    merged: bool = False
    """Count equal configurations once, with the mean of their runtimes, instead of each row with its own."""
    ceiling: bool = False
    """Also estimate from duplicate configurations the tau that a perfect predictor would reach despite noise."""
    seed: int = 0
    """Seed of the ranker `random`."""
    json: OutFile | None = None
    """JSON file to write the scores to."""


@dataclass(frozen=True, kw_only=True)
class Predict(Files):
    """Write a submission: a ranking of each file's configurations, whether they have runtimes or not."""

    ranker: tuple[str, ...]
    """A ranker.npz, several as COLLECTION=PATH, or `random`."""
    out: OutFile
    """CSV file to write the submission to."""
    files: Literal["train", "valid", "test"] = "test"
    """Which part of the data set."""
    seed: int = 0
    """Seed of the ranker `random`."""


@dataclass(frozen=True, kw_only=True)
class Standin:
    """Make a synthetic stand-in for the TpuGraphs data set: its tree and types, made-up programs and runtimes.

    A score on it says nothing about real collections.
    """

    out: OutFolder
    """Folder to write the data set to."""
    seed: int = 0
    """Seed of all programs."""
    size: Literal["small", "medium", "large"] = "small"
    """Size of the data set; small: trained on in minutes; large: as many files as the real data set."""
    layouts: tuple[int, int, int] | None = None
    """Numbers of programs of each family (xla, nlp) in train, valid and test; none: as --size says."""
    tiles: tuple[int, int, int] | None = None
    """Numbers of kernels in train, valid and test; none: as --size says."""
    nodes: int | None = None
    """Largest number of operations of a graph, at least 876; none: as --size says."""
    configs: tuple[int, int] | None = None
    """Smallest (at least 109) and largest number of configurations of a layout program; none: as --size says."""
    specials: bool | None = None
    """Add the odd files (20,000 and 40,000 nodes, 20,000 configurations, hidden runtimes, ...) or leave them out."""
    force: bool = False
    """Replace an earlier stand-in in the folder."""
