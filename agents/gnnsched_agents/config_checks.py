"""Refuses bad values of configs."""

from typing import Any

from gnnsched_env.common.errors import ConfigError


def require(what: str, name: str, value: Any, rule: str, kept: bool) -> None:
    """Raise ConfigError, naming the field, the rule and the value, where a rule is not kept."""
    if not kept:
        raise ConfigError(f"{what}: {name} must be {rule}, got {value!r}")
