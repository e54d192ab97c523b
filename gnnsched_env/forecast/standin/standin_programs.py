"""The files of a stand-in: how many, of what size, and the arrays of each, all told by a seed."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, ListOf, check_fields, require
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.data.program import ProgramGraph
from gnnsched_env.forecast.data.program_writing import write_program
from gnnsched_env.forecast.data.schema import SPLITS, Collection
from gnnsched_env.forecast.standin import layout_costs as layouts
from gnnsched_env.forecast.standin import tiles
from gnnsched_env.forecast.standin.training_steps import FAMILIES, FEWEST_NODES

_FEWEST_CONFIGS: Final = 109
_MOST_NODES: Final = 43_615
_MOST_CONFIGS: Final = 10_000_000
_MOST_FILES: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much to make: programs of a split (train, valid, test), their nodes and configurations, both at most.

    layouts: programs of each family (xla, nlp); each stands in two collections, default and random. tiles: kernels.
    specials: add the odd files (`SPECIALS`).
    """

    layouts: Annotated[tuple[int, int, int], ListOf(Integer(0, _MOST_FILES))] = (20, 4, 8)
    tiles: Annotated[tuple[int, int, int], ListOf(Integer(0, _MOST_FILES))] = (24, 6, 10)
    nodes: Annotated[int, Integer(1)] = 2_000
    configs: Annotated[tuple[int, int], ListOf(Integer(1, _MOST_CONFIGS))] = (200, 1_000)
    specials: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "stand-in")
        for name, count in (("layouts", len(SPLITS)), ("tiles", len(SPLITS)), ("configs", 2)):
            require("stand-in", name, own := getattr(self, name), "" if len(own) == count else f"{count} numbers")
        if not any((*self.layouts, *self.tiles)):
            raise ConfigError("layouts and tiles must ask for at least one file, got none")
        least = max(FEWEST_NODES.values())
        if not least <= self.nodes <= _MOST_NODES:
            raise ConfigError(f"nodes must be {least}..{_MOST_NODES}, got {self.nodes}")
        least, most = self.configs
        if not _FEWEST_CONFIGS <= least <= most:
            raise ConfigError(f"configs must be two rising numbers, at least {_FEWEST_CONFIGS}, got {self.configs}")


SIZES: Final = {
    "small": Size(),
    "medium": Size(layouts=(40, 6, 8), tiles=(200, 20, 40), nodes=5_000, configs=(109, 2_000), specials=True),
    "large": Size(layouts=(200, 20, 17), tiles=(5_709, 676, 844), nodes=43_615, configs=(109, 20_000), specials=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StandinSpec:
    """What one file is made from; equal specifications give equal files.

    place: the file's number in its collection and split; nodes, configs: exact numbers, drawn if None; hidden: no
    runtimes; isolated, rare: an unread parameter, the highest operation code; single: a kernel of one tile size.
    """

    seed: Annotated[int, Integer(0)]
    collection: Collection
    split: str
    place: Annotated[int, Integer(0)]
    size: Size
    label: str = ""
    nodes: Annotated[int | None, Integer(1, _MOST_NODES)] = None
    configs: Annotated[int | None, Integer(1, _MOST_CONFIGS)] = None
    hidden: bool = False
    isolated: bool = False
    rare: bool = False
    single: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "stand-in")

    @property
    def name(self) -> str:
        """A made-up model's name, the same in both collections of a family; MD5 of it in the test split."""
        family = self.collection.split(":")[1]
        kind = "kernel" if self.collection.is_tile else {"xla": "convolutional", "nlp": "transformer"}[family]
        name = f"standin_{kind}{f'_{self.label}' if self.label else ''}_{self.seed}_{self.split}_{self.place:04d}"
        return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() if self.split == "test" else name

    @property
    def path(self) -> Path:
        """Where the file lies below the data set's folder."""
        return Path("npz") / self.collection.folder / self.split / f"{self.name}.npz"


_SPECIAL: Final = StandinSpec(
    seed=0, collection=Collection.LAYOUT_XLA_DEFAULT, split="train", place=0, size=SIZES["medium"]
)
_RANDOM: Final = Collection.LAYOUT_XLA_RANDOM
_NLP: Final = Collection.LAYOUT_NLP_RANDOM
_TILE: Final = Collection.TILE_XLA
SPECIALS: Final = (
    replace(_SPECIAL, collection=_RANDOM, label="20k_nodes", nodes=20_000, configs=1_000),
    replace(_SPECIAL, collection=_RANDOM, label="40k_nodes", nodes=40_000, configs=200),
    replace(_SPECIAL, label="many", nodes=372, configs=20_000),
    replace(_SPECIAL, label="isolated", isolated=True),
    replace(_SPECIAL, label="rare", rare=True),
    replace(_SPECIAL, collection=_NLP, split="test", label="hidden", configs=1_000, hidden=True),
    replace(_SPECIAL, collection=_TILE, label="single", single=True),
    replace(_SPECIAL, collection=_TILE, split="test", label="hidden", hidden=True),
)
"""Files beyond the ordinary: two large graphs, many configurations, an isolated node, operation code 120, hidden
runtimes (layouts and tiles), a kernel with one distinct tile size."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StandinProgram:
    """One made-up file's arrays, and what no file tells.

    configurations: int8 [c, nc, 18] or float32 [c, 24]; runtimes, normalizers: int64 [c] ns (0 and 1 where hidden;
    normalizers None for layouts). codes: int64 [c, nc], rows' numbers in the nodes' alphabets (None for tiles).
    noise_free: float64 [c] ns, the made-up machine's time without noise, known for
    hidden files too: an oracle for scores (a tile's target is this over its normalizer, which hardly varies).
    """

    spec: StandinSpec
    graph: ProgramGraph
    configurable: NDArray[np.int64] | None
    configurations: NDArray[np.int8] | NDArray[np.float32]
    runtimes: NDArray[np.int64]
    normalizers: NDArray[np.int64] | None
    splits: NDArray[np.int64] | None
    codes: NDArray[np.int64] | None
    noise_free: NDArray[np.float64]

    def write(self, folder: Path) -> Path:
        """Write the file below the data set's folder; return its path."""
        path = folder / self.spec.path
        write_program(
            path,
            graph=self.graph,
            configurations=self.configurations,
            runtimes=self.runtimes,
            configurable=self.configurable,
            normalizers=self.normalizers,
            splits=self.splits,
        )
        return path


def plan(seed: int, size: Size) -> list[StandinSpec]:
    """Return the files of a data set; a file depends on seed, place and ranges, not on how many there are."""
    seed = Integer(0).check("stand-in", "seed", seed)
    specs = [
        StandinSpec(seed=seed, collection=collection, split=split, place=place, size=size)
        for collection in Collection
        for split, count in zip(SPLITS, size.tiles if collection.is_tile else size.layouts, strict=True)
        for place in range(count)
    ]
    if size.specials:
        specs += [replace(special, seed=seed, size=size) for special in SPECIALS]
    return specs


def make(spec: StandinSpec) -> StandinProgram:
    """Make one file's arrays."""
    return _tile(spec) if spec.collection.is_tile else _layout(spec)


def _layout(spec: StandinSpec) -> StandinProgram:
    family, style = spec.collection.split(":")[1:]
    rng = _generator(spec, family)
    nodes = spec.nodes or round(_log_uniform(rng, FEWEST_NODES[family], spec.size.nodes))
    step = FAMILIES[family](rng, nodes, isolated=spec.isolated, rare=spec.rare)
    rng = _generator(spec, spec.collection)
    count = spec.configs or round(_log_uniform(rng, *spec.size.configs))
    work = layouts.work_of(step.tape, unset=rng.uniform(0.025, 0.06))
    if style == "default":
        distinct = count - int(count * rng.uniform(0.37, 0.40))
        codes = layouts.searched_codes(rng, work, distinct, rng.uniform(0.11, 0.14))
        times = layouts.timed(work.price(codes), _log_uniform(rng, 1.01, 1.1), layouts.spilled(work, codes))
    else:
        codes = layouts.random_codes(rng, work, count - int(count * rng.uniform(0.0, 0.19)))
        times = layouts.timed(work.price(codes), _log_uniform(rng, 1.1, 5))
    order = layouts.repeated(rng, times, count)
    noise_free = times[order]
    return StandinProgram(
        spec=spec,
        graph=step.tape.graph(),
        configurable=work.nodes,
        configurations=work.rows(codes[order]),
        runtimes=np.zeros(count, np.int64) if spec.hidden else layouts.measured(rng, noise_free),
        normalizers=None,
        splits=np.array([0, step.split, nodes]),
        codes=codes[order],
        noise_free=noise_free,
    )


def _tile(spec: StandinSpec) -> StandinProgram:
    rng = _generator(spec, spec.collection)
    kernel = tiles.kernel(rng, single=spec.single)
    runtimes, normalizers = tiles.measured(rng, kernel.times)
    return StandinProgram(
        spec=spec,
        graph=kernel.tape.graph(),
        configurable=None,
        configurations=kernel.sizes,
        runtimes=np.zeros_like(runtimes) if spec.hidden else runtimes,
        normalizers=np.ones_like(normalizers) if spec.hidden else normalizers,
        splits=None,
        codes=None,
        noise_free=kernel.times,
    )


def _generator(spec: StandinSpec, stream: str) -> np.random.Generator:
    """Return a generator of the file's own; `stream`: what it draws for, the same in two collections or not."""
    text = f"{spec.seed}/{stream}/{spec.split}/{spec.label}/{spec.place}"
    return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


def _log_uniform(rng: np.random.Generator, least: float, most: float) -> float:
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))
