"""Warnings of what will go: they name it, its replacement and the version, and point at whoever uses it."""

import warnings
from pathlib import Path

import pytest

from gnnsched_env.common.errors import warn_deprecated


def old_name():
    warn_deprecated("old_name()", "new_name()", since="0.9.2")


def test_a_deprecated_name_is_told_with_its_replacement_at_the_line_that_uses_it():
    with pytest.warns(DeprecationWarning) as told:
        old_name()
    (warning,) = told
    assert str(warning.message) == (
        "old_name() is deprecated since version 0.9.2 and may be removed in 0.11.0: use new_name()"
    )
    line = Path(warning.filename).read_text(encoding="utf-8").splitlines()[warning.lineno - 1]
    assert Path(warning.filename) == Path(__file__) and line.strip() == "old_name()"


def test_a_deprecated_name_still_works_where_warnings_are_off():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old_name()
