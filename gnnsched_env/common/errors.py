"""Everything that this package raises on purpose: `GnnSchedError` and its children, and warnings of what will go."""

import difflib
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium.error

DEPRECATED_MINOR_VERSIONS = 2
"""Minor versions that keep what an earlier one deprecated."""


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


class PoliciesFailed(GnnSchedError):
    """Some of several policies failed, and the others were played to the end.

    `failed`: each one's error, by the policy's name. `records`: what was found of the others, as without failures.
    """

    def __init__(self, failed: Mapping[str, GnnSchedError], records: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(failed, records)  # both, so that the error survives a way between processes
        self.failed = dict(failed)
        self.records = list(records)

    def __str__(self) -> str:
        told = [(name, str(error)) for name, error in self.failed.items()]
        return "; ".join(error if name in error else f"{name}: {error}" for name, error in told)


def did_you_mean(value: object, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the known name closest to a mistyped one, or "" if none is close."""
    close = difflib.get_close_matches(str(value), [str(one) for one in known], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def raised(error: BaseException) -> str:
    """Return an error's type, message and the line that raised it, in words for the message of another one."""
    frames = traceback.extract_tb(error.__traceback__)
    known = frames and not isinstance(error, SyntaxError)  # which tells its own place
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if known else ""
    return f"{type(error).__name__}: {error}{where}"


def reason(error: BaseException) -> str:
    """Return an error's message; that of a KeyError, the bare key, in words; that of an OSError without its number."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


@contextmanager
def own_code(what: str, kind: type[GnnSchedError] = ConfigError) -> Iterator[None]:
    """Raise `kind`, telling `what` and the line, for whatever a user's own code raises in the block; sys.exit too."""
    try:
        yield
    except GnnSchedError:
        raise
    except (Exception, SystemExit) as error:
        raise kind(f"{what} raised {raised(error)}") from error


def warn_deprecated(what: str, instead: str, *, since: str) -> None:
    """Warn the caller's caller (DeprecationWarning) that `what` is deprecated, and name what to use `instead`.

    `since` is the version that deprecates it, "0.3.0"; the message names the one that may remove it, two minor versions
    later. To be called first in what is deprecated, or where a deprecated option is read.
    """
    major, minor, *_ = since.split(".")
    gone = f"{major}.{int(minor) + DEPRECATED_MINOR_VERSIONS}.0"
    message = f"{what} is deprecated since version {since} and may be removed in {gone}: use {instead}"
    warnings.warn(message, DeprecationWarning, stacklevel=3)


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
