"""Damaged files of every kind end in an error of the project's own, or are read; what a checksum covers is noticed."""

import warnings

import pytest

from tests.fuzz.flips import flip
from tests.fuzz.kinds import KINDS

SLOW = {"known optima", "golden cases"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in KINDS]
)
def test_a_damaged_file_is_refused_in_our_own_words_or_read(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that read
        told = flip(KINDS[name], tmp_path, 40 if name in SLOW else 250, seed=0)
    assert told["refused"] > 0
