"""What a stand-in's files look like beside what it was made after: the figures that real files were found to have."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.forecast.data import schema
from gnnsched_env.forecast.data.program import Program, open_program
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.standin import tape as ops
from gnnsched_env.forecast.standin.standin_files import made

Values = NDArray[np.float64]

_SLOW: Final = 1.6  # times the fastest: beyond it lies the slow mode of default collections

_OPCODES: Final = {  # with the shares of two real graphs of the xla collections
    "multiply": (ops.MULTIPLY, "0.07-0.19"),
    "add": (ops.ADD, "0.07-0.12"),
    "broadcast": (ops.BROADCAST, "0.10-0.12"),
    "parameter": (ops.PARAMETER, "0.09-0.12"),
    "get-tuple-element": (ops.GET_TUPLE_ELEMENT, "0.08-0.17"),
    "select": (ops.SELECT, "0.06"),
    "subtract": (ops.SUBTRACT, "0.06"),
    "convert": (ops.CONVERT, "0.06"),
    "compare": (ops.COMPARE, "0.02-0.06"),
    "constant": (ops.CONSTANT, "0.02-0.06"),
    "reduce": (ops.REDUCE, "0.03"),
    "divide": (ops.DIVIDE, "0.04"),
    "convolution": (schema.CONVOLUTION, "0.02-0.04 (xla)"),
    "dot": (schema.DOT, "0-0.02 (xla)"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table: a collection, a quantity, what it should be, what it is (least, mean and most a file)."""

    collection: Collection
    quantity: str
    target: str
    least: float
    mean: float
    most: float


def describe(folder: str | Path) -> list[Figure]:
    """Return the figures of a stand-in's folder, collection by collection; the odd files count as all others."""
    programs = [open_program(path) for path in made(folder)]
    figures = []
    for collection in Collection:
        of_it = [program for program in programs if program.collection is collection]
        if of_it:
            figures += _tiles(collection, of_it) if collection.is_tile else _layouts(collection, of_it)
    return figures


def _layouts(collection: Collection, programs: list[Program]) -> list[Figure]:
    random = collection.endswith("random")
    quantities: list[tuple[str, str, Callable[[Program], float]]] = [
        ("nodes", "372-43,615 (xla), 876-21,919 (nlp)", lambda program: program.graph.num_nodes),
        ("edges / node", "1.61", lambda program: program.graph.num_edges / program.graph.num_nodes),
        ("edges in order", "1", _in_order),
        ("columns not constant", "70-96", _varied),
        ("largest product", "up to 3e8", lambda program: float(program.graph.node_features[:, 28].max())),
        ("most operands of one", "20-230", lambda program: float(_operands(program).max())),
        ("isolated nodes", "0, 1 in one file", _isolated),
        ("configurable nodes", "26-62 and more (xla), 72-344 (nlp)", lambda program: len(program.configurable)),
        ("other operations among them", "0", _foreign),
        ("rows unset", "0.02-0.07", _unset),
        ("configurations", "109-20,000", lambda program: program.num_configs),
        ("duplicates", "below 0.20" if random else "0.37-0.40", _duplicates),
        ("slowest / fastest but slow mode", "1.1-5" if random else "1.01-1.1", lambda program: _bulk(program, random)),
        ("runtime (ms)", "1-1000", lambda program: float(np.median(program.runtimes)) / 1e6),
    ]
    if not random:
        quantities += [
            ("in slow mode", "0.10-0.15", lambda program: float((_over(program) > _SLOW).mean())),
            ("slow mode / fastest", "2-5", lambda program: float(_over(program)[_over(program) > _SLOW].mean())),
        ]
    figures = [_figure(collection, quantity, target, programs, value) for quantity, target, value in quantities]
    for name, (opcode, target) in _OPCODES.items():
        shares = [float((program.graph.opcodes == opcode).mean()) for program in programs]
        figures.append(_of(collection, f"share of {name}", target, shares))
    return figures


def _tiles(collection: Collection, programs: list[Program]) -> list[Figure]:
    quantities: list[tuple[str, str, Callable[[Program], float]]] = [
        ("nodes", "2-60, mean 40", lambda program: program.graph.num_nodes),
        ("edges / node", "about 1", lambda program: program.graph.num_edges / program.graph.num_nodes),
        ("configurations", "2-600", lambda program: program.num_configs),
        ("distinct configurations", "1 in one file", lambda program: len(np.unique(program.configurations(), axis=0))),
        ("input bounds", "0", lambda program: float(np.abs(program.configurations()[:, 16:]).max())),
        ("runtime (ns), fastest", "from 600", lambda program: float(program.runtimes.min())),
        ("runtime (ns), slowest", "to 4e6", lambda program: float(program.runtimes.max())),
        ("slowest / fastest", "1-29", lambda program: float(_over(program).max())),
        ("normalizers, spread", "within 0.01", _normalizer_spread),
    ]
    return [_figure(collection, quantity, target, programs, value) for quantity, target, value in quantities]


def _figure(
    collection: Collection, quantity: str, target: str, programs: Iterable[Program], value: Callable[[Program], float]
) -> Figure:
    timed = any(word in quantity for word in ("runtime", "slow", "normalizers"))
    return _of(collection, quantity, target, [value(program) for program in programs if program.labelled or not timed])


def _of(collection: Collection, quantity: str, target: str, values: list[float]) -> Figure:
    found = np.array(values or [np.nan], dtype=np.float64)
    return Figure(
        collection=collection,
        quantity=quantity,
        target=target,
        least=float(found.min()),
        mean=float(found.mean()),
        most=float(found.max()),
    )


def _in_order(program: Program) -> float:
    """Return 1 where every edge's consumer comes after its producer and edges are sorted and unique, else 0."""
    edges = program.graph.edges
    keys = edges[:, 0] * program.graph.num_nodes + edges[:, 1]
    return float((edges[:, 0] > edges[:, 1]).all() and (np.diff(keys) > 0).all())


def _varied(program: Program) -> float:
    features = program.graph.node_features
    return float((features != features[0]).any(axis=0).sum())


def _operands(program: Program) -> NDArray[np.int64]:
    return np.bincount(program.graph.edges[:, 0], minlength=program.graph.num_nodes)


def _isolated(program: Program) -> float:
    return float((np.bincount(program.graph.edges.ravel(), minlength=program.graph.num_nodes) == 0).sum())


def _foreign(program: Program) -> float:
    return float((~np.isin(program.graph.opcodes[program.configurable], schema.CONFIGURABLE_OPCODES)).sum())


def _unset(program: Program) -> float:
    rows = configs = 0
    for _, block in program.blocks():
        rows += int((block < 0).all(axis=2).sum())
        configs += len(block)
    return rows / (configs * len(program.configurable))


def _duplicates(program: Program) -> float:
    seen: set[bytes] = set()
    for _, block in program.blocks():
        seen.update(row.tobytes() for row in block)
    return 1 - len(seen) / program.num_configs


def _over(program: Program) -> Values:
    return np.asarray(program.runtimes / program.runtimes.min())


def _bulk(program: Program, random: bool) -> float:
    over = _over(program)
    return float(over.max() if random else over[over <= _SLOW].max())


def _normalizer_spread(program: Program) -> float:
    assert program.normalizers is not None
    return float(np.ptp(program.normalizers) / program.normalizers.mean() / 2)
