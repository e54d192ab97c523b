"""Layers that every made-up network has, and how their gradients are run.

Activations run through at most two elementwise operations between one configurable operation and the next in most
places, so that what their layouts have to do with each other is at most three edges away.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gnnsched_env.forecast.standin import tape as ops
from gnnsched_env.forecast.standin import tensor_operations as layers
from gnnsched_env.forecast.standin.tape import Tensor
from gnnsched_env.forecast.standin.training_step import Step

Backward = Callable[[Tensor], Tensor]


@dataclass(eq=False)
class Skip:
    """A tensor that is added again later, and the gradient that comes back by that way."""

    tensor: Tensor
    gradient: Tensor | None = None


class Network:
    """Layers that note what their gradients need; run backwards at the end."""

    listed = True  # the loss is given as a list of one

    def __init__(self, step: Step) -> None:
        self.step, self.tape, self.rng = step, step.tape, step.rng
        self.gradients: list[Tensor] = []
        self.sum = self.tape.computation(ops.ADD, step.kind)
        self.undos: list[Backward] = []

    def backward(self, gradient: Tensor) -> None:
        """Run all layers' gradients, the last layer first."""
        for undo in reversed(self.undos):
            gradient = undo(gradient)

    def loss(self, logits: Tensor) -> Tensor:
        """Return the gradient of a softmax loss."""
        tape, (rows, columns), kind = self.tape, logits.dims, logits.kind
        highest = tape.reduce(logits, [0], ops.MAXIMUM)
        spread = tape.add(ops.BROADCAST, (rows, columns), [highest], kind=kind, dimensions=[0])
        raised = tape.same(ops.EXPONENTIAL, tape.same(ops.SUBTRACT, logits, spread))
        total = tape.add(ops.BROADCAST, (rows, columns), [tape.reduce(raised, [0])], kind=kind, dimensions=[0])
        labels = tape.add(ops.BROADCAST, (rows, columns), [self.step.read((rows,), "s32")], kind="s32", dimensions=[0])
        classes = tape.add(ops.IOTA, (rows, columns), kind="s32", dimensions=[1])
        hit = tape.same(ops.COMPARE, labels, classes, kind="pred")
        share = tape.same(ops.DIVIDE, raised, total)
        entropy = tape.reduce(tape.same(ops.LOG, tape.reduce(share, [0])))
        self.step.results.append(layers.reshape(tape, entropy, (1,)) if self.listed else entropy)
        return tape.same(ops.SUBTRACT, share, tape.same(ops.CONVERT, hit, kind=kind))

    def rectify(self, tensor: Tensor) -> Tensor:
        """Add max(x, 0)."""
        zero = self.tape.fill(None, tensor.dims, tensor.kind)
        result = self.tape.same(ops.MAXIMUM, zero, tensor)
        self.undos.append(lambda gradient: self._gate(result, zero, gradient))
        return result

    def dense(self, tensor: Tensor, width: int) -> Tensor:
        """Add a product with a weight."""
        rows, inputs = tensor.dims
        weight = self.step.weight((inputs, width))
        result = layers.matrix_product(self.tape, (rows, width), [tensor, weight])

        def undo(gradient: Tensor) -> Tensor:
            self.gradients.append(layers.matrix_product(self.tape, (inputs, width), [tensor, gradient]))
            return layers.matrix_product(self.tape, (rows, inputs), [gradient, weight])

        self.undos.append(undo)
        return result

    def shift(self, tensor: Tensor) -> Tensor:
        """Add a bias along the last dimension."""
        bias = self.tape.fill(self.step.weight(tensor.dims[-1:]), tensor.dims, tensor.kind)

        def undo(gradient: Tensor) -> Tensor:
            self.gradients.append(self.tape.reduce(gradient, [len(gradient.dims) - 1], called=self.sum))
            return gradient

        self.undos.append(undo)
        return self.tape.same(ops.ADD, bias, tensor)

    def scale(self, tensor: Tensor, factor: Tensor | None = None) -> Tensor:
        """Multiply by a weight along the last dimension, or by a factor that has no gradient."""
        if factor is None:
            factor = self.tape.fill(self.step.weight(tensor.dims[-1:]), tensor.dims, tensor.kind)
        self.undos.append(lambda gradient: self.tape.same(ops.MULTIPLY, factor, gradient))
        return self.tape.same(ops.MULTIPLY, factor, tensor)

    def reshape(self, tensor: Tensor, dims: tuple[int, ...]) -> Tensor:
        """Add a reshape; the gradient takes it back."""
        self.undos.append(lambda gradient: layers.reshape(self.tape, gradient, tensor.dims))
        return layers.reshape(self.tape, tensor, dims)

    def branch(self, tensor: Tensor) -> Skip:
        """Remember a tensor that `join` adds later; gradients of both ways are added."""
        skip = Skip(tensor)

        def undo(gradient: Tensor) -> Tensor:
            return gradient if skip.gradient is None else self.tape.same(ops.ADD, gradient, skip.gradient)

        self.undos.append(undo)
        return skip

    def join(self, tensor: Tensor, skip: Skip) -> Tensor:
        """Add what was remembered."""

        def undo(gradient: Tensor) -> Tensor:
            skip.gradient = gradient
            return gradient

        self.undos.append(undo)
        return self.tape.same(ops.ADD, skip.tensor, tensor)

    def _gate(self, result: Tensor, zero: Tensor, gradient: Tensor) -> Tensor:
        positive = self.tape.same(ops.COMPARE, zero, result, kind="pred")
        return self.tape.same(ops.SELECT, positive, zero, gradient)
