"""What command lines share: parsing, one line for a known error, arguments as JSON has them."""

import codecs
import contextlib
import io
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from gnnsched_cli.interrupts import INTERRUPTED, TOLD, is_interrupt, repeated
from gnnsched_env.common.errors import ConfigError, GnnSchedError

if TYPE_CHECKING:
    from rich.table import Table

Arguments = TypeVar("Arguments")
_FILE, _FOLDER = "a file that is written", "a folder that is written to"
OutFile = Annotated[Path, _FILE]
"""Type of an option that names a file to write; `parse` refuses one that cannot be written."""
OutFolder = Annotated[Path, _FOLDER]
"""Type of an option that names a folder to write to; `parse` refuses one that cannot be written to."""

BAD_INPUT = 2
ANSI = re.compile(r"\x1b\[[0-9;]*m")
RULE = re.compile(r"[-─]+")
NO_OPTION = re.compile(r"^__tyro[^:]*: ")  # where several options together are refused, tyro names a field of its own
REGISTRY = ConstructorRegistry()
NONE = "None"
INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
NUMBER = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
INFINITE = ("inf", "+inf", "-inf")
MOST_DIGITS = 60  # of a number that a message shows
PLAIN_LETTERS = "gnnsched_ascii"
LETTERS = {
    **dict.fromkeys("─━═╌┄┈╴╶", "-"),
    **dict.fromkeys("│┃║┆╎", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯╞╡╪╒╕╘╛┏┓┗┛┡┩╇┳┻╋", "+"),
    **dict.fromkeys("█▇▆▅▄▃▂▁▉▊▋▌▍▎▏▓▒░●•", "#"),
    **{"·": ".", "…": "...", "\u2013": "-", "—": "-", "\u00d7": "x", "±": "+-", "≤": "<=", "≥": ">=", "≈": "~"},
    **{"→": "->", "\u00a0": " ", "\u2019": "'", "“": '"', "”": '"', "µ": "u", "μ": "u"},
}
INDENT = 4  # of the names of options in tyro's boxes


def run_command(
    prog: str,
    kind: type[Arguments],
    run: Callable[[Arguments], int | None],
    description: str | None,
    words: Sequence[str] | None = None,
    *,
    stopped: str = TOLD,
) -> int:
    """Parse a command line (that of the process by default) as `kind` and run it; return the exit status."""
    given = sys.argv[1:] if words is None else words
    return finish(lambda: run(parse(kind, prog, description, given)), stopped=stopped)


def parse(kind: Any, prog: str, description: str | None, words: Sequence[str]) -> Any:
    """Return the command line as `kind`; raise ConfigError, in one line, where it does not fit.

    So it is where a file or folder to write (OutFile, OutFolder) cannot be written, is named twice, or is also read.
    Help is printed, and then SystemExit raised, as tyro does.
    """
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            given = tyro.cli(
                kind,
                prog=prog,
                description=description,
                args=list(words),
                config=(tyro.conf.EnumChoicesFromValues,),
                registry=REGISTRY,
            )
    except SystemExit as end:
        if not end.code:
            raise
        raise ConfigError(one_line(told.getvalue())) from None
    sys.stderr.write(told.getvalue())
    check_outputs(given)
    return given


@REGISTRY.primitive_rule
def _read_number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Read an integer or a number as people write it: Python would also take "1_0", "nan" and digits of other scripts.

    Integers fit 64 bits, signed or not; what is too large for a float is no infinity, which is written "inf".
    """
    kind: Any = info.type
    if kind not in (int, float):
        return None

    def read(words: list[str]) -> Any:
        word = words[0]
        given = repr(word if len(word) <= MOST_DIGITS else f"{word[:MOST_DIGITS]}...")
        if kind is int:
            if INTEGER.fullmatch(word) and -(2**63) <= int(word) < 2**64:
                return int(word)
            raise ValueError(f"must be an integer of at most 64 bits, got {given}")
        if word in INFINITE or (NUMBER.fullmatch(word) and math.isfinite(float(word))):
            return float(word)
        raise ValueError(f"must be a number that a float holds, got {given}")

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, (int, kind)) and not isinstance(value, bool),
        str_from_instance=lambda value: [str(value)],
    )


@REGISTRY.primitive_rule
def _read_optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Read an optional value as tyro reads the value itself, and the word None as None.

    tyro's own rule shows "{None}|INT" in help, and tells of each alternative where a value is bad.
    """
    inner = [kind for kind in get_args(info.type) if kind is not type(None)]
    if get_origin(info.type) not in (Union, UnionType) or len(inner) != 1 or len(get_args(info.type)) != 2:
        return None
    plain = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(inner[0], info.markers))
    if not isinstance(plain, PrimitiveConstructorSpec):
        return None
    return replace(
        plain,
        instance_from_str=lambda words: None if words == [NONE] else plain.instance_from_str(words),
        is_instance=lambda value: True if value is None else plain.is_instance(value),
        str_from_instance=lambda value: [NONE] if value is None else plain.str_from_instance(value),
        choices=None if plain.choices is None else (*plain.choices, NONE),
    )


def print_anything() -> None:
    """Let stdout and stderr show what their encoding lacks as ASCII, where they are not UTF-8."""
    codecs.register_error(PLAIN_LETTERS, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN_LETTERS)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(LETTERS.get(letter, "?") for letter in lacking), error.end


def finish(run: Callable[[], int | None], *, stopped: str = TOLD) -> int:
    """Run and return the exit status: what `run` returns (0 for None), or 2 for a known error, told in one line.

    It is 130 where the user interrupts it, who is told what `stopped` says.
    """
    print_anything()
    try:
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.append(here)  # where policies of the user's own are (module:Class), as `python -m` has it
        with repeated():
            status = run() or 0
            if sys.stdout is not None:  # None where the caller has closed it
                sys.stdout.flush()
    except BaseException as error:
        if is_interrupt(error):
            print(stopped, file=sys.stderr)
            return INTERRUPTED
        if isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError):
            return 0  # rich has made stdout quiet
        if not isinstance(error, GnnSchedError | OSError):
            raise
        told = str(error)
        if isinstance(error, OSError) and error.strerror:
            if error.filename is None:  # what is printed
                _print_no_more()
                if isinstance(error, BrokenPipeError):  # the reader has seen enough
                    return 0
            told = f"{'output' if error.filename is None else error.filename}: {error.strerror}"
        print(f"error: {' '.join(told.split())}", file=sys.stderr)
        return BAD_INPUT
    return status


def _print_no_more() -> None:
    """Send what stdout still holds nowhere, or it would be tried again, and fail again, when the process ends."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(box: str) -> str:
    """Return in one line what tyro tells of bad input in a box of several parts."""
    parts: list[list[str]] = [[]]
    for line in ANSI.sub("", box).splitlines()[1:-1]:  # without the frame's upper and lower edge
        if RULE.fullmatch(text := line[2:].removesuffix("│").rstrip()):  # tyro draws no sides where it is not UTF-8
            parts.append([])
        elif text:
            parts[-1].append(text)
    return "; ".join(filter(None, map(_told, parts)))


def _told(part: list[str]) -> str:
    """Return one part of tyro's box in one line: of options that it describes, the names alone."""
    head = part[0] if part else ""
    if head.startswith(("Argument helptext", "For full helptext", "Available subcommands")):
        return ""
    if head.startswith(("Missing from", "Perhaps you meant", "Similar")):
        names = [line.strip() for line in part[1:] if len(line) - len(line.lstrip()) == INDENT]
        return f"{head[0].lower()}{head[1:]} {', '.join(names)}"
    return NO_OPTION.sub("", " ".join(line.strip() for line in part).removeprefix("Error parsing "))


def outputs_of(kind: type) -> dict[str, str]:
    """Return the fields of parsed arguments that name what is written, each with the word OutFile or OutFolder has."""
    hints = get_type_hints(kind, include_extras=True)
    found = {name: [word for word in (_FILE, _FOLDER) if word in _notes(hint)] for name, hint in hints.items()}
    return {name: words[0] for name, words in found.items() if words}


def check_outputs(given: object) -> None:
    """Raise ConfigError where a file or folder that is to be written cannot be, or a file has two uses."""
    outputs = outputs_of(type(given))
    hints = get_type_hints(type(given), include_extras=True)
    names = {
        name: name if tyro.conf.Positional in _notes(hints[name]) else f"--{name.replace('_', '-')}" for name in hints
    }
    files = {names[name]: getattr(given, name) for name, word in outputs.items() if word == _FILE}
    for option, path in files.items():
        check_file(option, path)
    check_distinct(files)
    for name in hints.keys() - outputs.keys():
        value = getattr(given, name)
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path):
                for option, written in files.items():
                    check_distinct({names[name]: path, option: written})
    for name, word in outputs.items():
        if word == _FOLDER and getattr(given, name) is not None:
            check_folder(names[name], getattr(given, name))


def _notes(hint: Any) -> tuple[Any, ...]:
    """Return what an annotation, or a part of it, is annotated with."""
    own = getattr(hint, "__metadata__", ())
    return (*own, *(note for part in get_args(hint) for note in _notes(part)))


def check_file(option: str, path: Path | None) -> None:
    """Raise ConfigError for a file that cannot be written, before any work is done."""
    if path is None:
        return
    try:
        path.exists()
    except OSError as error:  # a name that is too long, for example
        raise ConfigError(f"{option}: cannot be written: {error.strerror}: {path}") from None
    if path.is_dir():
        raise ConfigError(f"{option}: must be a file, but {path} is a folder")
    if path.exists() and not path.is_file():
        raise ConfigError(f"{option}: must be a regular file, but {path} is a device or a pipe")
    _check_place(option, path.parent, "be in")


def check_distinct(files: Mapping[str, Path | None]) -> None:
    """Raise ConfigError where two options, by name, write the same file."""
    seen: dict[Path, str] = {}
    for option, path in files.items():
        if path is not None and (other := seen.setdefault(path.resolve(), option)) != option:
            raise ConfigError(f"{option}: must be another file than that of {other}, got {path} for both")


def check_folder(option: str, path: Path) -> None:
    """Raise ConfigError for a folder that cannot be made or written to, before any work is done."""
    _check_place(option, path, "be" if path.is_file() else "be in")


def counted(number: int, thing: str) -> str:
    """Return how many of a thing there are, in words."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def print_table(table: "Table", leave_out: Sequence[str] = (), *, wide: bool = False) -> set[str]:
    """Print a table whole; on a terminal that is too narrow, without some columns, whose headings are returned.

    They are left out in the order of `leave_out` until the table fits; none are with `wide`, or where the output is a
    file or a pipe. Nothing is cut or wrapped.
    """
    from rich.console import Console

    from gnnsched_env.report.table_width import fit_columns, table_width

    console = Console()
    left_out = () if wide or not console.is_terminal else fit_columns(table, console.width, leave_out)
    console.width = max(console.width, table_width(table))
    console.print(table)
    return set(left_out)


def print_text(text: str) -> None:
    """Print lines of text: as they are, or filled anew, as one paragraph, where the terminal is too narrow."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if console.is_terminal and max(map(len, text.splitlines())) > console.width:
        console.print(" ".join(text.split()))
    else:
        print(text)


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
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:  # read-only, of somebody else, or of a kind that holds no files, as /proc
        raise ConfigError(
            f"{option}: must be in a folder that can be written to, but {there} cannot: {error.strerror}"
        ) from None
