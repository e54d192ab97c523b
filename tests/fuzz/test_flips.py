"""Damaged files of every kind end in an error of the project's own, or are read; what a checksum covers is noticed."""

import warnings

import pytest

from tests.extras import needs
from tests.fuzz.flips import flip
from tests.fuzz.kinds import KINDS


def cases():
    for name, kind in KINDS.items():
        yield pytest.param(kind, id=name, marks=[needs(*kind.needs), *([pytest.mark.slow] if kind.slow else [])])


@pytest.mark.parametrize("kind", list(cases()))
def test_a_damaged_file_is_refused_in_our_own_words_or_read(kind, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that read
        told = flip(kind, tmp_path, 40 if kind.slow else 250, seed=0)
    assert told["refused"] > 0
