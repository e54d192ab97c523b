"""A GPU: torch's gather-scatter, sparse CSR and dense products, each from CSR arrays that already lie on the device."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gnnsched_env.common.errors import ConfigError, needs_extra
from gnnsched_env.live.devices.layer_ways import Matrix
from gnnsched_env.live.devices.live_device import DeviceJobs
from gnnsched_env.live.devices.stack import check_dense, stacks

Tensor = Any


class CudaDevice:
    """Runs jobs on a GPU that torch names (`cuda`, or `cpu` to try the code without one)."""

    def __init__(self, device: str = "cuda") -> None:
        self._name = device
        self._jobs: list[tuple[Tensor, list[dict[str, Any]]]] = []

    def choices(self) -> Sequence[str]:
        """Return the names of the ways."""
        return tuple(_SUMS)

    def load(self, jobs: DeviceJobs) -> None:
        """Draw the operands, the same as on a CPU, and move them to the device."""
        check_dense(jobs, jobs.choices, "cuda device")
        with needs_extra("cuda device", "live"):
            import torch

        if self._name.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError("cuda device: needs a GPU that torch can use, found none")
        self._jobs = []
        for stack in stacks(jobs):
            layers = []
            for layer, concatenates in zip(stack.inputs, stack.concatenates, strict=True):
                arrays = {"indptr": layer.indptr, "indices": layer.indices.astype(np.int64), "values": layer.values}
                held = {name: torch.from_numpy(np.array(array)).to(self._name) for name, array in arrays.items()}
                held["weights"] = torch.from_numpy(layer.weights).to(self._name)
                layers.append({**held, "concatenates": concatenates})
            self._jobs.append((torch.from_numpy(stack.features).to(self._name), layers))

    def run(self, job_class: int, choice: str) -> Matrix:
        """Return the job's output, float32 [V, G], once the device has finished."""
        import torch

        shown, layers = self._jobs[job_class]
        with torch.inference_mode():
            for place, layer in enumerate(layers):
                if place:
                    shown = shown.relu()
                total = _SUMS[choice](layer, shown)
                rows = torch.cat([total, shown], dim=1) if layer["concatenates"] else total
                shown = rows @ layer["weights"]
            result: Matrix = shown.cpu().numpy()  # waits for the device
            return result


def _gather_scatter(layer: Mapping[str, Tensor], features: Tensor) -> Tensor:
    import torch

    counts = layer["indptr"].diff()
    targets = torch.repeat_interleave(torch.arange(len(features), device=features.device), counts)
    messages = features.index_select(0, layer["indices"]).mul_(layer["values"][:, None])
    return torch.zeros_like(features).index_add_(0, targets, messages)


def _sparse_csr(layer: Mapping[str, Tensor], features: Tensor) -> Tensor:
    return _matrix(layer, len(features)) @ features


def _dense_gemm(layer: Mapping[str, Tensor], features: Tensor) -> Tensor:
    return _matrix(layer, len(features)).to_dense() @ features


def _matrix(layer: Mapping[str, Tensor], vertices: int) -> Tensor:
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch says that its sparse CSR is in beta
        return torch.sparse_csr_tensor(layer["indptr"], layer["indices"], layer["values"], (vertices, vertices))


_SUMS: Mapping[str, Callable[[Mapping[str, Tensor], Tensor], Tensor]] = {
    "gather_scatter": _gather_scatter,
    "sparse_csr": _sparse_csr,
    "dense_gemm": _dense_gemm,
}
