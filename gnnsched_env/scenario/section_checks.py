"""What the sections of a scenario check of their fields."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

import numpy as np

from gnnsched_env.common.errors import ConfigError, did_you_mean

LEAST_WEIGHT = 1e-6  # of a job: sums of weights further apart than these lose the lighter ones
MOST_WEIGHT = 1e6
WEIGHTS = f"from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}"


def require_integer(where: str, name: str, value: Any, minimum: int, maximum: int | None = None) -> None:
    """Raise ConfigError unless a value is an integer of at least `minimum` and at most `maximum`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < minimum:
        raise ConfigError(f"{where}: {name} must be an integer of at least {minimum}, got {value!r}")
    if maximum is not None and int(value) > maximum:
        raise ConfigError(f"{where}: {name} must be at most {maximum:,}, got {value!r}")


def require_one_of(where: str, name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise ConfigError, with a guess at what was meant, unless a value is one of those allowed."""
    if value not in allowed:
        raise ConfigError(
            f"{where}: {name} must be one of {', '.join(allowed)}, got {value!r}{did_you_mean(value, allowed)}"
        )


def check_keys(where: str, given: Mapping[str, Any], kind: type) -> None:
    """Raise ConfigError where a key is no field of a dataclass."""
    check_known(where, given, tuple(entry.name for entry in fields(kind)))


def check_known(where: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raise ConfigError, with a guess at what was meant, where a key is not among those known."""
    for key in given:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}{did_you_mean(key, known)} (known: {', '.join(known)})")


def require_number(where: str, name: str, value: Any, low: float, high: float, *, above: bool = False) -> float:
    """Return a number as float; raise ConfigError unless low <= value <= high (low < value where `above`)."""
    good = not isinstance(value, bool) and isinstance(value, Real) and low <= float(value) <= high
    if not good or (above and float(value) == low):
        rule = f"above {low:g} and at most {high:g}" if above else f"from {low:g} to {high:g}"
        raise ConfigError(f"{where}: {name} must be a number {rule}, got {value!r}")
    return float(value)


def listed(value: Any) -> Any:
    """Return the entries of a sequence or a numpy array as a list; anything else, text too, as it is."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else value
