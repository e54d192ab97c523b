"""What a live device is: a class of three methods; and the kinds by name.

    class Mine:
        def choices(self): return ("fast", "slow")
        def load(self, jobs): self.jobs = jobs
        def run(self, job_class, choice): ...

A fleet's file names it as `kind = "module:Mine"`; its `options` are given to the constructor.
"""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError, did_you_mean, own_code
from gnnsched_env.graphs import Graph
from gnnsched_env.hardware import GnnModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceJobs:
    """The C classes of jobs that a device will be asked to run.

    `graphs`: each class's graph (a batch as one block-diagonal graph), `models`: its GNN. `choices`: the K choices that
    the fleet uses of the device. `latencies` int64 [C, K] nanoseconds, as profiled; None before they are.
    """

    names: tuple[str, ...]
    graphs: tuple[Graph, ...]
    models: tuple[GnnModel, ...]
    choices: tuple[str, ...]
    latencies: NDArray[np.int64] | None = None


class Device(Protocol):
    """Runs jobs, one at a time."""

    def choices(self) -> Sequence[str]:
        """Return the names of the ways in which the device can run a job."""
        ...

    def load(self, jobs: DeviceJobs) -> None:
        """Prepare for classes of jobs, before the first of them runs; raise ConfigError for one that it cannot run."""
        ...

    def run(self, job_class: int, choice: str) -> object:
        """Run a job to its end and return its result; an error that is raised is the job's."""
        ...


KINDS = {
    "cpu": "gnnsched_env.live.devices.cpu:CpuDevice",
    "cuda": "gnnsched_env.live.devices.cuda:CudaDevice",
    "sleep": "gnnsched_env.live.devices.sleep:SleepDevice",
}


def device_class(kind: str) -> type[Any]:
    """Return the class of a kind, by its name or as `module:Class`; raise ConfigError where there is none."""
    path = KINDS.get(kind, kind)
    if ":" not in path:
        known = ", ".join([*KINDS, "module:Class"])
        raise ConfigError(f"device: kind must be one of {known}, got {kind!r}{did_you_mean(kind, KINDS)}")
    module, _, name = path.partition(":")
    with own_code(f"device kind {kind!r}: importing it"):
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(f"device kind {kind!r}: must be module:Class of something importable ({error})") from None
    lacking = [method for method in ("choices", "load", "run") if not callable(getattr(found, method, None))]
    if not inspect.isclass(found) or lacking:
        raise ConfigError(f"device kind {kind!r}: must be a class with the methods choices, load and run")
    return found


def make_device(kind: str, options: Mapping[str, Any]) -> Device:
    """Return a device of a kind; raise ConfigError where there is no such kind, or the options do not fit."""
    made = device_class(kind)
    try:
        inspect.signature(made).bind(**options)
    except TypeError as error:
        raise ConfigError(f"device kind {kind!r}: cannot be made from options {dict(options)} ({error})") from None
    with own_code(f"device kind {kind!r}: making it"):
        device: Device = made(**options)
    return device
