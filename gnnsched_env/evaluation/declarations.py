"""What a policy declares by its attributes, checked in one place."""

from dataclasses import dataclass, fields
from typing import Annotated, Any

from gnnsched_env.common.checks import Integer, ListOf, OneOf, check_fields, declared
from gnnsched_env.common.errors import ConfigError, own_code
from gnnsched_env.common.policy import Knowledge, Policy, Routing
from gnnsched_env.scenario import DecisionCost, EnvironmentOptions

ENVIRONMENTS = ("queue", "dispatch")
_OPTIONS = declared(EnvironmentOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declarations:
    """What a policy says of itself; all but `knowledge` have a default.

    `observation` and `waiting`: the options of the environments that it is made for. `skip_below`: from how many
    waiting jobs on it has jobs predicted (None: as the scenario says). `routing` and `choices` say
    how it spreads jobs (None: over all choices), from which its capacity follows.
    """

    knowledge: Knowledge
    observation: Annotated[str, _OPTIONS["observation"]] = "dict"
    waiting: Annotated[str, _OPTIONS["waiting"]] = "free"
    skip_below: Annotated[int | None, declared(DecisionCost)["skip_below"]] = None
    routing: Annotated[Routing, OneOf(tuple(Routing))] = Routing.FREE
    choices: Annotated[tuple[int, ...] | None, ListOf(Integer(), 1)] = None


def declarations_of(policy: Policy, num_choices: int, where: str = "") -> Declarations:
    """Return what a policy declares, for an environment of `num_choices` choices.

    Raise ConfigError, beginning with `where` (by default the class's name), if a value is none of those allowed.
    """
    where = where or f"policy {type(policy).__name__}"
    with own_code(f"{where}: reading its attributes"):
        given = {
            entry.name: getattr(policy, entry.name) for entry in fields(Declarations) if hasattr(policy, entry.name)
        }
    if not isinstance(knowledge := given.get("knowledge"), Knowledge):
        raise ConfigError(f"{where}: knowledge must be a gnnsched_env.Knowledge, got {knowledge!r}")
    found = Declarations(**given)
    check_fields(found, where)
    if found.choices is not None:
        ListOf(Integer(0, num_choices - 1)).check(where, "choices", found.choices)
    return found


def checked_policy(policy: Any, num_choices: int, where: str = "") -> Policy:
    """Return a policy; raise ConfigError if it has no method `act`, or declares what `declarations_of` refuses."""
    where = where or f"policy {type(policy).__name__}"
    if not callable(getattr(policy, "act", None)):
        raise ConfigError(f"{where}: {type(policy).__name__} must have a method act(observation, mask)")
    made: Policy = policy
    declarations_of(made, num_choices, where)
    return made


def environments_of(kind: type[Any], where: str) -> tuple[str, ...]:
    """Return the environments that a policy's class is made for: both where it does not say.

    Raise ConfigError if it says so by anything but a set or a list of their names.
    """
    given = getattr(kind, "environments", ENVIRONMENTS)
    named: tuple[str, ...] = ListOf(OneOf(ENVIRONMENTS), 1).check(
        where, "environments", sorted(given, key=str) if isinstance(given, set | frozenset) else given
    )
    return named
