"""The conditions that several command lines can change: arrivals, failures, prediction errors, what is charged."""

from dataclasses import dataclass
from typing import Any, Literal

from gnnsched_env.common.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Options of a command line that change a scenario's conditions; what is None stays the scenario's."""

    arrivals: Literal["poisson", "bursty", "diurnal"] | None = None
    """The process by which jobs arrive (the scenario's by default)."""
    drift: float | None = None
    """How far the mix of jobs swings, 0 to 1 (the scenario's by default)."""
    failures: tuple[float, float] | None = None
    """Mean times until an accelerator fails and until it is repaired, in mean service times (0 5: none fails)."""
    prediction_error: tuple[float, ...] | None = None
    """Log-normal noise of predictions, and their bias (a factor) if another number follows."""
    reward: Literal["completion", "weighted", "tardiness", "energy"] | None = None
    """What alone is charged to agents (the scenario's by default); changes no heuristic."""

    def check_conditions(self) -> None:
        """Raise ConfigError naming the option where its numbers are too few or too many."""
        if self.prediction_error is not None and len(self.prediction_error) not in (1, 2):
            given = " ".join(f"{value:g}" for value in self.prediction_error) or "nothing"
            raise ConfigError(f"--prediction-error: needs NOISE, or NOISE and BIAS, got {given}")

    def changes(self) -> dict[str, Any]:
        """Return the sections that change, as `Scenario.with_options` takes them."""
        noise, bias = (*(self.prediction_error or ()), None, None)[:2]
        up, down = self.failures or (None, None)
        return {
            "arrivals": {"process": self.arrivals, "drift": self.drift},
            "failures": {"up": up, "down": down},
            "prediction_error": {"noise": noise, "bias": bias},
            "reward": self.reward,
        }
