"""What command lines share: parsing, one line for a known error, arguments as JSON has them."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import tyro
from rich.console import Console

from gnnsched_env.errors import ConfigError, GnnSchedError

Arguments = TypeVar("Arguments")


def run_command(
    module: str,
    kind: type[Arguments],
    run: Callable[[Arguments], int | None],
    description: str | None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse the command line (or `arguments`) as `kind` and run it; return the exit status.

    It is 2 for a known error, said in one line; else what `run` returns, 0 for None.
    """
    given = tyro.cli(kind, prog=f"python -m {module}", description=description, args=arguments)
    try:
        status = run(given)
    except (GnnSchedError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return status or 0


def check_file(option: str, path: Path | None) -> None:
    """Refuse what no file can be written to (a folder, a folder that cannot be there), before any work is done."""
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f"{option}: must be a file, but {path} is a folder")
    there = next((parent for parent in path.parents if parent.exists()), Path())
    if not there.is_dir():
        raise ConfigError(f"{option}: must be in a folder, but {there} is a file")
    if not os.access(there, os.W_OK):
        raise ConfigError(f"{option}: must be in a folder that can be written to, but {there} cannot")


def wide_console(width: int) -> Console:
    """Return a console of at least this width: a narrow terminal wraps lines, but loses no figure."""
    return Console(width=max(width, Console().width))


def plain(arguments: object) -> dict[str, object]:
    """Return parsed arguments as JSON has them."""
    return {name: _text(value) for name, value in vars(arguments).items()}


def _text(value: object) -> object:
    if isinstance(value, tuple):
        return [_text(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value
