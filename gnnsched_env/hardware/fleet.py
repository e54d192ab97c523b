"""Fleets: the accelerators that serve one stream of jobs, and the choices that they offer."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, ListOf, Number, Parsed, Text, check_fields, checked_dict, require_unique
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware.accelerator import Accelerator
from gnnsched_env.hardware.dataflow import Dataflow

DEFAULT_CLOCK_HZ = 1_000_000_000
MOST_CLOCK_HZ = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One (accelerator, dataflow) pair of a fleet; `accelerator_index` counts within the fleet."""

    accelerator_index: Annotated[int, Integer(0)]
    accelerator: Accelerator
    dataflow: Dataflow

    def __post_init__(self) -> None:
        check_fields(self, "choice")

    @property
    def name(self) -> str:
        """`accelerator/dataflow`, unique in the fleet."""
        return f"{self.accelerator.name}/{self.dataflow.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Accelerators that share one clock, which is used only to convert cycles to seconds in results.

    `choices` lists every pair accelerator by accelerator; `choice_accelerators` int64 [choices] is the accelerator of
    each, read-only.
    """

    name: Annotated[str, Text(without="/")]
    accelerators: tuple[Accelerator, ...]
    clock_hz: Annotated[int, Integer(1, MOST_CLOCK_HZ)] = DEFAULT_CLOCK_HZ
    choices: tuple[Choice, ...] = field(init=False, compare=False, repr=False)
    choice_accelerators: NDArray[np.int64] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        label = f"fleet {self.name!r}"
        check_fields(self, label)
        object.__setattr__(self, "accelerators", tuple(self.accelerators))
        if not self.accelerators:
            raise ConfigError(f"{label}: accelerators must not be empty")
        require_unique(label, "accelerator", (accelerator.name for accelerator in self.accelerators))
        choices = tuple(
            Choice(accelerator_index=i, accelerator=accelerator, dataflow=dataflow)
            for i, accelerator in enumerate(self.accelerators)
            for dataflow in accelerator.dataflows
        )
        owners = np.array([choice.accelerator_index for choice in choices], dtype=np.int64)
        owners.flags.writeable = False
        object.__setattr__(self, "choices", choices)
        object.__setattr__(self, "choice_accelerators", owners)

    def seconds(self, cycles: float) -> float:
        """Turn cycles into seconds."""
        return float(Number(finite=False).check("fleet", "cycles", cycles)) / self.clock_hz

    def to_dict(self) -> dict[str, object]:
        """Return everything that defines the fleet, for hashing and printing."""
        return {
            "name": self.name,
            "accelerators": [accelerator.to_dict() for accelerator in self.accelerators],
            "clock_hz": self.clock_hz,
        }

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the fleet that `to_dict` described; raise ConfigError, naming the key, where it is bad."""
        given = checked_dict("fleet", data, ("name", "accelerators", "clock_hz"))
        described = ListOf(Parsed("a mapping", Accelerator.from_dict))
        return cls(**{**given, "accelerators": described.check("fleet", "accelerators", given["accelerators"])})

    def digest(self) -> str:
        """Return a hash (SHA-256, hexadecimal) of `to_dict()`; equal fleets have equal digests in every process."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
