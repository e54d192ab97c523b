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


@pytest.fixture
def presets(tmp_path, monkeypatch):
    """Return a copy of the hardware presets to edit, which the package reads; tables are cached beside it."""
    from gnnsched_env.hardware import toml_format
    from gnnsched_env.predictors import latency_tables
    from tests.edited_presets import EditedPresets, forget

    copy = EditedPresets(tmp_path / "presets")
    monkeypatch.setattr(toml_format, "preset_folder", lambda: copy.folder)
    monkeypatch.setattr(latency_tables, "build_table", copy.build)
    monkeypatch.setenv("GNNSCHED_CACHE", str(tmp_path / "cache"))
    forget()
    yield copy
    forget()
