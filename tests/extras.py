"""Marks for tests that need an optional extra: where it is absent they are skipped, with the reason."""

from importlib.util import find_spec

import pytest


def needs(*modules):
    """Return a mark that skips a test where one of the modules is not installed."""
    missing = [name for name in modules if not _installed(name)]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")


def _installed(name):
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
