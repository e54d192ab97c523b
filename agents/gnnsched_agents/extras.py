"""What some agents need and a plain installation lacks: PyTorch and Stable-Baselines3, the extra `agents`."""

from collections.abc import Iterator
from contextlib import contextmanager

from gnnsched_env.common.errors import ConfigError


@contextmanager
def needs_agents_extra(what: str) -> Iterator[None]:
    """Import inside this what the extra brings: a library that is missing raises ConfigError, which names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("gnnsched"):
            raise
        raise ConfigError(
            f"{what}: needs the extra `agents`: pip install 'gnnsched-env[agents]' ({error.name} is not installed)"
        ) from None
