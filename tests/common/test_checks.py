"""Rules declared beside types: what they take and store, what they refuse and say."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest

from gnnsched_env.common.checks import (
    FilePath,
    Flag,
    Integer,
    ListOf,
    Number,
    OneOf,
    Parsed,
    Text,
    check_fields,
    declared,
)
from gnnsched_env.common.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Kettle:
    litres: Annotated[float, Number(above=0.0, most=2.0, help="What it holds.")] = 1.5
    watts: Annotated[int | None, Integer(1, 3_000)] = None
    widths: Annotated[tuple[int, ...], ListOf(Integer(1), fewest=1)] = (1,)
    label: str = "any"

    def __post_init__(self) -> None:
        check_fields(self, "kettle")


def test_fields_are_checked_and_stored_plainly():
    kettle = Kettle(litres=np.float32(0.5), watts=np.int64(2), widths=np.array([1, 2]))
    assert repr(kettle) == "Kettle(litres=0.5, watts=2, widths=(1, 2), label='any')"
    assert hash(kettle) == hash(Kettle(litres=0.5, watts=2, widths=[1, 2]))
    assert list(declared(Kettle)) == ["litres", "watts", "widths"]
    assert declared(Kettle)["litres"].help == "What it holds."
    with pytest.raises(ConfigError, match=r"^kettle: litres must be a number above 0 and at most 2, got None$"):
        Kettle(litres=None)


@pytest.mark.parametrize(
    ("rule", "good", "bad", "text"),
    [
        (Integer(2), [2, 10**30, np.int8(3)], [1, 2.0, True, "2", None], "an integer of at least 2"),
        (Integer(0, 9_999), [0, 9_999], [10_000], "at most 9,999"),
        (Integer(1, power_of_two=True), [1, 64], [3, 6], "a power of two"),
        (Number(), [0, -1e300, np.float32(2)], [float("nan"), float("inf"), 10**400, True, "1"], "a number"),
        (Number(least=0.0, most=1.0), [0, 1.0], [-0.1, 1.1, float("nan")], "a number from 0 to 1"),
        (Number(above=0.0, below=1.5), [0.1], [0, 1.5], "a number above 0 and below 1.5"),
        (Number(least=3), [3], [2.9], "a number of at least 3"),
        (OneOf(("one", "two")), ["one"], ["three", 1, ["one"]], "one of one, two"),
        (Flag(), [True, False], [1, "true", None], "true or false"),
        (Text(without="/"), ["a b"], ["", " ", "a/b", 3], "a non-empty string without '/'"),
        (FilePath(), ["a"], [3, None], "a file's path"),
        (ListOf(Integer(1)), [[], (1,), range(1, 3), np.array([5])], [3, "12", {1: 2}], "a list"),
        (ListOf(Integer(1), fewest=2), [[1, 2]], [[1]], "a list of at least 2"),
        (Parsed("even", lambda value: value if value % 2 == 0 else None), [0, 2], [1], "even"),
    ],
)
def test_what_rules_take_and_refuse(rule, good, bad, text):
    for value in good:
        rule.check("thing", "field", value)
    for value in bad:
        with pytest.raises(ConfigError) as caught:
            rule.check("thing", "field", value)
        assert str(caught.value).startswith(f"thing: field must be {text}, got ")
        assert str(value)[:3] in str(caught.value)


def test_an_entry_is_named_and_a_mistyped_name_is_guessed():
    with pytest.raises(ConfigError, match=r"^kettle: entries of widths must be an integer of at least 1, got 0$"):
        Kettle(widths=[3, 0])
    with pytest.raises(ConfigError, match="got 'poison'; did you mean 'poisson'"):
        OneOf(("poisson", "bursty")).check("arrivals", "process", "poison")
