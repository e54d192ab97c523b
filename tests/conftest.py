"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("gnnsched", deadline=None)  # the first call of a kernel compiles it
settings.load_profile("gnnsched")


@pytest.fixture(scope="session")
def shared():
    """Return the folder of reference data: GNNSCHED_SHARED, or ../shared beside the repository; skip without it."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("GNNSCHED_SHARED", default))
    if not (folder / "graphs").is_dir():
        pytest.skip(f"reference data not found at {folder} (set GNNSCHED_SHARED to its folder)")
    return folder
