"""What command lines share: parsing, one line for a known error, arguments as JSON has them."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import tyro
from rich.console import Console

from gnnsched_env.common.errors import ConfigError, GnnSchedError

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
    """Refuse a file that cannot be written, before any work is done."""
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f"{option}: must be a file, but {path} is a folder")
    _check_place(option, path.parent, "be in")


def check_folder(option: str, path: Path) -> None:
    """Refuse a folder that cannot be made or written to, before any work is done."""
    _check_place(option, path, "be" if path.is_file() else "be in")


def counted(number: int, thing: str) -> str:
    """Return how many of a thing there are, in words."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


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


def _check_place(option: str, path: Path, where: str) -> None:
    there = next(place for place in (path, *path.parents, Path()) if place.exists())
    if not there.is_dir():
        raise ConfigError(f"{option}: must {where} a folder, but {there} is a file")
    if not os.access(there, os.W_OK):
        raise ConfigError(f"{option}: must be in a folder that can be written to, but {there} cannot")
