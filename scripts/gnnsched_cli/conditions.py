"""Options of command lines that follow from what a scenario declares (`gnnsched_env.scenario.options`)."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, make_dataclass
from inspect import get_annotations
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import tyro

from gnnsched_env.common.checks import FilePath, OneOf, Rule, declared
from gnnsched_env.scenario.options import ShortForm
from gnnsched_env.scenario.scenario import SECTIONS

Arguments = TypeVar("Arguments")
FLAT = ("workload", "environment")  # sections whose options `Scenario.with_options` takes by their own names


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option that changes a field of a scenario's section, or gives the section in its short form (`field` None)."""

    section: str
    field: str | None = None
    kind: Any
    help: str


def _options() -> dict[str, Option]:
    """Return all options by the name that they have as an argument."""
    found = {}
    for section, kind in SECTIONS.items():
        hints = get_type_hints(kind)
        for name, rule in declared(kind).items():
            if rule.option:
                given = Option(section=section, field=name, kind=_kind(rule, hints[name]), help=rule.help)
                found[rule.option.replace("-", "_")] = given
        short: ShortForm | None = getattr(kind, "short_form", None)
        if short is not None and short.kind is not None:
            found[section] = Option(section=section, kind=short.kind, help=short.help)
    return found


def _kind(rule: Rule, hint: Any) -> Any:
    """Return the type that a command line reads."""
    if isinstance(rule, OneOf):
        return Literal[rule.choices]
    return Path if isinstance(rule, FilePath) else hint


OPTIONS = _options()


def with_options(only: Collection[str] = tuple(OPTIONS)) -> Callable[[type[Arguments]], type[Arguments]]:
    """Return a decorator that gives a dataclass of arguments the options named, but for those that it has itself.

    Each is None where the command line does not name it: then the scenario's own value stays.
    """

    def add(kind: type[Arguments]) -> type[Arguments]:
        own = get_annotations(kind)
        added = []
        for name, option in OPTIONS.items():
            if name in only and name not in own:
                help_text = f"{option.help.removesuffix('.')} (the scenario's by default)."
                added.append((name, Annotated[option.kind | None, tyro.conf.arg(help=help_text)], field(default=None)))
        namespace = {"__doc__": kind.__doc__, "added_options": tuple(name for name, *_ in added)}
        return make_dataclass(kind.__name__, added, bases=(kind,), namespace=namespace, frozen=True, kw_only=True)

    return add


def changes(arguments: Any) -> dict[str, Any]:
    """Return what the options that were added to arguments change, as `Scenario.with_options` takes it."""
    found: dict[str, Any] = {}
    for name in arguments.added_options:
        option, value = OPTIONS[name], getattr(arguments, name)
        if value is None:
            continue
        if option.field is None:
            fields = SECTIONS[option.section].short_form.read(value)
            found[option.section] = value if fields is None else {**fields, **found.get(option.section, {})}
        elif option.section in FLAT:
            found[option.field] = value
        else:
            found.setdefault(option.section, {})[option.field] = value
    return found
