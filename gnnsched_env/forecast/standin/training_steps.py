"""Training steps of made-up networks, written down operation by operation: layers, their gradients, updates of weights.

Activations run through at most two elementwise operations between one configurable operation and the next in most
places, so that what their layouts have to do with each other is at most three edges away.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any, Final

import numpy as np

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.standin.tape import Dims, Int8Array, Op, Tape, Tensor, layout_rows, row_major

FEWEST_NODES: Final = {"xla": 372, "nlp": 876}
"""Operations of the smallest program of each family."""

EDGES_PER_NODE: Final = 1.61
_NODES_PER_TUPLE: Final = 500
_CARRIED: Final = 12  # tensors that the loop around the step is given
_LONGEST_PART: Final = 16  # operations of the longest part of an update
_NODES_PER_CONVOLUTION: Final = 100
_NODES_PER_LAYER: Final = 180
_DEPTHS: Final = (4, 5, 6, 7, 9, 12, 21)  # of transformers

# dimension numbers: input batch, feature, spatial; kernel input, output feature, spatial; output batch, feature
_FORWARD: Final = (0, 3, 1, 2, 0, 0, 2, 3, 0, 1, 0, 0, 0, 3)
_INPUT_GRADIENT: Final = (0, 3, 1, 2, 0, 0, 3, 2, 0, 1, 0, 0, 0, 3)
_KERNEL_GRADIENT: Final = (3, 0, 1, 2, 0, 0, 0, 3, 1, 2, 0, 0, 2, 3)


class Step:
    """A training step being written down.

    `isolated`: one operation is a parameter that nothing reads. `results`: what the step's tuples will hold.
    """

    def __init__(self, rng: np.random.Generator, kind: str, *, isolated: bool = False) -> None:
        self.rng, self.kind, self.tape = rng, kind, Tape()
        if isolated:
            self.tape.add(Op.PARAMETER, number=1)
        self.state = self.tape.add(Op.PARAMETER, kind="tuple", number=0)
        self.results: list[Tensor] = []
        self.split = 0
        self._reads = 0
        self._gradients: list[Tensor] = []  # of weights
        self._undos: list[Callable[[Tensor], Tensor]] = []  # from a layer's output's gradient to its input's
        self._waiting: list[Tensor] = []  # gradients that come back around some layers

    def read(self, dims: Dims, kind: str | None = None) -> Tensor:
        """Read an entry of the state."""
        self._reads += 1
        return self.tape.add(Op.GET_TUPLE_ELEMENT, dims, [self.state], kind=kind or self.kind)

    def weight(self, dims: Dims) -> Tensor:
        """Read a weight as layers use it: in the step's element type."""
        stored = self.read(dims, "f32")
        return stored if self.kind == "f32" else self.tape.same(Op.CONVERT, stored, kind=self.kind)

    def augment(self, tensor: Tensor) -> Tensor:
        """Shift the input, and weigh it by what is near: operations that a program has few of."""
        tape, dims = self.tape, tensor.dims
        ones, zeros, margin = [1] * len(dims), [0] * len(dims), [1, 2, *[0] * (len(dims) - 2)]
        zero = tape.add(Op.CONSTANT, kind=tensor.kind)
        wide = (dims[0] + 2, dims[1] + 4, *dims[2:])
        padded = tape.add(Op.PAD, wide, [zero, tensor], padding_low=margin, padding_high=margin)
        moved = tape.add(Op.DYNAMIC_SLICE, dims, [self.read((), "u32"), padded], dynamic_sizes=dims)
        cut = tape.add(Op.SLICE, dims, [moved], slice_start=zeros, slice_stride=ones, slice_limit=dims)
        window: dict[str, Any] = {
            "window_size": [1, 3, *ones[2:]],
            "window_low": [0, 1, *zeros[2:]],
            "window_high": [0, 1, *zeros[2:]],
        }
        called = [tape.computation(Op.ADD, tensor.kind), zero, cut]
        near = tape.add(Op.REDUCE_WINDOW, dims, called, **window, **_window(len(dims)))
        counts = tape.reduce(near, [0])
        order = [tape.computation(Op.COMPARE, tensor.kind), counts]
        self.results.append(tape.add(Op.SORT, counts.dims, order, dimensions=[0], stable=1))
        return tape.same(Op.MULTIPLY, near, cut)

    def convolve(self, image: Tensor, channels: int, size: int, stride: int = 1) -> Tensor:
        """Add a convolution of [batch, height, width, channels] and its gradients; the first has none of its input."""
        tape, kernel, first = self.tape, self.weight((size, size, image.dims[3], channels)), not self._undos
        reach = _reach(size)

        def undo(gradient: Tensor) -> Tensor:
            spread = reach | {"window_size": gradient.dims[1:3], "window_dilation": (stride,) * 2}
            self._gradients.append(_convolution(tape, kernel.dims, [image, gradient], _KERNEL_GRADIENT, spread))
            back = reach | {"window_size": (size,) * 2, "base_dilation": (stride,) * 2}
            back |= {"reversal": (1, 1), "reversal_counts": (2, 0)}
            return gradient if first else _convolution(tape, image.dims, [gradient, kernel], _INPUT_GRADIENT, back)

        self._undos.append(undo)
        return convolve(tape, image, kernel, stride)

    def dense(self, tensor: Tensor, width: int) -> Tensor:
        """Add a product with a weight, and its gradients."""
        rows, inputs = tensor.dims
        weight = self.weight((inputs, width))

        def undo(gradient: Tensor) -> Tensor:
            self._gradients.append(self._product((inputs, width), [tensor, gradient]))
            return self._product((rows, inputs), [gradient, weight])

        self._undos.append(undo)
        return self._product((rows, width), [tensor, weight])

    def reshape(self, tensor: Tensor, dims: Dims) -> Tensor:
        """Add a reshape; the gradient takes it back."""
        self._undos.append(lambda gradient: self._reshape(gradient, tensor.dims))
        return self._reshape(tensor, dims)

    def shift(self, tensor: Tensor) -> Tensor:
        """Add a bias along the last dimension."""
        bias = self.tape.fill(tensor, self.weight(tensor.dims[-1:]))

        def undo(gradient: Tensor) -> Tensor:
            self._gradients.append(self.tape.reduce(gradient, [len(gradient.dims) - 1]))
            return gradient

        self._undos.append(undo)
        return self.tape.same(Op.ADD, bias, tensor)

    def scale(self, tensor: Tensor) -> Tensor:
        """Multiply by the power of the mean square; the gradient takes the factor as given."""
        square = self.tape.reduce(self.tape.same(Op.MULTIPLY, tensor, tensor), [len(tensor.dims) - 1])
        factor = self.tape.fill(tensor, self.tape.same(Op.POWER, self.tape.fill(square), square))
        self._undos.append(lambda gradient: self.tape.same(Op.MULTIPLY, factor, gradient))
        return self.tape.same(Op.MULTIPLY, factor, tensor)

    def rectify(self, tensor: Tensor) -> Tensor:
        """Add max(x, 0)."""
        zero = self.tape.fill(tensor)
        result = self.tape.same(Op.MAXIMUM, zero, tensor)

        def undo(gradient: Tensor) -> Tensor:
            positive = self.tape.same(Op.COMPARE, zero, result, kind="pred")
            return self.tape.same(Op.SELECT, positive, zero, gradient)

        self._undos.append(undo)
        return result

    def around(self, tensor: Tensor, layers: Callable[[Tensor], Tensor]) -> Tensor:
        """Add some layers and the tensor that goes in to what comes out; gradients of both ways are added."""

        def keep(gradient: Tensor) -> Tensor:
            self._waiting.append(gradient)
            return gradient

        self._undos.append(lambda gradient: self.tape.same(Op.ADD, gradient, self._waiting.pop()))
        result = self.tape.same(Op.ADD, tensor, layers(tensor))
        self._undos.append(keep)
        return result

    def learn(self, logits: Tensor) -> None:
        """Add a softmax loss of logits [rows, classes], then all gradients, the last layer's first."""
        tape, dims = self.tape, logits.dims
        raised = tape.same(Op.EXPONENTIAL, logits)
        total = tape.add(Op.BROADCAST, dims, [tape.reduce(raised, [0])], dimensions=[0])
        gradient = tape.same(Op.DIVIDE, raised, total)
        labels = tape.add(Op.BROADCAST, dims, [self.read(dims[:1], "s32")], dimensions=[0])
        classes = tape.add(Op.IOTA, dims, kind="s32", dimensions=[1])
        hit = tape.same(Op.CONVERT, tape.same(Op.COMPARE, labels, classes, kind="pred"), kind=logits.kind)
        gradient = tape.same(Op.SUBTRACT, gradient, hit)
        self.results.append(tape.reduce(tape.same(Op.MULTIPLY, gradient, gradient)))
        for undo in reversed(self._undos):
            gradient = undo(gradient)

    def finish(self, nodes: int, *, rare: bool = False) -> None:
        """Update the weights until the program has exactly `nodes` operations with what calls it; `rare`: one is RARE.

        The results are held in tuples, which are filled with other tensors until there are EDGES_PER_NODE.
        """
        tape, tuples = self.tape, -(-nodes // _NODES_PER_TUPLE)
        tail = tuples + 2 * _CARRIED + 7
        for gradient in self._gradients:
            self.results.append(_descend(self, gradient))
        spare = _LONGEST_PART + 1 + rare
        if len(tape) + tail + spare > nodes:
            least = len(tape) + tail + spare
            raise ConfigError(f"nodes must be at least {least} for a program of these layers, got {nodes}")
        turn = 0
        while len(tape) + tail + spare <= nodes:
            self.results += _PARTS[turn % len(_PARTS)](self, self._gradients[turn % len(self._gradients)])
            turn += 1
        count = self.read((), "s32")
        if rare:
            count = tape.same(Op.RARE, count)
        while (missing := nodes - tail - len(tape)) > 0:
            two = missing > 1
            count = tape.same(Op.ADD, tape.add(Op.CONSTANT, kind="s32"), count) if two else tape.same(Op.NEGATE, count)
        self.results.append(count)
        tape.notes[self.state.node]["tuple_size"] = self._reads
        self._close(round(EDGES_PER_NODE * nodes), tuples)

    def _close(self, edges: int, tuples: int) -> None:
        """Add the tuples, then the loop's condition and the program that runs the loop: `edges` edges in all."""
        tape, known = self.tape, {tensor.node for tensor in self.results}
        missing = edges - len(tape.edges()) - (tuples - 1) - 4 * _CARRIED - 5 - len(known)
        others = [one for one in tape.tensors if one.dims and one.node not in known]
        more = self.rng.permutation(len(others))[: max(0, missing)]
        held = [*self.results, *(others[place] for place in more.tolist())]
        body: list[Tensor] = []
        for first in range(tuples):
            body = [_tuple(tape, [*body, *held[first::tuples]])]
        self.split = len(tape)
        tape.root(body[0])
        condition = tape.computation(Op.COMPARE, "s32")
        given = tape.add(Op.PARAMETER, kind="tuple", number=0, tuple_size=_CARRIED)
        carried = self.results[:_CARRIED]
        start = [tape.add(Op.GET_TUPLE_ELEMENT, one.dims, [given], kind=one.kind) for one in carried]
        loop = [body[0], condition, _tuple(tape, start)]
        result = tape.add(Op.WHILE, (), loop, kind="tuple", tuple_size=_CARRIED)
        tape.root(_tuple(tape, [tape.add(Op.GET_TUPLE_ELEMENT, one.dims, [result], kind=one.kind) for one in carried]))

    def _product(self, dims: Dims, operands: Sequence[Tensor]) -> Tensor:
        """Add a product of matrices; rows: the output's usual order alone, or two orders of all three tensors."""
        orders = [[1, 0], [0, 1]]
        rows = layout_rows([([1, 0], [], []), *product(orders, orders, orders)])
        return self.tape.add(Op.DOT, dims, operands, alphabet=rows)

    def _reshape(self, tensor: Tensor, dims: Dims) -> Tensor:
        return self.tape.add(Op.RESHAPE, dims, [tensor], alphabet=reshape_rows(len(dims), len(tensor.dims)))


def reshape_rows(output: int, given: int) -> Int8Array:
    """Return a reshape's rows by its ranks: the compiler's choice, or either of two orders on both sides."""
    orders = []
    for rank in (output, given):
        usual = row_major(rank)
        orders.append([usual, [0, *usual[:-1]]] if rank > 1 else [usual])
    return layout_rows([([], []), *product(*orders)])


def convolutional(rng: np.random.Generator, nodes: int, *, isolated: bool = False, rare: bool = False) -> Step:
    """Return a training step of a convolutional network, `nodes` operations (372 or more) in all."""
    step = Step(rng, str(rng.choice(["f32", "bf16"], p=[0.7, 0.3])), isolated=isolated)
    depth = min(100, max(5, nodes // _NODES_PER_CONVOLUTION))
    batch, side = int(rng.choice([32, 64, 128])), int(rng.choice([32, 48, 56, 64, 96]))
    channels = int(rng.choice([32, 48, 64]))
    image = step.convolve(step.augment(step.read((batch, side, side, 3))), channels, 7, int(rng.choice([1, 2])))
    for layer in range(1, depth):
        size, halve = int(rng.choice([1, 3, 3, 5])), layer in (depth // 4, depth // 2, 3 * depth // 4)
        channels *= 1 + halve
        wide = channels if layer % 2 else int(channels * rng.choice([0.5, 1, 1.5]))
        if not halve and image.dims[3] == wide:
            image = step.rectify(step.around(image, partial(step.convolve, channels=wide, size=size)))
            continue
        image = step.rectify(step.shift(step.convolve(image, wide, size, 1 + halve)))
        if layer % 8 == 5:
            grouped = step.reshape(image, (*image.dims[:3], 8, wide // 8))
            image = step.reshape(step.scale(grouped), image.dims)
    rows = step.reshape(image, (batch, image.dims[1] * image.dims[2] * image.dims[3]))
    for width in (*rng.choice([512, 1024, 2048], 2).tolist(), 1000):
        rows = step.shift(step.dense(step.rectify(rows), width))
    step.learn(rows)
    step.finish(nodes, rare=rare)
    return step


def transformer(rng: np.random.Generator, nodes: int, *, isolated: bool = False, rare: bool = False) -> Step:
    """Return a training step of a transformer, `nodes` operations (876 or more) in all.

    It works on [batch * length, width] rows; 16 operations a layer are configurable, and 8.
    """
    step = Step(rng, str(rng.choice(["f32", "bf16"])), isolated=isolated)
    batch, length = int(rng.choice([8, 16, 32])), int(rng.choice([64, 128, 256]))
    heads, width = int(rng.choice([4, 8])), int(rng.choice([128, 256, 384, 512]))

    def mix(rows: Tensor) -> Tensor:
        triple = step.shift(step.dense(rows, 3 * width))
        split = step.scale(step.reshape(triple, (batch, length, heads, 3 * width // heads)))
        return step.dense(step.reshape(split, triple.dims), width)

    def think(rows: Tensor) -> Tensor:
        wide = step.rectify(step.shift(step.dense(rows, int(width * rng.choice([2, 4])))))
        return step.dense(wide, width)

    words = step.augment(step.read((batch, length, heads, width // heads)))
    rows = step.reshape(words, (batch * length, width))
    for _ in range(max([depth for depth in _DEPTHS if depth * _NODES_PER_LAYER <= nodes], default=_DEPTHS[0])):
        rows = step.scale(step.around(rows, mix))
        rows = step.scale(step.around(rows, think))
    step.learn(step.dense(step.rectify(step.shift(step.dense(rows, width))), int(rng.choice([512, 1000, 2048]))))
    step.finish(nodes, rare=rare)
    return step


def convolve(tape: Tape, image: Tensor, kernel: Tensor, stride: int = 1) -> Tensor:
    """Add a convolution of [batch, height, width, channels] by a kernel [size, size, inputs, outputs]."""
    (batch, height, width, _), (size, *_, channels) = image.dims, kernel.dims
    dims = (batch, -(-height // stride), -(-width // stride), channels)
    window = _reach(size) | {"window_size": (size,) * 2, "window_stride": (stride,) * 2}
    return _convolution(tape, dims, [image, kernel], _FORWARD, window)


FAMILIES: Final = {"xla": convolutional, "nlp": transformer}


def _convolution(
    tape: Tape, dims: Dims, operands: Sequence[Tensor], numbers: Sequence[int], window: dict[str, Any]
) -> Tensor:
    """Rows: the two outer dimensions of output, input and kernel in either order, the higher one minor first."""
    outer = [numbers[-2:], numbers[:2], numbers[6:8]]
    rows = layout_rows(list(product(*([sorted(pair, reverse=True), sorted(pair)] for pair in outer))))
    about = _window(2) | {"convolution": tuple(numbers), "groups": (1, 1)} | window
    return tape.add(Op.CONVOLUTION, dims, operands, alphabet=rows, **about)


def _reach(size: int) -> dict[str, Any]:
    return {"window_low": (size // 2,) * 2, "window_high": (size // 2,) * 2}


def _window(rank: int) -> dict[str, Any]:
    ones, zeros = (1,) * rank, (0,) * rank
    plain = {"window_stride": ones, "window_dilation": ones, "base_dilation": ones, "reversal": zeros}
    return plain | {"reversal_counts": (0, rank)}


def _tuple(tape: Tape, items: Sequence[Tensor]) -> Tensor:
    return tape.add(Op.TUPLE, (), items, kind="tuple", tuple_size=len(items))


def _descend(step: Step, gradient: Tensor) -> Tensor:
    change = step.tape.same(Op.MULTIPLY, step.tape.fill(gradient), gradient)
    return step.tape.same(Op.SUBTRACT, step.read(gradient.dims, gradient.kind), change)


def _momentum(step: Step, gradient: Tensor) -> list[Tensor]:
    tape, dims, kind = step.tape, gradient.dims, gradient.kind
    speed = tape.same(Op.ADD, tape.same(Op.MULTIPLY, tape.fill(gradient), step.read(dims, kind)), gradient)
    change = tape.same(Op.MULTIPLY, tape.fill(gradient, step.read((), kind)), speed)
    return [speed, tape.same(Op.SUBTRACT, step.read(dims, kind), change)]


def _mean(step: Step, gradient: Tensor) -> list[Tensor]:
    """Average over replicas, cut where it is too large, and converted."""
    tape, other = step.tape, "bf16" if gradient.kind == "f32" else "f32"
    total = tape.same(Op.ALL_REDUCE, tape.computation(Op.ADD, gradient.kind), gradient)
    mean = tape.same(Op.DIVIDE, tape.fill(gradient), total)
    limit = tape.fill(mean, tape.reduce(tape.same(Op.MULTIPLY, mean, mean), opcode=Op.MAXIMUM))
    cut = tape.same(Op.SELECT, tape.same(Op.COMPARE, limit, mean, kind="pred"), limit, mean)
    return [tape.same(Op.CONVERT, tape.same(Op.NEGATE, cut), kind=other)]


_PARTS: Final = (_momentum, _mean)
