"""Accelerators: an array of PEs, its bandwidths, and the dataflows that it can run."""

from dataclasses import dataclass

from gnnsched_env.common.checks import require_integer, require_name, require_power_of_two, require_unique
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware.dataflow import Dataflow

AS_MANY_AS_PES = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One device: `pes` processing elements, a multiplier each, and the bandwidths (words a cycle) in and out of them.

    All three are powers of two (SPEC section 1); the bandwidths default to one word for each PE. A distribution
    bandwidth above the PEs is refused here, a reduction bandwidth above them only where a dataflow reduces spatially.
    `reconfiguration_cycles` pass when a job runs under another dataflow than the job before it.
    """

    name: str
    pes: int
    distribution_bandwidth: int = AS_MANY_AS_PES
    reduction_bandwidth: int = AS_MANY_AS_PES
    dataflows: tuple[Dataflow, ...]
    reconfiguration_cycles: int = 0

    def __post_init__(self) -> None:
        require_name("accelerator", self.name)
        label = f"accelerator {self.name!r}"
        require_power_of_two(label, "pes", require_integer(self, label, "pes", minimum=1))
        for field in ("distribution_bandwidth", "reduction_bandwidth"):
            if getattr(self, field) == AS_MANY_AS_PES:
                object.__setattr__(self, field, self.pes)
            require_power_of_two(label, field, require_integer(self, label, field, minimum=1))
        if self.distribution_bandwidth > self.pes:
            raise ConfigError(
                f"{label}: distribution_bandwidth must be at most pes, got {self.distribution_bandwidth} > {self.pes}"
            )
        require_integer(self, label, "reconfiguration_cycles", minimum=0)
        object.__setattr__(self, "dataflows", tuple(self.dataflows))
        if not self.dataflows:
            raise ConfigError(f"{label}: dataflows must not be empty")
        require_unique(label, "dataflow", (dataflow.name for dataflow in self.dataflows))

    def to_dict(self) -> dict[str, object]:
        """Return all that defines the accelerator, for hashing and printing."""
        return {
            "name": self.name,
            "pes": self.pes,
            "distribution_bandwidth": self.distribution_bandwidth,
            "reduction_bandwidth": self.reduction_bandwidth,
            "dataflows": [dataflow.to_dict() for dataflow in self.dataflows],
            "reconfiguration_cycles": self.reconfiguration_cycles,
        }
