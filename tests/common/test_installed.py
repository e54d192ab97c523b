"""What a machine has installed: other sources, weights or presets are other results."""

import pytest

from gnnsched_env.common.parallel import installed


@pytest.mark.parametrize(
    ("name", "tells"), [("a.py", True), ("deep/b.npz", True), ("c.toml", True), ("notes.md", False)]
)
def test_a_changed_file_changes_the_hash_if_results_depend_on_it(tmp_path, monkeypatch, name, tells):
    package = tmp_path / "told_package"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / name).write_bytes(b"one")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(installed, "PACKAGES", ("told_package",))
    before = installed._sources()
    assert installed._sources() == before
    (package / name).write_bytes(b"two")
    assert (installed._sources() != before) == tells
