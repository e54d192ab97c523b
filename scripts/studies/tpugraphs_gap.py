"""Print how far linear models without a graph stay behind noise-free runtimes on stand-in programs.

That is what a graph model is there to win. Programs are made, and nothing is written.

Example:
    python scripts/studies/tpugraphs_gap.py --seed 0
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from sklearn.linear_model import Ridge

from gnnsched_cli.command import print_table, run_command
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.stats import kendall_tau
from gnnsched_env.forecast.data import schema
from gnnsched_env.forecast.standin import SIZES, StandinProgram, make, plan

FloatArray = NDArray[np.float64]

_TRAINED: Final = 2 / 3
_ROWS: Final = 9  # the longest alphabet
_ALPHA_WITHIN, _ALPHA_ACROSS = 1.0, 1e-3


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Measure the gap on the programs of size `small`, or on as many others."""

    seed: int = 0
    layouts: tuple[int, int, int] = SIZES["small"].layouts
    """Programs of each family (xla, nlp) in train, valid and test."""
    nodes: int = SIZES["small"].nodes
    """Most operations of a program, at least 876."""
    configs: tuple[int, int] = SIZES["small"].configs
    """Fewest (at least 109) and most configurations of a program."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/tpugraphs_gap.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Print a row for each layout collection."""
    size = replace(SIZES["small"], layouts=arguments.layouts, nodes=arguments.nodes, configs=arguments.configs)
    table = Table("collection", "programs", "oracle", "ridge within", "ridge across", "least gap")
    for collection in schema.Collection:
        specs = [spec for spec in plan(arguments.seed, size) if spec.collection is collection]
        if collection.is_tile:
            continue
        train, test = ([make(spec) for spec in specs if spec.split == split] for split in ("train", "test"))
        found = gaps(train, test)
        means = [fmean(getattr(gap, name) for gap in found) for name in ("oracle", "within", "across")]
        least = min(gap.oracle - max(gap.within, gap.across) for gap in found)
        table.add_row(collection, str(len(test)), *(f"{value:.3f}" for value in (*means, least)))
    print_table(table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Kendall taus with noisy runtimes of one program.

    oracle: of the noise-free runtime; within: of a ridge on the nodes' one-hot rows, trained on two thirds of the
    program's configurations and scored on the rest; across: of a ridge on bytes given to each (operation, row),
    trained on other programs, which holds the machine's own form but for copies.
    """

    oracle: float
    within: float
    across: float


def gaps(train: Sequence[StandinProgram], test: Sequence[StandinProgram], *, seed: int = 0) -> list[Gap]:
    """Return the gaps of labelled layout programs of one collection, `across` trained on the programs of `train`."""
    if not train or any(program.spec.collection.is_tile or program.spec.hidden for program in (*train, *test)):
        raise ConfigError("gaps need labelled layout programs, and at least one to train on")
    inputs = np.concatenate([_bytes_by_row(program) for program in train])
    shared = Ridge(_ALPHA_ACROSS).fit(inputs, np.concatenate([_scaled(program) for program in train]))
    return [
        Gap(
            oracle=float(kendall_tau(program.noise_free, program.runtimes)),
            within=_within(program, np.random.default_rng(seed)),
            across=float(kendall_tau(shared.predict(_bytes_by_row(program)), program.runtimes)),
        )
        for program in test
    ]


def _within(program: StandinProgram, rng: np.random.Generator) -> float:
    """Duplicates of a configuration stand on one side of the split."""
    distinct, group = np.unique(_codes(program), axis=0, return_inverse=True)
    trained = rng.permutation(len(distinct)) < _TRAINED * len(distinct)
    inputs, known = np.eye(_ROWS)[distinct].reshape(len(distinct), -1), trained[group]
    model = Ridge(_ALPHA_WITHIN).fit(inputs[group[known]], np.log(program.runtimes[known]))
    return float(kendall_tau(model.predict(inputs[group[~known]]), program.runtimes[~known]))


def _bytes_by_row(program: StandinProgram) -> FloatArray:
    """Return [c, 27]: the share of the configurable nodes' bytes that is given to each row of each operation."""
    nodes = program.configurable
    assert nodes is not None
    opcodes = np.searchsorted(schema.CONFIGURABLE_OPCODES, program.graph.opcodes[nodes])
    sizes = program.graph.node_features[nodes, schema.SHAPE_PRODUCT].astype(np.float64)
    codes = _codes(program) + _ROWS * opcodes
    columns = np.zeros((len(codes), len(schema.CONFIGURABLE_OPCODES) * _ROWS))
    for node, share in enumerate(sizes / sizes.sum()):
        columns[np.arange(len(codes)), codes[:, node]] += share
    return columns


def _scaled(program: StandinProgram) -> FloatArray:
    """Return targets [c] that programs share: how far above the mean, in standard deviations."""
    times = np.log(program.runtimes)
    return np.asarray((times - times.mean()) / times.std())


def _codes(program: StandinProgram) -> NDArray[np.int64]:
    """Return a layout program's rows' numbers [c, nc]."""
    assert program.codes is not None
    return program.codes


if __name__ == "__main__":
    sys.exit(main())
