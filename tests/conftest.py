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
def own_cache(tmp_path, monkeypatch):
    """Keep tables in a folder of the test's own; kernels stay where they are, else they would be compiled anew."""
    from gnnsched_env.common import disk_cache, kernel_cache

    kernels = disk_cache.cache_folder()
    monkeypatch.setattr(kernel_cache, "cache_folder", lambda: kernels)
    monkeypatch.setenv("GNNSCHED_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def presets(tmp_path, monkeypatch, own_cache):
    """Return a copy of the hardware presets to edit, which the package reads; its tables are cached beside it."""
    from gnnsched_env.hardware import toml_format
    from gnnsched_env.predictors import latency_tables
    from tests.edited_presets import EditedPresets, forget

    copy = EditedPresets(tmp_path / "presets")
    monkeypatch.setattr(toml_format, "preset_folder", lambda: copy.folder)
    monkeypatch.setattr(latency_tables, "build_table", copy.build)
    forget()
    yield copy
    forget()
