"""Accelerators: an array of PEs, its bandwidths, and the dataflows that it can run."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Self

from gnnsched_env.common.checks import Integer, ListOf, Parsed, Text, check_fields, checked_dict, require_unique
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware.dataflow import Dataflow

LONGEST_RECONFIGURATION = 1 << 40  # cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One device: `pes` processing elements, each with a multiplier, and the bandwidths into and out of them.

    Bandwidths are in words per cycle. All three are powers of two (SPEC section 1); the bandwidths default to one word
    for each PE. A distribution bandwidth above the PEs is refused here, a reduction bandwidth above them only where a
    dataflow reduces spatially. `reconfiguration_cycles` pass when a job runs under another dataflow than the job before
    it.
    """

    name: Annotated[str, Text(without="/")]
    pes: Annotated[int, Integer(1, power_of_two=True)]
    distribution_bandwidth: Annotated[int, Integer(1, power_of_two=True)] = None  # type: ignore[assignment]
    reduction_bandwidth: Annotated[int, Integer(1, power_of_two=True)] = None  # type: ignore[assignment]
    dataflows: tuple[Dataflow, ...]
    reconfiguration_cycles: Annotated[int, Integer(0, LONGEST_RECONFIGURATION)] = 0

    def __post_init__(self) -> None:
        label = f"accelerator {self.name!r}"
        for field in ("distribution_bandwidth", "reduction_bandwidth"):
            if getattr(self, field) is None:
                object.__setattr__(self, field, self.pes)
        check_fields(self, label)
        if self.distribution_bandwidth > self.pes:
            raise ConfigError(
                f"{label}: distribution_bandwidth must be at most pes, got {self.distribution_bandwidth} > {self.pes}"
            )
        object.__setattr__(self, "dataflows", tuple(self.dataflows))
        if not self.dataflows:
            raise ConfigError(f"{label}: dataflows must not be empty")
        require_unique(label, "dataflow", (dataflow.name for dataflow in self.dataflows))

    def to_dict(self) -> dict[str, object]:
        """Return everything that defines the accelerator, for hashing and printing."""
        return {
            "name": self.name,
            "pes": self.pes,
            "distribution_bandwidth": self.distribution_bandwidth,
            "reduction_bandwidth": self.reduction_bandwidth,
            "dataflows": [dataflow.to_dict() for dataflow in self.dataflows],
            "reconfiguration_cycles": self.reconfiguration_cycles,
        }

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the accelerator that `to_dict` described; raise ConfigError, naming the key, where it is bad."""
        given = checked_dict("accelerator", data, tuple(entry.name for entry in fields(cls)))
        described = ListOf(Parsed("a mapping", Dataflow.from_dict))
        return cls(**{**given, "dataflows": described.check("accelerator", "dataflows", given["dataflows"])})
