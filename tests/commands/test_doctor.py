"""`gnnsched doctor`: what it finds, and what it says where something is missing."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from gnnsched_cli import doctor
from gnnsched_cli.main import main
from tests.kept_kernels import copy_kernels

ROOT = Path(__file__).resolve().parents[2]


def test_it_finds_the_core_and_writes_what_it_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GNNSCHED_CACHE", str(tmp_path / "cache"))
    assert main(["doctor", "--json", str(tmp_path / "found.json")]) == 0
    told = capsys.readouterr().out
    content = json.loads((tmp_path / "found.json").read_text())
    assert content["working"] and "Everything that is needed works." in told
    states = {(entry["part"], entry["name"]): entry["state"] for entry in content["findings"]}
    assert all(states["Versions", name] == doctor.GOOD for name in ("python", "numba", "gymnasium"))
    assert states["Cache", "folder"] == doctor.GOOD
    assert states["Kernels", "simulator"] in (doctor.OPTIONAL, doctor.GOOD)


def test_a_missing_core_package_is_named_with_its_mending(monkeypatch, capsys):
    version = metadata.version

    def without_scipy(name):
        if name == "scipy":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor.metadata, "version", without_scipy)
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "pip install scipy" in told and "Not working: scipy." in told


def test_a_missing_extra_is_no_fault(monkeypatch, capsys):
    monkeypatch.setitem(doctor.EXTRAS, "plots", ("no_such_module",))
    assert main(["doctor"]) == 0
    assert "without no_such_module  (pip install 'gnnsched-env[plots]')" in capsys.readouterr().out


def test_a_cache_that_cannot_be_made_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GNNSCHED_CACHE", str(tmp_path / "file" / "cache"))
    assert main(["doctor"]) == 0
    assert "set GNNSCHED_CACHE" in capsys.readouterr().out


def test_every_extra_is_one_of_the_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(doctor.EXTRAS) == set(project["optional-dependencies"]) - {"adapters", "dev"}
    core = {re.split(r"[<>=]", line)[0] for line in project["dependencies"]}
    assert set(doctor.CORE) <= core


@pytest.mark.slow
def test_it_compiles_what_is_not_compiled(tmp_path):
    copy_kernels(tmp_path / "cache", but="gnnsched_env.bounds.bound_kernels")
    environment = {**os.environ, "GNNSCHED_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", "import sys; from gnnsched_cli.main import main; sys.exit(main(sys.argv[1:]))"]
    for words, told in ((["doctor"], True), (["doctor", "--compile"], False)):
        done = subprocess.run([*command, *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert ("not yet" in done.stdout) == told
