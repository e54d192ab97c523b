"""What a training program consists of beside its layers: the state it reads, updates of weights, and what calls it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.standin import tape as ops
from gnnsched_env.forecast.standin.tape import Dims, Tape, Tensor

EDGES_PER_NODE: Final = 1.61
_MOST_OPERANDS: Final = 230  # of one tuple
_TYPICAL_OPERANDS: Final = 180
_LONGEST_PART: Final = 16  # more operations than any part of an update has


@dataclass(kw_only=True, eq=False)
class Step:
    """A training step being written down: the tape, its state's tuple, and what the next step is given.

    nodes: how many operations the whole program is to have; isolated: one of them is a parameter that nothing reads;
    rare: one has the highest operation code; results: what the step's tuples will hold.
    """

    rng: np.random.Generator
    nodes: int
    kind: str = "f32"
    isolated: bool = False
    rare: bool = False
    tape: Tape = field(default_factory=Tape)
    results: list[Tensor] = field(default_factory=list)
    state: Tensor = field(init=False)
    split: int = field(default=0, init=False)
    _reads: int = 0

    def __post_init__(self) -> None:
        if self.isolated:
            self.tape.add(ops.PARAMETER, number=1)
        self.state = self.tape.add(ops.PARAMETER, kind="tuple", number=0)

    def read(self, dims: Dims, kind: str = "f32") -> Tensor:
        """Read an entry of the state."""
        self._reads += 1
        self.tape.note(self.state, tuple_size=self._reads)
        return self.tape.add(ops.GET_TUPLE_ELEMENT, dims, [self.state], kind=kind)

    def weight(self, dims: Dims) -> Tensor:
        """Read a weight as layers use it: in the step's element type."""
        stored = self.read(dims)
        return stored if self.kind == "f32" else self.tape.same(ops.CONVERT, stored, kind=self.kind)

    def finish(self, weights: list[Tensor]) -> None:
        """Update weights given their gradients, in parts in turn until the program has its size; close the program."""
        minimum = len(self.tape) + 4 * len(weights) + self._tail(len(weights)) + _LONGEST_PART
        if self.nodes < minimum:
            raise ConfigError(f"nodes must be at least {minimum} for a program of these layers, got {self.nodes}")
        for gradient in weights:
            change = self.tape.same(ops.MULTIPLY, self.tape.fill(None, gradient.dims, gradient.kind), gradient)
            self.results.append(self.tape.same(ops.SUBTRACT, self.read(gradient.dims, gradient.kind), change))
        turn = 0
        while len(self.tape) + self._tail() + _LONGEST_PART < self.nodes:
            gradient = weights[turn // len(_PARTS) % len(weights)]
            _PARTS[turn % len(_PARTS)](self, gradient)
            turn += 1
        self._pad()
        self._close()

    def _pad(self) -> None:
        """Count steps in a scalar until exactly the tail is missing."""
        count = self.read((), "s32")
        if self.rare:
            count = self.tape.same(ops.RARE, count)
        while len(self.tape) + self._tail(1) < self.nodes:
            if len(self.tape) + self._tail(1) + 1 == self.nodes:
                count = self.tape.same(ops.NEGATE, count)
            else:
                count = self.tape.same(ops.ADD, self.tape.add(ops.CONSTANT, kind="s32"), count)
        self.results.append(count)

    def _carried(self) -> int:
        return min(180, max(12, self.nodes // 80))

    def _tuples(self, more: int = 0) -> int:
        missing = EDGES_PER_NODE * self.nodes - self.tape.num_edges - 4 * self._carried()
        return max(1, -(-max(len(self.results) + more, int(missing)) // _TYPICAL_OPERANDS))

    def _tail(self, more: int = 0) -> int:
        """Return how many operations `_close` will add when there are `more` results."""
        return self._tuples(more) + 2 * self._carried() + 9

    def _close(self) -> None:
        """Collect the results in tuples, then add the loop's condition and the program that runs the loop."""
        carried, tuples = self._carried(), self._tuples()
        entry = 4 * carried + 7  # edges of what follows the tuples
        missing = round(EDGES_PER_NODE * self.nodes) - self.tape.num_edges - entry - (tuples - 1)
        held = [self.results[first::tuples] for first in range(tuples)]
        spare = -(-max(0, missing - len(self.results)) // tuples)
        others = [tensor for tensor in self.tape.tensors if self.tape.opcodes[tensor.node] in ops.ELEMENTWISE]
        body: list[Tensor] = []
        for group in held:
            items = {tensor.node: tensor for tensor in [*body, *group]}
            most = min(spare + len(items), _MOST_OPERANDS)
            for at in self.rng.permutation(len(others)).tolist():
                if len(items) >= most:
                    break
                items[others[at].node] = others[at]
            body = [self.tape.add(ops.TUPLE, (), list(items.values()), kind="tuple", tuple_size=len(items))]
        self.split = len(self.tape)
        self._enter(self.tape.root(body[0]), carried)

    def _enter(self, body: Tensor, carried: int) -> None:
        """Add the condition and the entry: what the program is given, the loop, what it gives back; 2 carried + 9."""
        tape = self.tape
        condition = tape.computation(ops.COMPARE, "s32")
        given = tape.add(ops.PARAMETER, kind="tuple", number=0, tuple_size=carried)
        chosen = self.results[:carried]
        shapes = [(tensor.dims, tensor.kind) for tensor in chosen] + [((), "s32")] * (carried - len(chosen))
        start = [tape.add(ops.GET_TUPLE_ELEMENT, dims, [given], kind=kind) for dims, kind in shapes]
        token = tape.add(ops.AFTER_ALL, kind="token")
        limit = tape.add(ops.CONSTANT, kind="s32")
        initial = tape.add(ops.TUPLE, (), [*start, token, limit], kind="tuple", tuple_size=carried + 2)
        loop = tape.add(ops.WHILE, (), [body, condition, initial], kind="tuple", tuple_size=carried + 2)
        final = [tape.add(ops.GET_TUPLE_ELEMENT, dims, [loop], kind=kind) for dims, kind in shapes]
        tape.root(tape.add(ops.TUPLE, (), final, kind="tuple", tuple_size=carried))


def _momentum(step: Step, gradient: Tensor) -> None:
    tape, dims, kind = step.tape, gradient.dims, gradient.kind
    kept = tape.same(ops.MULTIPLY, tape.fill(None, dims, kind), step.read(dims, kind))
    speed = tape.same(ops.ADD, kept, gradient)
    change = tape.same(ops.MULTIPLY, tape.fill(step.read((), kind), dims, kind), speed)
    step.results += [speed, tape.same(ops.SUBTRACT, step.read(dims, kind), change)]


def _second_moment(step: Step, gradient: Tensor) -> None:
    tape, dims, kind = step.tape, gradient.dims, gradient.kind
    rate = tape.fill(None, dims, kind)
    kept = tape.same(ops.MULTIPLY, rate, step.read(dims, kind))
    moment = tape.same(ops.ADD, kept, tape.same(ops.MULTIPLY, gradient, gradient))
    change = tape.same(ops.MULTIPLY, rate, tape.same(ops.DIVIDE, gradient, moment))
    old = step.read(dims, kind)
    new = tape.same(ops.SUBTRACT, old, change)
    finite = tape.same(ops.COMPARE, moment, new, kind="pred")
    step.results += [tape.same(ops.SELECT, finite, kept, moment), tape.same(ops.SELECT, finite, old, new)]


def _clip(step: Step, gradient: Tensor) -> None:
    tape = step.tape
    bound = tape.fill(step.read((), gradient.kind), gradient.dims, gradient.kind)
    over = tape.same(ops.COMPARE, gradient, bound, kind="pred")
    clipped = tape.same(ops.SELECT, over, bound, gradient)
    low = tape.same(ops.NEGATE, bound)
    under = tape.same(ops.COMPARE, low, clipped, kind="pred")
    step.results.append(tape.same(ops.SELECT, under, low, clipped))


def _norm(step: Step, gradient: Tensor) -> None:
    tape = step.tape
    total = tape.reduce(tape.same(ops.MULTIPLY, gradient, gradient))
    share = tape.same(ops.DIVIDE, tape.reduce(gradient, opcode=ops.MAXIMUM), total)
    step.results.append(tape.same(ops.MULTIPLY, tape.fill(share, gradient.dims, gradient.kind), gradient))


def _masked(step: Step, gradient: Tensor) -> None:
    tape = step.tape
    whole = tape.same(ops.CONVERT, gradient, kind=_other(gradient))
    off = tape.same(ops.SUBTRACT, step.read(gradient.dims, whole.kind), whole)
    zero = tape.fill(None, gradient.dims, whole.kind)
    below = tape.same(ops.COMPARE, off, zero, kind="pred")
    kept = tape.same(ops.SELECT, below, zero, off)
    step.results.append(tape.same(ops.CONVERT, kept, kind=gradient.kind))


def _replicas(step: Step, gradient: Tensor) -> None:
    tape = step.tape
    called = tape.computation(ops.ADD, gradient.kind)
    total = tape.add(ops.ALL_REDUCE, gradient.dims, [called, gradient], kind=gradient.kind)
    mean = tape.same(ops.DIVIDE, tape.fill(None, gradient.dims, gradient.kind), total)
    step.results.append(tape.same(ops.CONVERT, mean, kind=_other(mean)))


def _other(tensor: Tensor) -> str:
    return "bf16" if tensor.kind == "f32" else "f32"


_PARTS: Final[tuple[Callable[[Step, Tensor], None], ...]] = (
    _momentum,
    _norm,
    _masked,
    _clip,
    _replicas,
    _second_moment,
    _replicas,
)
