import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware.expressions import check_expression, evaluate

NAMES = {"F": 1433, "G": 7, "P": 512, "f": 16, "g": 7}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("min(F, P)", 512),
        ("P // g", 73),
        ("2 * f + g - 1", 38),
        ("max(f, g, 20)", 20),
        ("(P - 12) // (f + 4)", 25),
        ("g // P", 1),
    ],
)
def test_value(text, value):
    assert evaluate(text, NAMES) == value
    assert evaluate(check_expression(text), NAMES) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "F +",
        "__import__('os')",
        "F.real",
        "F ** 9",
        "F / 2",
        "-F",
        "F % 2",
        "abs(F)",
        "min(F)",
        "min(*F)",
        "min(F, key=G)",
        "X",
        "1.5",
        "True",
        "'a'",
        "[F]",
        "F if G else P",
        "lambda: F",
        "F and G",
        "1 +" * 100 + "1",
        None,
        2.0,
        True,
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ConfigError, match="tile expression"):
        check_expression(text)


def test_division_by_nothing_is_refused():
    with pytest.raises(ConfigError, match="divisor must be at least 1, got 0"):
        evaluate("P // (f - 16)", NAMES)


def test_a_shorthand_cannot_use_itself():
    with pytest.raises(ConfigError, match="name 'f' is not defined here"):
        evaluate("f + 1", {"F": 1, "G": 1, "P": 1})


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 5000))
def test_divisions_floor_and_are_at_least_one(f, g, p):
    assert evaluate("min(F, P // 8) + P // G", {"F": f, "G": g, "P": p}) == min(f, max(1, p // 8)) + max(1, p // g)
