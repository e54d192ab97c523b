"""Training programs of made-up convolutional networks."""

from typing import Any, Final

import numpy as np

from gnnsched_env.forecast.standin import tape as ops
from gnnsched_env.forecast.standin import tensor_operations as layers
from gnnsched_env.forecast.standin.network_layers import Network
from gnnsched_env.forecast.standin.tape import Tensor
from gnnsched_env.forecast.standin.training_step import Step

FEWEST_NODES: Final = 372
_NODES_PER_CONVOLUTION: Final = 100
_MOST_CONVOLUTIONS: Final = 100
_LARGEST_IMAGE: Final = 4  # height and width that dense layers are given


def program(rng: np.random.Generator, nodes: int, *, isolated: bool = False, rare: bool = False) -> Step:
    """Return a training step of a convolutional network, `nodes` operations (372 or more) in all."""
    kind = str(rng.choice(["f32", "bf16"], p=[0.7, 0.3]))
    step = Step(rng=rng, nodes=nodes, kind=kind, isolated=isolated, rare=rare)
    network = _Images(step)
    depth = min(_MOST_CONVOLUTIONS, max(5, nodes // _NODES_PER_CONVOLUTION))
    network.run(depth, dense=3 if nodes < 2 * FEWEST_NODES else 2)
    step.finish(network.gradients)
    return step


class _Images(Network):
    """A convolutional network: three stages, each of half the height and width."""

    def run(self, depth: int, *, dense: int) -> None:
        """Write down forward and backward of `depth` convolutions and `dense` dense layers."""
        rng = self.rng
        batch, side = int(rng.choice([32, 64, 128])), int(rng.choice([32, 48, 56, 64, 96]))
        channels = int(rng.choice([32, 48, 64]))
        image = self._augment((batch, side, side, 3))
        for layer in range(depth):
            if layer in (depth // 3, 2 * depth // 3):
                image, channels = self._pool(image, 2), 2 * channels
            width = channels if layer % 2 else int(channels * rng.choice([0.5, 1, 1.5]))
            image = self._layer(image, width, layer)
        image = self._pool(image, max(1, image.dims[1] // _LARGEST_IMAGE))
        batch, height, width, channels = image.dims
        rows = self.reshape(image, (batch, height * width * channels))
        for _ in range(dense - 1):
            rows = self.rectify(self.shift(self.dense(rows, int(rng.choice([512, 1024, 2048])))))
        self.backward(self.loss(self.shift(self.dense(rows, 1000))))

    def _augment(self, dims: tuple[int, int, int, int]) -> Tensor:
        """Read images, shift and mirror them."""
        tape, kind = self.tape, self.step.kind
        batch, side = dims[0], dims[1]
        image = self.step.read(dims, kind)
        margin = [0, 2, 2, 0]
        wide = (batch, side + 4, side + 4, 3)
        zero = tape.add(ops.CONSTANT, kind=kind)
        padded = tape.add(ops.PAD, wide, [image, zero], kind=kind, padding_low=margin, padding_high=margin)
        place = self.step.read((), "s32")
        moved = tape.add(ops.DYNAMIC_SLICE, dims, [padded, place], kind=kind, dynamic_sizes=dims)
        return tape.add(
            ops.SLICE, dims, [moved], kind=kind, slice_start=[0] * 4, slice_stride=[1] * 4, slice_limit=dims
        )

    def _layer(self, image: Tensor, channels: int, layer: int) -> Tensor:
        """Add a convolution and what follows it: bias or scale, sometimes groups or a way around; all short."""
        first = layer == 0
        channels = max(8, channels // 8 * 8)
        around = not first and image.dims[3] == channels
        skip = self.branch(image) if around else None
        result = self._convolve(image, channels, first=first)
        if skip is not None:
            result = self.join(result, skip)
        elif layer % 8 == 5:
            batch, height, width, _ = result.dims
            grouped = self.reshape(result, (batch, height, width, 8, channels // 8))
            result = self.shift(self.reshape(self.scale(grouped), result.dims))
        elif self.rng.random() < 0.3:
            return self.shift(self.scale(result))
        else:
            result = self.shift(result)
        return self.rectify(result)

    def _convolve(self, image: Tensor, channels: int, *, first: bool) -> Tensor:
        size, stride = int(self.rng.choice([1, 3, 3, 5])), 1
        if first:
            size, stride = 7, int(self.rng.choice([1, 2]))
        kernel = self.step.weight((size, size, image.dims[3], channels))
        result = layers.convolve(self.tape, image, kernel, stride)

        def undo(gradient: Tensor) -> Tensor:
            self.gradients.append(layers.kernel_gradient(self.tape, image, gradient, kernel.dims, stride))
            return gradient if first else layers.convolve_back(self.tape, gradient, kernel)

        self.undos.append(undo)
        return result

    def _pool(self, image: Tensor, size: int) -> Tensor:
        """Add a maximum over windows that do not overlap."""
        tape, (batch, height, width, channels), kind = self.tape, image.dims, image.kind
        if size == 1:
            return image
        window = (1, size, size, 1)
        ones, zeros = (1,) * 4, (0,) * 4
        notes: dict[str, Any] = {"window_size": window, "window_stride": window, "window_low": zeros}
        notes |= {"window_high": zeros, "window_dilation": ones, "base_dilation": ones, "reversal": zeros}
        called, start = tape.computation(ops.MAXIMUM, kind), tape.add(ops.CONSTANT, kind=kind)
        dims = (batch, -(-height // size), -(-width // size), channels)
        result = tape.add(ops.REDUCE_WINDOW, dims, [called, start, image], kind=kind, **notes)

        def undo(gradient: Tensor) -> Tensor:
            best, sums = tape.computation(ops.COMPARE, kind), tape.computation(ops.ADD, kind)
            operands = [best, sums, start, image, gradient]
            return tape.add(ops.SELECT_AND_SCATTER, image.dims, operands, kind=kind, **notes)

        self.undos.append(undo)
        return result
