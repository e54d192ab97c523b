"""Everything that this package raises on purpose: `GnnSchedError` and its children."""

import difflib
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gymnasium.error


class GnnSchedError(Exception):
    """The root of every error that the package raises on purpose."""


class ConfigError(GnnSchedError, ValueError):
    """A configuration value (hardware, scenario, load, policy name) breaks a rule."""


class UnknownOption(ConfigError, TypeError):
    """An option or key that does not exist; a TypeError too, which is what Python raises for unknown keywords."""


class GraphError(GnnSchedError, ValueError):
    """A graph or a set of graphs is malformed."""


class NoSuchGraph(GraphError, IndexError):
    """A set has no graph of a number; an IndexError too, which is what Python raises for such an index."""


class FileFormatError(GnnSchedError, ValueError):
    """A file is unreadable, truncated, of another format, or of another version."""


class TableError(GnnSchedError, ValueError):
    """A latency table is malformed (shape, NaN, zero or negative latency, ...)."""


class InvalidAction(GnnSchedError, ValueError):
    """An action is outside the action space."""


class ResetNeeded(GnnSchedError, gymnasium.error.ResetNeeded):
    """`step` or `render` was called before `reset`, or after the end of an episode."""


def did_you_mean(value: object, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the known name closest to a mistyped one, or "" if none is close."""
    close = difflib.get_close_matches(str(value), [str(one) for one in known], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def raised(error: BaseException) -> str:
    """Return an error's type, message and the line that raised it, in words for the message of another one."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


@contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
    """Raise ConfigError, naming `what` and the extra to install, if an import in the block finds no module."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("gnnsched"):
            raise  # the missing module is the project's own
        raise ConfigError(
            f"{what}: needs the extra `{extra}` (pip install 'gnnsched-env[{extra}]'): {error.name} is not installed"
        ) from None
