"""Checks shared by the frozen dataclasses of this room: each names the owner, the field, the rule and the value."""

from collections.abc import Iterable
from numbers import Integral

from gnnsched_env.common.errors import ConfigError


def require_integer(owner: object, label: str, field: str, *, minimum: int) -> int:
    """Check that `owner.field` is an integer of at least `minimum`; store it as a plain int and return it."""
    value = getattr(owner, field)
    if type(value) is int and value >= minimum:
        return value
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ConfigError(f"{label}: {field} must be an integer of at least {minimum}, got {value!r}")
    object.__setattr__(owner, field, int(value))
    return int(value)


def require_power_of_two(label: str, field: str, value: int) -> None:
    """Refuse a value that is not 1, 2, 4, ... (SPEC section 1: PEs, distribution ports and collection lines)."""
    if value < 1 or value & (value - 1):
        raise ConfigError(f"{label}: {field} must be a power of two, got {value}")


def require_name(kind: str, name: object) -> None:
    """Refuse a name that is not a non-empty string free of '/', which separates the two halves of a choice's name."""
    if not isinstance(name, str) or not name.strip() or "/" in name:
        raise ConfigError(f"{kind}: name must be a non-empty string without '/', got {name!r}")


def require_unique(label: str, kind: str, names: Iterable[str]) -> None:
    """Refuse a name that occurs twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"{label}: {kind} names must differ, got {name!r} twice")
        seen.add(name)
