"""Policies by name: those that packages registered, and a user's own as `module:Class`.

`gnnsched_baselines` registers its heuristics and the trained policies (`agent:NAME`, `lookahead:NAME`) when it is
imported, `gnnsched_agents` the models of Stable-Baselines3 (`sb3:FILE.zip`). Register yours with `register_policy`, or
name it `module:Class` wherever a policy is asked for.
"""

import hashlib
import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gnnsched_env.common.checks import Text
from gnnsched_env.common.errors import ConfigError, did_you_mean, own_code
from gnnsched_env.common.policy import Knowledge, Policy
from gnnsched_env.envs import Layout
from gnnsched_env.evaluation.declarations import ENVIRONMENTS, checked_policy, environments_of
from gnnsched_env.evaluation.runs import PolicyFactory
from gnnsched_env.tables import LatencyTable

Kind = TypeVar("Kind", bound=type[Any])
# What a family finds of a name: the class, and the options that the name adds to those of the caller.
Found = tuple[type[Any], dict[str, Any]]

ALL = "all"
FILE_FORMS = ("file:", "sb3:", "agent:", "lookahead:")  # whose names may go on with a file's path
POLICIES: dict[str, type[Any]] = {}  # policies that decide from the observation alone, in microseconds
PLANNERS: dict[str, type[Any]] = {}  # need observe_belief(belief) before each decision, which takes milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Policies whose names begin with a prefix; what the name goes on with is given to `find`, which checks it."""

    prefix: str
    forms: tuple[str, ...]  # such as "agent:NAME"
    meaning: str  # one sentence
    knowledge: Knowledge
    environments: frozenset[str]
    find: Callable[[str], Found]
    shipped: tuple[str, ...] = ()  # the names, with their prefix, that come with a package


FAMILIES: dict[str, Family] = {}


def register_policy(kind: Kind) -> Kind:
    """Register a policy's class by its attribute `name`, and return it; a class decorator.

    The class has `knowledge`, `environments` (a frozenset of "queue" and "dispatch") and a method `act`; its
    constructor takes the layout. One with a method `observe_belief` is a planner. Raise ConfigError where it has no
    name, or another class has the same.
    """
    Text().check(f"policy {kind.__name__}", "name", getattr(kind, "name", None))
    group = PLANNERS if hasattr(kind, "observe_belief") else POLICIES
    if (POLICIES | PLANNERS).get(kind.name, kind) is not kind:
        raise ConfigError(f"policy {kind.name!r}: must be registered once, but another class has this name")
    group[kind.name] = kind
    return kind


def register_family(family: Family) -> None:
    """Register policies by the prefix of their names; again does no harm."""
    FAMILIES[family.prefix] = family


def make_policy(name: str, layout: Layout, *, table: LatencyTable | None = None, **options: Any) -> Policy:
    """Return the named policy for environments of a layout.

    `name` is a registered one ("sjf"); "agent:NAME", a shipped trained policy, or "agent:FILE.npz", one of your own
    ("lookahead:..." adds lookahead to it, and needs `observe_belief` calls); "sb3:FILE.zip"; or `module:Class`, whose
    constructor is called with the layout, or without arguments if it takes none. `table` goes to policies that have a
    parameter of that name, `options` to all. Raise ConfigError if the name is unknown, the policy does not support the
    environment or its way to wait (a class says `waiting` where it is not "free"), or the options do not fit; raise
    FileFormatError if weights are invalid.
    """
    kind, added = find_policy(name, dispatch=layout.dispatch)
    if layout.wait_by_choice and getattr(kind, "waiting", "free") != "by_choice":
        raise ConfigError(
            f"policy {name!r}: waits by an action of its own, which environments with waiting='by_choice' do not have; "
            "a policy that waits by naming a busy accelerator says so by an attribute waiting = 'by_choice'"
        )
    made = _construct(name, kind, layout, table, {**added, **options})
    return checked_policy(made, layout.num_choices, f"policy {name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPolicy:
    """Makes a named policy for a layout and a table, in any process: what registers policies here is imported there."""

    name: str
    dispatch: bool
    imports: tuple[str, ...] = field(default_factory=lambda: registering_modules())

    def __call__(self, layout: Layout, table: LatencyTable) -> Policy:
        """Return the policy."""
        for module in self.imports:
            importlib.import_module(module)
        return make_policy(self.name, layout, table=table)


def registering_modules() -> tuple[str, ...]:
    """Return the modules of all registered policies and families, but for that of a script which is run."""
    kinds = [*POLICIES.values(), *PLANNERS.values(), *(family.find for family in FAMILIES.values())]
    return tuple(sorted({kind.__module__ for kind in kinds} - {"__main__"}))


def policy_source(policy: str) -> str:
    """Return the SHA-256 of the file that a policy's name goes on with, "" if it names none."""
    prefix, _, rest = policy.partition(":")
    file = Path(rest)
    if f"{prefix}:" not in FILE_FORMS or not file.is_file():
        return ""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def source_of(name: str, factory: PolicyFactory) -> str:
    """Return a hash of a named policy's files: that of its class, and that which its name goes on with.

    What the class's file imports is not seen. Raise ConfigError for a policy that does not come from `policy_factory`.
    """
    if not isinstance(factory, NamedPolicy):
        raise ConfigError(f"policy {name!r}: results are kept of policies by name only, as policy_factory makes them")
    kind, _ = find_policy(factory.name, dispatch=factory.dispatch)
    file = inspect.getsourcefile(kind)
    own = "" if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return f"{kind.__qualname__} {own} {policy_source(factory.name)}"


def policy_factory(name: str, *, dispatch: bool) -> PolicyFactory:
    """Return the function that makes a named policy for a layout and a table.

    A bad name, and one of a policy that is not made for the environment, is refused at once, as by `make_policy`.
    """
    find_policy(name, dispatch=dispatch)
    return NamedPolicy(name=name, dispatch=dispatch)


def policy_factories(names: Iterable[str], *, dispatch: bool) -> dict[str, PolicyFactory]:
    """Return a factory per named policy; "all" stands for all registered for the environment.

    Left out of "all" are planners, which are slow, and those that skip predictions (`skip_below`), which are like
    another wherever predicting takes no time.
    """
    every = [
        key
        for key, kind in POLICIES.items()
        if ENVIRONMENTS[dispatch] in environments_of(kind, key) and not hasattr(kind, "skip_below")
    ]
    chosen: dict[str, PolicyFactory] = {}
    for name in names:
        chosen |= {key: policy_factory(key, dispatch=dispatch) for key in (every if name == ALL else [name])}
    return chosen


def uninformed_factories(*, dispatch: bool) -> dict[str, PolicyFactory]:
    """Return a factory per registered policy that knows no latencies: the best of them is what ratios refer to."""
    every = policy_factories((ALL,), dispatch=dispatch)
    return {name: every[name] for name in every if POLICIES[name].knowledge is Knowledge.NONE}


def find_policy(name: str, *, dispatch: bool) -> Found:
    """Return the class of a named policy, and the options that its name adds; see `make_policy` for errors."""
    if not isinstance(name, str):
        raise ConfigError(f"policy: name must be a string, got {name!r}")
    kind, options = _found(name)
    made_for = environments_of(kind, f"policy {name!r}")
    if ENVIRONMENTS[dispatch] not in made_for:
        raise ConfigError(f"policy {name!r} is made for {' and '.join(made_for)}, not for {ENVIRONMENTS[dispatch]}")
    return kind, options


def _found(name: str) -> Found:
    for prefix, family in FAMILIES.items():
        if name.startswith(prefix):
            return family.find(name.removeprefix(prefix))
    if ":" in name:
        return _outside_policy(name), {}
    registered = POLICIES | PLANNERS
    if name in registered:
        return registered[name], {}
    forms = [form for family in FAMILIES.values() for form in family.forms]
    known = ", ".join([*registered, *forms, "module:Class"])
    rule = f"one of {known}" if registered else "none is registered: import gnnsched_baselines"
    raise ConfigError(f"unknown policy {name!r}{did_you_mean(name, registered)} ({rule})")


def _outside_policy(name: str) -> type[Any]:
    module_name, _, attribute = name.partition(":")
    with own_code(f"policy {name!r}: importing it"):
        try:
            found: Any = importlib.import_module(module_name)
            for part in attribute.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(f"policy {name!r}: must be module:Class of something importable ({error})") from error
    if not inspect.isclass(found):
        raise ConfigError(f"policy {name!r}: must name a class, got {found!r}")
    return found


def _construct(name: str, kind: Any, layout: Layout, table: LatencyTable | None, options: dict[str, Any]) -> Any:
    signature = inspect.signature(kind)
    takes_layout = any(
        parameter.kind not in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD)
        for parameter in signature.parameters.values()
    )
    positional = (layout,) if takes_layout else ()
    if "table" in signature.parameters:
        options = {"table": table, **options}
    try:
        signature.bind(*positional, **options)
    except TypeError as error:
        raise ConfigError(f"policy {name!r}: cannot be made from {signature} ({error})") from None
    with own_code(f"policy {name!r}: making it"):
        return kind(*positional, **options)
