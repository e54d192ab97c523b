"""Training programs of made-up transformers."""

from typing import Final

import numpy as np

from gnnsched_env.forecast.data import schema
from gnnsched_env.forecast.standin import tape as ops
from gnnsched_env.forecast.standin.network_layers import Network
from gnnsched_env.forecast.standin.tape import Tensor
from gnnsched_env.forecast.standin.training_step import Step

FEWEST_NODES: Final = 876
_DEPTHS: Final = (4, 5, 6, 7, 9, 12, 21)
_NODES_PER_LAYER: Final = 180
_HEADS_FIRST: Final = (0, 2, 1, 3)


def program(rng: np.random.Generator, nodes: int, *, isolated: bool = False, rare: bool = False) -> Step:
    """Return a training step of a transformer, `nodes` operations (876 or more) in all."""
    kind = str(rng.choice(["f32", "bf16"]))
    step = Step(rng=rng, nodes=nodes, kind=kind, isolated=isolated, rare=rare)
    network = _Words(step)
    network.run(max([depth for depth in _DEPTHS if depth * _NODES_PER_LAYER <= nodes], default=_DEPTHS[0]))
    step.finish(network.gradients)
    return step


class _Words(Network):
    """A transformer on [batch * length, width] rows; 16 configurable operations a layer, and 8."""

    listed = False

    def run(self, depth: int) -> None:
        """Write down forward and backward of `depth` layers."""
        rng = self.rng
        self.batch, self.length = int(rng.choice([8, 16, 32])), int(rng.choice([64, 128, 256]))
        self.heads, width = int(rng.choice([4, 8])), int(rng.choice([128, 256, 384, 512]))
        words = self._embed(width)
        rows = self.reshape(words, (self.batch * self.length, width))
        for _ in range(depth):
            rows = self._layer(rows, width)
        rows = self.rectify(self.shift(self.dense(rows, width)))
        self.backward(self.loss(self.dense(rows, int(rng.choice([512, 1000, 2048])))))

    def _embed(self, width: int) -> Tensor:
        """Read words' vectors, add those of positions."""
        tape, kind = self.tape, self.step.kind
        dims = (self.batch, self.length, width)
        vectors = self._shift_words(self.step.read(dims, kind))
        table = self.step.read((512, width), kind)
        places = tape.add(
            ops.SLICE,
            (self.length, width),
            [table],
            kind=kind,
            slice_start=[0, 0],
            slice_stride=[1, 1],
            slice_limit=[self.length, width],
        )
        spread = tape.add(ops.BROADCAST, vectors.dims, [places], kind=kind, dimensions=[1, 2])
        return tape.same(ops.ADD, spread, vectors)

    def _shift_words(self, words: Tensor) -> Tensor:
        """Move sentences by some places, and weigh words by how many real ones are near."""
        tape, kind, (batch, length, width) = self.tape, words.kind, words.dims
        wide = (batch + 1, length + 8, width)
        zero = tape.constant(kind)
        padded = tape.add(ops.PAD, wide, [words, zero], kind=kind, padding_low=(1, 6, 0), padding_high=(0, 2, 0))
        place = self.step.read((), "u32")
        moved = tape.add(ops.DYNAMIC_SLICE, words.dims, [padded, place], kind=kind, dynamic_sizes=words.dims)
        real = self.step.read((batch, 1, length, 1), kind)
        near = tape.add(
            ops.REDUCE_WINDOW,
            real.dims,
            [self.sum, zero, real],
            kind=kind,
            window_size=(1, 1, 8, 1),
            window_stride=(1, 1, 1, 1),
            window_low=(0, 0, 7, 0),
            window_high=(0, 0, 0, 0),
            window_dilation=(1, 1, 1, 1),
            base_dilation=(1, 1, 1, 1),
            reversal=(0, 0, 0, 0),
        )
        counts = tape.reduce(near, [0, 2], called=self.sum)
        order = [tape.computation(ops.COMPARE, kind), counts]
        self.step.results.append(tape.add(ops.SORT, counts.dims, order, kind=kind, dimensions=(1,), stable=1))
        spread = tape.add(ops.BROADCAST, words.dims, [counts], kind=kind, dimensions=(0, 1))
        return tape.same(ops.MULTIPLY, spread, moved)

    def _layer(self, rows: Tensor, width: int) -> Tensor:
        around = self.branch(rows)
        mixed = self._mix(self.shift(self.dense(rows, 3 * width)), width)
        rows = self._normal(self.join(self.dense(mixed, width), around))
        around = self.branch(rows)
        wide = self.rectify(self.shift(self.dense(rows, int(width * self.rng.choice([2, 4])))))
        return self._normal(self.join(self.dense(wide, width), around))

    def _normal(self, rows: Tensor) -> Tensor:
        """Scale rows by their size; the gradient takes the size as given."""
        tape = self.tape
        square = tape.reduce(tape.same(ops.MULTIPLY, rows, rows), [0])
        share = tape.same(ops.POWER, tape.fill(None, square.dims, rows.kind), square)
        spread = tape.add(ops.BROADCAST, rows.dims, [share], kind=rows.kind, dimensions=[0])
        return self.scale(rows, spread)

    def _mix(self, rows: Tensor, width: int) -> Tensor:
        """Split heads and let positions look at each other; both reshapes are configurable, the rest is not."""
        tape, kind, depth = self.tape, rows.kind, width // self.heads
        split = self.reshape(rows, (self.batch, self.length, 3 * self.heads, depth))
        shape = (self.batch, self.heads, self.length, depth)
        queries, keys, values = (self._head(split, place, shape) for place in range(3))
        scores = self._attend(queries, keys)
        mixed = tape.add(schema.DOT, shape, [scores, values], kind=kind)
        joined = (self.batch, self.length, self.heads, depth)
        back = tape.add(ops.TRANSPOSE, joined, [mixed], kind=kind, dimensions=_HEADS_FIRST)

        def undo(gradient: Tensor) -> Tensor:
            turned = tape.add(ops.TRANSPOSE, shape, [gradient], kind=kind, dimensions=_HEADS_FIRST)
            parts = [tape.add(schema.DOT, shape, [turned, other], kind=kind) for other in (scores, keys, queries)]
            return tape.add(ops.CONCATENATE, split.dims, parts, kind=kind, dimensions=[2])

        self.undos.append(undo)
        return self.reshape(back, (self.batch * self.length, width))

    def _head(self, split: Tensor, place: int, shape: tuple[int, ...]) -> Tensor:
        """Cut queries, keys or values out, heads first."""
        batch, heads, length, depth = shape
        start, limit = [0, 0, place * heads, 0], [batch, length, (place + 1) * heads, depth]
        dims = (batch, length, heads, depth)
        cut = self.tape.add(
            ops.SLICE, dims, [split], kind=split.kind, slice_start=start, slice_stride=[1] * 4, slice_limit=limit
        )
        return self.tape.add(ops.TRANSPOSE, shape, [cut], kind=cut.kind, dimensions=_HEADS_FIRST)

    def _attend(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return how much each position looks at each: a softmax of products."""
        tape, kind = self.tape, queries.kind
        dims = (*queries.dims[:3], self.length)
        products = tape.add(schema.DOT, dims, [queries, keys], kind=kind)
        raised = tape.same(ops.EXPONENTIAL, products)
        total = tape.reduce(raised, [0, 1, 2])
        spread = tape.add(ops.BROADCAST, dims, [total], kind=kind, dimensions=[0, 1, 2])
        return tape.add(ops.DIVIDE, dims, [raised, spread], kind=kind)
