"""Validation rules: each is declared once, beside the type of a field, and checked by one function.

    @dataclass(frozen=True, kw_only=True)
    class Failures:
        up: Annotated[float, Number(least=0.0, most=1e9, help="Mean time until an accelerator fails.")] = 0.0

        def __post_init__(self) -> None:
            check_fields(self, "failures")

`check_fields` raises ConfigError naming the thing, the rule and the value ("failures: up must be a number from 0 to
1e+09, got -1") and stores the converted value: numpy's integers become int, lists become tuples. None is allowed if the
field's type allows it. `declared(Failures)` returns the rules by name, so that command lines and records are derived
from them. A rule can also check a single value: `seed = Integer(0).check("rollout", "seed", seed)`.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError, UnknownOption, did_you_mean

MOST_SHOWN = 300  # characters of a value in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule for a value; `help` is a sentence that describes the value and its unit.

    `option` names the value's option on command lines; by default it has none.
    """

    help: str = ""
    option: str = ""

    def check(self, where: str, name: str, value: Any) -> Any:
        """Return the value in the form to be stored; raise ConfigError if it breaks the rule."""
        require(where, name, value, self._broken(value))
        return self._stored(value)

    def _broken(self, value: Any) -> str:
        """Return the rule in words if the value breaks it, or an empty string."""
        raise NotImplementedError

    def _stored(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class Integer(Rule):
    """An integer (no bool) from `least` to `most`, and a power of two if that is required."""

    least: int = 0
    most: int | None = None
    power_of_two: bool = False

    def check(self, where: str, name: str, value: Any) -> Any:
        """Return the integer; for a plain int within the bounds at once, as asking for Integral takes a microsecond."""
        plain = type(value) is int and not self.power_of_two and self.least <= value
        if plain and (self.most is None or value <= self.most):
            return value
        return Rule.check(self, where, name, value)

    def _broken(self, value: Any) -> str:
        if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < self.least:
            return f"an integer of at least {self.least:,}"
        if self.most is not None and int(value) > self.most:
            return f"at most {self.most:,}"
        return "a power of two" if self.power_of_two and int(value).bit_count() != 1 else ""

    def _stored(self, value: Any) -> int:
        return int(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Rule):
    """A number (no bool) within bounds, of which some may be omitted; infinity is allowed only if `finite` is False."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    finite: bool = True

    def _broken(self, value: Any) -> str:
        good = isinstance(value, Real) and not isinstance(value, bool)
        good = good and (_finite(value) or (not self.finite and value in (math.inf, -math.inf)))
        good = good and (self.least is None or value >= self.least) and (self.above is None or value > self.above)
        good = good and (self.most is None or value <= self.most) and (self.below is None or value < self.below)
        if good:
            return ""
        if self.least is not None and self.most is not None:
            return f"a number from {self.least:g} to {self.most:g}"
        bounds = {"of at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        return "a number" + " and".join(f" {words} {bound:g}" for words, bound in bounds.items() if bound is not None)

    def _stored(self, value: Any) -> float:
        return float(value)


@dataclass(frozen=True, slots=True)
class OneOf(Rule):
    """One of a few names, or of the members of a StrEnum; the error suggests the closest one."""

    choices: tuple[str, ...]

    def check(self, where: str, name: str, value: Any) -> str:
        """Return the choice; if the choices are an enum's members, return the member."""
        if not isinstance(value, str) or value not in self.choices:
            known = ", ".join(self.choices)
            guess = did_you_mean(value, self.choices) if isinstance(value, str) else ""
            raise ConfigError(f"{where}: {name} must be one of {known}, got {shown(value)}{guess}")
        return self.choices[self.choices.index(value)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Rule):
    """True or False; other values, such as 0 or 1, are invalid."""

    def _broken(self, value: Any) -> str:
        return "" if isinstance(value, bool) else "true or false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Rule):
    """A string that is not blank, without `without` (the "/" of "accelerator/dataflow", for example)."""

    without: str = ""

    def _broken(self, value: Any) -> str:
        good = isinstance(value, str) and value.strip() and not (self.without and self.without in value)
        return "" if good else "a non-empty string" + (f" without {self.without!r}" if self.without else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePath(Rule):
    """The path of a file, which need not exist yet; stored as a string."""

    def _broken(self, value: Any) -> str:
        return "" if isinstance(value, str | Path) and "\0" not in str(value) else "a file's path"

    def _stored(self, value: Any) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class ListOf(Rule):
    """A sequence or numpy array (no text) of at least `fewest` entries that each obey a rule; stored as a tuple."""

    entries: Rule
    fewest: int = 0

    def check(self, where: str, name: str, value: Any) -> tuple[Any, ...]:
        """Return the entries, each in the form that its rule stores."""
        given = listed(value)
        require(where, name, value, "" if isinstance(given, list) else "a list")
        require(where, name, value, "" if len(given) >= self.fewest else f"a list of at least {self.fewest:,}")
        return tuple(self.entries.check(where, f"entries of {name}", entry) for entry in given)


@dataclass(frozen=True, slots=True)
class Parsed(Rule):
    """A value parsed by a function, which returns None for an invalid one. `rule` describes valid values in words."""

    rule: str
    parse: Callable[[Any], Any]

    def check(self, where: str, name: str, value: Any) -> Any:
        """Return the function's result for the value."""
        read = self.parse(value)
        require(where, name, value, self.rule if read is None else "")
        return read


def _finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False


def check_fields(owner: Any, where: str, *, but: Collection[str] = ()) -> None:
    """Check each declared field of a dataclass instance, frozen or not, and store the value that its rule returns.

    The fields named in `but` are not checked.
    """
    kind: type = type(owner)
    for name, rule in declared(kind).items():
        value = getattr(owner, name)
        if name in but or (value is None and _optional(kind, name)):
            continue
        if (stored := rule.check(where, name, value)) is not value:
            object.__setattr__(owner, name, stored)


@cache
def declared(kind: type) -> Mapping[str, Rule]:
    """Return the rules that a dataclass declares, by field, in the order of its fields."""
    hints = get_type_hints(kind, include_extras=True)
    annotated = {entry.name for entry in fields(kind) if get_origin(hints[entry.name]) is Annotated}
    extras = {name: hints[name].__metadata__ for name in hints if name in annotated}
    return {name: extra for name, found in extras.items() for extra in found if isinstance(extra, Rule)}


@cache
def _optional(kind: type, name: str) -> bool:
    return type(None) in get_args(get_type_hints(kind)[name])


def require(where: str, name: str, value: Any, rule: str) -> None:
    """Raise ConfigError naming the thing, the rule (in words) and the value; do nothing if the rule is empty."""
    if rule:
        raise ConfigError(f"{where}: {name} must be {rule}, got {shown(value)}")


def shown(value: Any) -> str:
    """Return a value as messages show it: its repr, shortened, or what it is where Python refuses to print it."""
    try:
        text = repr(value)
    except ValueError:  # integers of more than some thousand digits
        text = f"an integer of {value.bit_length():,} bits" if isinstance(value, int) else f"a {type(value).__name__}"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def check_keys(where: str, given: Mapping[str, Any], kind: type) -> None:
    """Raise UnknownOption if a key is no field of a dataclass."""
    check_known(where, given, tuple(entry.name for entry in fields(kind)))


def check_known(where: str, given: Mapping[str, Any], known: tuple[str, ...], *, kind: str = "unknown key") -> None:
    """Raise UnknownOption, suggesting the closest known key, if a key is not among those known."""
    for key in given:
        if key not in known:
            raise UnknownOption(f"{where}: {kind} {key!r}{did_you_mean(key, known)} (known: {', '.join(known)})")


def checked_dict(where: str, value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return a mapping that must have exactly these keys as a dict; raise ConfigError otherwise."""
    require(where, "what describes it", value, "" if isinstance(value, Mapping) else "a mapping")
    check_known(where, value, keys)
    for key in keys:
        if key not in value:
            raise ConfigError(f"{where}: key {key!r} is missing")
    return dict(value)


def require_unique(where: str, kind: str, names: Iterable[str]) -> None:
    """Raise ConfigError if a name occurs twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"{where}: {kind} names must differ, got {name!r} twice")
        seen.add(name)


def plain_array(where: str, name: str, values: Any) -> NDArray[Any]:
    """Return an array of the values; raise ConfigError for lists of different lengths and for masked entries."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        require(where, name, values, "an array without masked entries")
    try:
        return np.asarray(values)
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(f"{where}: {name} must be an array: {error}") from None


def number_array(
    where: str, name: str, values: Any, dtype: type[np.generic], *, shape: tuple[int | None, ...] | None = None
) -> NDArray[Any]:
    """Return a copy of an array as `dtype`, of integers or of floating-point numbers.

    Raise ConfigError if it holds anything else (text, bools, complex numbers, objects), fractions where integers are
    due, or integers that do not fit; and unless it has the `shape` given, in which None stands for any length.
    """
    array = plain_array(where, name, values)
    whole = np.issubdtype(dtype, np.integer)
    if shape is not None:
        fits = array.ndim == len(shape) and all(n in (None, own) for n, own in zip(shape, array.shape, strict=True))
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        require(where, name, values, "" if fits else f"an array of shape [{wanted}]")
    kinds = "iu" if whole else "iuf"
    if array.size and array.dtype.kind not in kinds:
        rule = f"an array of {'integers' if whole else 'numbers'}"
        raise ConfigError(f"{where}: {name} must be {rule}, got {array.dtype} of shape {array.shape}")
    made = np.array(array, dtype, order="C")
    if whole and array.size and (made != array).any():
        raise ConfigError(f"{where}: {name} must fit {np.dtype(dtype).name}, got {shown(array.max())}")
    return made


def listed(value: Any) -> Any:
    """Return the entries of a sequence or numpy array as a list; return anything else, including text, unchanged."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else value
