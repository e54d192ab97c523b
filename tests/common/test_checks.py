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
    number_array,
    shown,
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


@pytest.mark.parametrize(
    ("values", "dtype", "error"),
    [
        (["1", "2"], np.float64, "must be an array of numbers, got <U1"),
        ([True, False], np.int64, "must be an array of integers, got bool"),
        ([True, False], np.float32, "must be an array of numbers, got bool"),
        ([1 + 0j], np.float64, "must be an array of numbers, got complex128"),
        ([1.0, 2.0], np.int64, "must be an array of integers, got float64"),
        ([None], np.float64, "must be an array of numbers, got object"),
        (np.array([1 << 63], np.uint64), np.int64, "must fit int64, got"),
        ([1 << 40], np.int32, "must fit int32, got"),
    ],
)
def test_arrays_of_another_kind_are_refused(values, dtype, error):
    with pytest.raises(ConfigError, match=f"thing: field {error}"):
        number_array("thing", "field", values, dtype)


def test_arrays_are_copied_as_the_type_asked_for():
    given = np.array([1, 2], np.int16)
    made = number_array("thing", "field", given, np.float32)
    given[0] = 9
    assert made.dtype == np.float32 and made.tolist() == [1.0, 2.0]
    assert number_array("thing", "field", [], np.int64).dtype == np.int64


def test_what_is_shown_of_a_value_is_short():
    assert shown(3) == "3" and shown("a") == "'a'"
    assert shown(10**6000) == "an integer of 19,932 bits"
    assert len(shown(list(range(1000)))) < 320
