"""What a layout configuration of a stand-in program costs, and how configurations are drawn.

The made-up machine: runtime = base + sum over configurable nodes of bytes * rate(operation, row) + for every path of at
most three edges through elementwise operations from one configurable node to the next: bytes of what it carries *
COPY_RATE when the producer's output layout and the consumer's input layout differ, all times lognormal noise. A node's
bytes are its output's. Two layouts differ when both are set and begin with different dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.data import schema
from gnnsched_env.forecast.standin.tape import ELEMENTWISE, Tape

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Int8Array = NDArray[np.int8]

NOISE: Final = 3e-4
"""Standard deviation of the logarithm of runtimes of one configuration."""

MOST_HOPS: Final = 3
NS_PER_BYTE: Final = 0.02
COPY_RATE: Final = 0.45
"""Of a copy, in units of a tensor's bytes, as the rates below."""

_RATES: Final = {  # usual, then more for output, input, kernel with another dimension first, then for input xor kernel
    schema.CONVOLUTION: (0.3, 0.30, 0.20, 0.12, 0.12),
    schema.DOT: (0.3, 0.25, 0.20, 0.15, 0.10),
    schema.RESHAPE: (0.2, 0.25, 0.20, 0.0, 0.0),
}
_UNSET: Final = 0.5  # how far a layout that the compiler chooses is from the usual one
_FASTEST, _SLOWEST = 1e6, 1e9  # ns

_POPULATION: Final = 48
_CHILDREN: Final = 32
_MUTATED: Final = (0.01, 0.05)
_LEFT: Final = (0.02, 0.07)  # of a configuration's rows, to the compiler
_TRIES: Final = 400  # rounds without a new configuration before drawing is given up


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """What the configurable nodes of a program may be given, and what that costs.

    nodes: int64 [nc]; alphabets: int8 [a_j, 18] for each; prices: float64 [nc, a], ns of each row (0 beyond a_j);
    paths: (producer, consumer), places in `nodes`, a pair as often as it has paths; copies: ns [a_p, a_q] of each path;
    heights: float64 [nc], a node's bytes over the most; chances: float64 [nc, a], probabilities that a draw takes.
    """

    nodes: IntArray
    alphabets: Sequence[Int8Array]
    prices: FloatArray
    paths: Sequence[tuple[int, int]]
    copies: Sequence[FloatArray]
    heights: FloatArray
    chances: FloatArray

    def price(self, codes: IntArray) -> FloatArray:
        """Return ns [c] of configurations, int64 [c, nc] rows' numbers, without base and noise."""
        total = self.prices[np.arange(len(self.nodes)), codes].sum(axis=1)
        for (producer, consumer), copies in zip(self.paths, self.copies, strict=True):
            total += copies[codes[:, producer], codes[:, consumer]]
        return np.asarray(total)

    def rows(self, codes: IntArray) -> Int8Array:
        """Return int8 [c, nc, 18] of rows' numbers."""
        return np.stack([alphabet[codes[:, node]] for node, alphabet in enumerate(self.alphabets)], axis=1)

    def draw(self, rng: np.random.Generator, places: IntArray) -> IntArray:
        """Return a row's number for each place, with the nodes' chances."""
        bounds = np.cumsum(self.chances[places], axis=-1)
        bounds /= bounds[..., -1:]
        return np.asarray((rng.random((*places.shape, 1)) >= bounds).sum(axis=-1))


def work_of(tape: Tape, *, unset: float) -> Work:
    """Return a program's work; `unset`: the share of all rows that the compiler is to choose (reshapes' alone)."""
    nodes = sorted(tape.alphabets)
    alphabets = [tape.alphabets[node] for node in nodes]
    widest = max(map(len, alphabets))
    sizes = np.array([tape.tensors[node].num_bytes for node in nodes], dtype=np.float64)
    prices, chances = np.zeros((2, len(nodes), widest))
    reshapes = sum(tape.opcodes[node] == schema.RESHAPE for node in nodes)
    for place, (node, alphabet) in enumerate(zip(nodes, alphabets, strict=True)):
        opcode, count = tape.opcodes[node], len(alphabet)
        prices[place, :count] = sizes[place] * NS_PER_BYTE * row_rates(opcode, alphabet)
        chances[place, :count] = 1 / count
        if opcode == schema.RESHAPE:
            chosen = min(0.6, unset * len(nodes) / reshapes)
            chances[place, :count] = np.where((alphabet < 0).all(axis=1), chosen, (1 - chosen) / (count - 1))
    paths = [
        (producer, consumer)
        for producer, node in enumerate(nodes)
        for consumer in _reached(tape, node, {other: place for place, other in enumerate(nodes)})
    ]
    copies = [
        sizes[producer] * NS_PER_BYTE * COPY_RATE * differs(alphabets[producer], alphabets[consumer])
        for producer, consumer in paths
    ]
    return Work(
        nodes=np.array(nodes, dtype=np.int64),
        alphabets=alphabets,
        prices=prices,
        paths=paths,
        copies=copies,
        heights=sizes / sizes.max(),
        chances=chances,
    )


def row_rates(opcode: int, rows: Int8Array) -> FloatArray:
    """Return the rate [a] of each row: usual, and more for each tensor that does not have its last dimension first."""
    usual, *more = _RATES[opcode]
    first = rows[:, :: schema.DIMENSIONS].astype(np.int64)  # of output, input, kernel
    last = rows.reshape(len(rows), 3, schema.DIMENSIONS).max(axis=2)  # the highest dimension; both orders have it
    off = np.where(first < 0, _UNSET, first != last)
    crossed = np.abs(off[:, 1] - off[:, 2])
    return np.asarray(usual + np.column_stack([off, crossed]) @ np.array(more))


def differs(producer: Int8Array, consumer: Int8Array) -> NDArray[np.bool_]:
    """Return bool [a, b]: the producer's output and the consumer's input are set and begin with other dimensions."""
    given, wanted = producer[:, None, 0], consumer[None, :, schema.DIMENSIONS]
    return np.asarray((given >= 0) & (wanted >= 0) & (given != wanted))


def random_codes(rng: np.random.Generator, work: Work, count: int) -> IntArray:
    """Return `count` different configurations, int64 [count, nc], every node's row drawn by itself."""
    kept = _Distinct(count)
    places = np.tile(np.arange(len(work.nodes)), (_CHILDREN, 1))
    while kept.wanting:
        kept.offer(work.draw(rng, places))
    return kept.codes()


def evolved_codes(rng: np.random.Generator, work: Work, count: int, slow: float) -> tuple[IntArray, IntArray]:
    """Return different configurations [count, nc] of a search that starts at one, and the node that spills (-1: none).

    A child changes 1 to 5 % of its parent's nodes; of two, the faster is more often a parent. The share `slow` of the
    configurations spills besides: one node gets the row that has every tensor in the slow order (the last of its
    alphabet). Those are no parents. In every configuration the compiler is left to choose 2 to 7 % of the rows.
    """
    able = np.flatnonzero([rows[-1, 2 * schema.DIMENSIONS] >= 0 for rows in work.alphabets])  # it has a kernel
    last = np.array([len(work.alphabets[node]) - 1 for node in able.tolist()])
    reshapes = np.setdiff1d(np.arange(len(work.nodes)), able)
    fewest, most = (bound * len(work.nodes) for bound in _LEFT)
    population = work.draw(rng, np.arange(len(work.nodes))[None])
    population[:, reshapes] = np.maximum(population[:, reshapes], 1)
    population[:, rng.permutation(reshapes)[: int(rng.integers(np.ceil(fewest), int(most) + 1))]] = 0
    kept, spills = _Distinct(count), np.zeros(0, dtype=np.int64)
    while kept.wanting:
        children = _mutated(rng, work, population[_parents(rng, work.price(population))])
        children[:, able] = np.where(children[:, able] == last, 0, children[:, able])
        left = (children[:, reshapes] == 0).sum(axis=1)
        children = children[(left >= fewest) & (left <= most)]
        quota = int(slow * (len(spills) + len(children))) - int((spills >= 0).sum())
        nodes = np.where(rng.permutation(len(children)) < quota, rng.integers(len(able), size=len(children)), -1)
        slowed = np.flatnonzero(nodes >= 0)
        spilled = children.copy()
        spilled[slowed, able[nodes[slowed]]] = last[nodes[slowed]]
        fresh = kept.offer(spilled)
        spills = np.concatenate([spills, np.where(nodes < 0, -1, able[nodes])[fresh]])
        population = np.concatenate([population, children[fresh & (nodes < 0)]])[-_POPULATION:]
    return kept.codes(), spills


def repeated(rng: np.random.Generator, times: FloatArray, count: int) -> IntArray:
    """Return int64 [count], numbers of configurations in random order: each once, some again, fast and slow alike."""
    distinct = len(times)
    places = (np.arange(count - distinct) + rng.random()) * distinct / max(1, count - distinct)
    again = np.argsort(times, kind="stable")[places.astype(np.int64)]
    return rng.permutation(np.concatenate([np.arange(distinct), again]))


def timed(prices: FloatArray, ratio: float, spilled: FloatArray | None = None) -> FloatArray:
    """Return noise-free ns [c]: prices on top of a base that makes the slowest `ratio` times the fastest.

    spilled: float64 [c], the bytes of the node that spills over the most bytes, -1 where none does: such a
    configuration takes 2 to 5 times as long. A ratio beyond what the prices have without a base is not reached.
    """
    least, most = prices.min(), prices.max()
    base = max(0.0, (most - ratio * least) / (ratio - 1)) if most > least else least
    times = base + prices
    if spilled is not None:
        times = times + np.where(spilled < 0, 0, times.min() * (1.05 + 2.7 * spilled))
    return np.asarray(times * np.clip(1, _FASTEST / times.min(), _SLOWEST / times.max()))


def measured(rng: np.random.Generator, times: FloatArray) -> IntArray:
    """Return int64 ns, each time with noise of its own."""
    return np.rint(times * rng.lognormal(0, NOISE, len(times))).astype(np.int64)


class _Distinct:
    """Configurations in the order they came, each once, until there are enough."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._rows: list[IntArray] = []
        self._seen: set[bytes] = set()
        self._idle = 0

    @property
    def wanting(self) -> bool:
        """Whether more are wanted; ConfigError when nothing new has come for long."""
        if self._idle >= _TRIES:
            raise ConfigError(
                f"configurations must be fewer for this program: {self._count} different ones were asked for, got "
                f"{len(self._rows)}"
            )
        return len(self._rows) < self._count

    def offer(self, codes: IntArray) -> NDArray[np.bool_]:
        """Keep what is new; return bool [k], what was kept."""
        fresh = np.zeros(len(codes), dtype=np.bool_)
        for place, row in enumerate(codes.astype(np.int64)):
            key = row.tobytes()
            if len(self._rows) < self._count and key not in self._seen:
                self._seen.add(key)
                self._rows.append(row)
                fresh[place] = True
        self._idle = 0 if fresh.any() else self._idle + 1
        return fresh

    def codes(self) -> IntArray:
        """Return int64 [count, nc]."""
        return np.stack(self._rows)


def _parents(rng: np.random.Generator, prices: FloatArray) -> IntArray:
    pairs = rng.integers(len(prices), size=(_CHILDREN, 2))
    better = prices[pairs].argmin(axis=1)
    either = np.where(rng.random(_CHILDREN) < 0.5, better, 0)
    return pairs[np.arange(_CHILDREN), either]


def _mutated(rng: np.random.Generator, work: Work, parents: IntArray) -> IntArray:
    nodes = parents.shape[1]
    counts = np.maximum(1, np.rint(rng.uniform(*_MUTATED, size=len(parents)) * nodes))
    chosen = rng.random(parents.shape).argsort(axis=1) < counts[:, None]
    places = np.tile(np.arange(nodes), (len(parents), 1))
    return np.where(chosen, work.draw(rng, places), parents)


def _reached(tape: Tape, source: int, places: dict[int, int]) -> list[int]:
    """Return the places of configurable nodes at the ends of paths from `source`, each as often as it has paths."""
    found: list[int] = []
    front = [source]
    for _ in range(MOST_HOPS):
        reached = [reader for node in front for reader in tape.readers(node)]
        found += [places[node] for node in reached if node in places]
        front = [node for node in reached if node not in places and tape.opcodes[node] in ELEMENTWISE]
    return found
