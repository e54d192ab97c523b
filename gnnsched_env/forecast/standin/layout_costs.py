"""What a layout configuration of a stand-in program costs, and how configurations are drawn.

The made-up machine: runtime = base + sum over configurable nodes of bytes * rate(operation, row) + for every path of at
most three edges through elementwise operations from one configurable node to the next: bytes of what it carries *
COPY_RATE when the producer's output layout and the consumer's input layout differ, all times lognormal noise. A node's
bytes are its output's. Two layouts differ when both are set and begin with different dimensions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.data import schema
from gnnsched_env.forecast.standin.tape import ELEMENTWISE, Op, Tape

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

_PARENTS: Final = 48  # the latest configurations of a search, which new ones are made from
_CHANGED: Final = (0.01, 0.05)  # of a parent's rows
_LEFT: Final = (0.02, 0.07)  # of a configuration's rows, to the compiler
_TRIES: Final = 10_000  # configurations in a row that are not new before drawing is given up


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """What the configurable nodes of a program may be given, and what that costs.

    nodes: int64 [nc]; alphabets: int8 [a_j, 18] for each; counts: int64 [nc], how many rows each has; left: float64
    [nc], the probability that a draw leaves a node to the compiler (row 0 of reshapes, which alone can be); sizes:
    float64 [nc], bytes of the nodes' outputs; prices: float64 [nc, a], ns of each row (0 beyond a_j); paths: (producer,
    consumer), places in `nodes`, a pair as often as it has paths; copies: ns [a_p, a_q] of each path.
    """

    nodes: IntArray
    alphabets: Sequence[Int8Array]
    counts: IntArray
    left: FloatArray
    sizes: FloatArray
    prices: FloatArray
    paths: Sequence[tuple[int, int]]
    copies: Sequence[FloatArray]

    def price(self, codes: IntArray) -> FloatArray:
        """Return ns [c] of configurations, int64 [c, nc] rows' numbers, without base and noise."""
        total = self.prices[np.arange(len(self.nodes)), codes].sum(axis=1)
        for (producer, consumer), copies in zip(self.paths, self.copies, strict=True):
            total += copies[codes[:, producer], codes[:, consumer]]
        return np.asarray(total)

    def rows(self, codes: IntArray) -> Int8Array:
        """Return int8 [c, nc, 18] of rows' numbers."""
        return np.stack([alphabet[codes[:, node]] for node, alphabet in enumerate(self.alphabets)], axis=1)

    def draw(self, rng: np.random.Generator) -> IntArray:
        """Return a row's number for each node, int64 [nc], all of a node's as probable, but for the compiler's."""
        first, (which, left) = self.left > 0, rng.random((2, len(self.nodes)))
        own = first + (which * (self.counts - first)).astype(np.int64)
        return np.where(left < self.left, 0, own)


def work_of(tape: Tape, *, unset: float) -> Work:
    """Return a program's work; `unset`: the share of all rows that the compiler is to choose."""
    places = {node: place for place, node in enumerate(sorted(tape.alphabets))}
    alphabets = [tape.alphabets[node] for node in places]
    counts = np.array([len(alphabet) for alphabet in alphabets], dtype=np.int64)
    sizes = np.array([tape.tensors[node].num_bytes for node in places], dtype=np.float64)
    prices = np.zeros((len(places), counts.max()))
    for node, place in places.items():
        prices[place, : counts[place]] = sizes[place] * NS_PER_BYTE * row_rates(tape.opcodes[node], alphabets[place])
    reshapes = np.array([tape.opcodes[node] == Op.RESHAPE for node in places])
    paths = [(place, consumer) for node, place in places.items() for consumer in _reached(tape, node, places)]
    return Work(
        nodes=np.array(list(places), dtype=np.int64),
        alphabets=alphabets,
        counts=counts,
        left=reshapes * min(0.6, unset * len(places) / max(1, reshapes.sum())),
        sizes=sizes,
        prices=prices,
        paths=paths,
        copies=[sizes[p] * NS_PER_BYTE * COPY_RATE * differs(alphabets[p], alphabets[c]) for p, c in paths],
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
    kept: dict[bytes, IntArray] = {}
    for _ in _until(kept, count):
        _keep(kept, work.draw(rng))
    return np.stack(list(kept.values()))


def searched_codes(rng: np.random.Generator, work: Work, count: int, slow: float) -> IntArray:
    """Return `count` different configurations of a search that starts at one, int64 [count, nc].

    Each changes 1 to 5 % of the rows of one of the latest. The share `slow` of them spills besides: one node gets the
    row that has every tensor in the slow order (the last of its alphabet; `spilled`), which is not handed on. In every
    configuration the compiler is left to choose 2 to 7 % of the rows.
    """
    able, last = _able(work), work.counts - 1
    reshapes, nodes = np.flatnonzero(work.left), len(work.nodes)
    fewest, most = (bound * nodes for bound in _LEFT)
    start = np.where(np.isin(np.arange(nodes), reshapes), 1, 0)
    start[rng.permutation(reshapes)[: int(rng.integers(np.ceil(fewest), int(most) + 1))]] = 0
    parents, kept, slowed = [start], dict[bytes, IntArray](), 0
    for _ in _until(kept, count):
        child = parents[int(rng.integers(len(parents)))].copy()
        changed = rng.permutation(nodes)[: max(1, round(float(rng.uniform(*_CHANGED)) * nodes))]
        child[changed] = work.draw(rng)[changed]
        child[able] = np.where(child[able] == last[able], 0, child[able])
        if not fewest <= (child[reshapes] == 0).sum() <= most:
            continue
        if slowed < slow * (len(kept) + 1):
            node = int(rng.choice(able))
            child[node] = last[node]
            slowed += _keep(kept, child)
        elif _keep(kept, child):
            parents = [*parents, child][-_PARENTS:]
    return np.stack(list(kept.values()))


def spilled(work: Work, codes: IntArray) -> FloatArray:
    """Return the bytes of the node that spills over the most bytes of any, float64 [c]; -1 where none does."""
    able = _able(work)
    spills = codes[:, able] == work.counts[able] - 1
    return np.where(spills.any(axis=1), work.sizes[able][spills.argmax(axis=1)] / work.sizes.max(), -1.0)


def repeated(rng: np.random.Generator, times: FloatArray, count: int) -> IntArray:
    """Return int64 [count], numbers of configurations in random order: each once, some again, fast and slow alike."""
    distinct = len(times)
    places = (np.arange(count - distinct) + rng.random()) * distinct / max(1, count - distinct)
    again = np.argsort(times, kind="stable")[places.astype(np.int64)]
    return rng.permutation(np.concatenate([np.arange(distinct), again]))


def timed(prices: FloatArray, ratio: float, spills: FloatArray | None = None) -> FloatArray:
    """Return noise-free ns [c]: prices on top of a base that makes the slowest `ratio` times the fastest.

    A configuration that spills (`spilled`) takes 2 to 5 times as long. A ratio beyond what the prices have without a
    base is not reached.
    """
    least, most = prices.min(), prices.max()
    base = max(0.0, (most - ratio * least) / (ratio - 1)) if most > least else least
    times = base + prices
    if spills is not None:
        times = times + np.where(spills < 0, 0, times.min() * (1.05 + 2.7 * spills))
    return np.asarray(times * np.clip(1, _FASTEST / times.min(), _SLOWEST / times.max()))


def measured(rng: np.random.Generator, times: FloatArray) -> IntArray:
    """Return int64 ns, each time with noise of its own."""
    return np.rint(times * rng.lognormal(0, NOISE, len(times))).astype(np.int64)


def _able(work: Work) -> IntArray:
    """Return the nodes that can spill: those whose rows have a kernel's layout."""
    return np.flatnonzero([rows[-1, 2 * schema.DIMENSIONS] >= 0 for rows in work.alphabets])


def _keep(kept: dict[bytes, IntArray], codes: IntArray) -> bool:
    """Keep a configuration if it is new; return whether it was."""
    return kept.setdefault(codes.tobytes(), codes) is codes


def _until(kept: dict[bytes, IntArray], count: int) -> Iterator[None]:
    """Yield until there are `count`; ConfigError when nothing new has come for long."""
    tries, before = 0, 0
    while len(kept) < count:
        tries, before = (tries + 1 if len(kept) == before else 0), len(kept)
        if tries == _TRIES:
            raise ConfigError(
                f"configurations must be fewer for this program: {count} different ones were asked for, got {len(kept)}"
            )
        yield


def _reached(tape: Tape, source: int, places: Mapping[int, int]) -> list[int]:
    """Return the places of configurable nodes at the ends of paths from `source`, each as often as it has paths."""
    found: list[int] = []
    front = [source]
    for _ in range(MOST_HOPS):
        reached = [reader for node in front for reader in tape.readers[node]]
        found += [places[node] for node in reached if node in places]
        front = [node for node in reached if node not in places and tape.opcodes[node] in ELEMENTWISE]
    return found
