"""Trainings from TOML files: a named training as `base`, and the options that differ from it."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from gnnsched_agents.training_config import TrainConfig, config_names, named_config
from gnnsched_env.common.checks import check_known
from gnnsched_env.common.errors import ConfigError, did_you_mean
from gnnsched_env.common.files import read_toml

BASE = "base"  # the key that names the training to start from
SUFFIX = ".toml"
PATHS = (("workloads", "scenario"), ("workloads", "also"), ("method", "weights"))  # keys that may hold paths
SCALARS: dict[Any, tuple[type, ...]] = {bool: (bool,), int: (int,), float: (int, float), str: (str,), Path: (str,)}


def load_config(name: str) -> TrainConfig:
    """Return the training with a given name, or the one that a .toml file describes."""
    return read_config(Path(name)) if name.endswith(SUFFIX) else named_config(name)


def read_config(path: Path) -> TrainConfig:
    """Return the training that a file describes; it is named after the file unless the file names it.

    Relative paths in it (a scenario's or a fleet's file, a file of weights) start from its folder. Raise
    FileFormatError if it is no TOML, and ConfigError, naming the key, if a key is unknown or its value invalid.
    """
    given = read_toml(path)
    base = given.pop(BASE, None)
    if base not in (known := config_names()):
        rule = f"must name the config to start from, one of {', '.join(known)}"
        raise ConfigError(f"{path}: {BASE} {rule}, got {base!r}{did_you_mean(base, known)}")
    for section, key in PATHS:
        table: Any = given.get(section)
        if isinstance(table, dict) and key in table:
            table[key] = _from_folder(path.parent, table[key])
    config: TrainConfig = override(str(path), replace(named_config(base), name=path.stem), given, extra=(BASE,))
    return config


def _from_folder(folder: Path, value: Any) -> Any:
    """Return a value, or each entry of a list, as a path from the folder if it is one with a suffix."""
    if isinstance(value, list):
        return [_from_folder(folder, entry) for entry in value]
    return str(folder / value) if isinstance(value, str) and Path(value).suffix else value


def override(where: str, config: Any, given: Mapping[str, Any], *, extra: tuple[str, ...] = ()) -> Any:
    """Return a config dataclass with some fields replaced by TOML or JSON values.

    A field that is itself a config takes a table. Raise ConfigError, naming the field, if there is none of that name
    (the closest of the fields and `extra` is suggested) or if its value has the wrong type.
    """
    check_known(where, given, (*(entry.name for entry in fields(config)), *extra))
    hints = get_type_hints(type(config))
    changed = {}
    for name, value in given.items():
        present = getattr(config, name)
        if is_dataclass(present):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: {name} must be a table, got {value!r}")
            changed[name] = override(f"{where}: {name}", present, value)
        else:
            changed[name] = converted(f"{where}: {name}", value, hints[name])
    return replace(config, **changed)


def converted(where: str, value: Any, hint: Any) -> Any:
    """Convert a TOML value to a field's type; raise ConfigError if it has another type."""
    origin, options = get_origin(hint), get_args(hint)
    if origin is UnionType or origin is Union:
        kinds = [option for option in options if option is not NoneType]
        return _first_fit(where, value, kinds, hint)
    if origin is Literal and value in options:
        return value
    if origin is tuple and isinstance(value, list):
        kinds = [options[0]] * len(value) if options[-1] is Ellipsis else list(options)
        if len(kinds) == len(value):
            return tuple(converted(where, entry, kind) for entry, kind in zip(value, kinds, strict=True))
    if hint in SCALARS and isinstance(value, SCALARS[hint]) and isinstance(value, bool) == (hint is bool):
        return hint(value)
    raise ConfigError(f"{where} must be {_words(hint)}, got {value!r}")


def _first_fit(where: str, value: Any, kinds: list[Any], hint: Any) -> Any:
    for kind in kinds:
        try:
            return converted(where, value, kind)
        except ConfigError:
            continue
    raise ConfigError(f"{where} must be {_words(hint)}, got {value!r}")


def _words(hint: Any) -> str:
    """Return a type in words."""
    origin, options = get_origin(hint), get_args(hint)
    if origin is UnionType or origin is Union:
        return " or ".join(_words(option) for option in options if option is not NoneType)
    if origin is Literal:
        return f"one of {', '.join(map(str, options))}"
    if origin is tuple:
        kind = _words(options[0]).removeprefix("an ").removeprefix("a ")
        return f"a list of {kind}s" if options[-1] is Ellipsis else f"a list of {len(options)} numbers"
    words = {bool: "true or false", int: "an integer", float: "a number", str: "text", Path: "a path"}
    return words.get(hint, str(hint))
