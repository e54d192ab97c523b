"""Following the recipes of docs/how-to on a copy of the packages.

A block of code belongs to a file where the line before it ends in that file's path, as in "Create `a/b.py`:". A block
in Python or TOML is a new file; a block of language diff is an edit: its lines without "+" must stand in the file, one
after another, and become its lines without "-".
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to"
PACKAGES = ("gnnsched_env", "baselines/gnnsched_baselines", "agents/gnnsched_agents", "scripts/gnnsched_cli")
STEP = re.compile(r"^[^\n]*`([\w./-]+)`:\n\n```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def copy_of_the_packages(folder):
    """Copy what the wheel holds, and return the folder."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def follow(page, folder, *, section=None):
    """Do what a page of docs/how-to (or one of its sections) says in a copy; return the paths touched, sorted."""
    text = (HOW_TO / page).read_text(encoding="utf-8")
    if section is not None:
        (text,) = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    touched = set()
    for path, language, code in STEP.findall(text):
        place = folder / path
        if language == "diff":
            place.write_text(edited(place.read_text(encoding="utf-8"), code, path), encoding="utf-8")
        else:
            assert not place.exists(), f"{path} is there already"
            place.write_text(code, encoding="utf-8")
        touched.add(path)
    assert touched, f"{page} has no steps"
    return sorted(touched)


def edited(text, diff, path):
    """Return a file's text after a diff; its context must be there once."""
    lines = [(line[:1], line[1:] + "\n") for line in diff.splitlines()]
    before = "".join(line for sign, line in lines if sign != "+")
    after = "".join(line for sign, line in lines if sign != "-")
    assert text.count(before) == 1, f"{path} must hold these lines once:\n{before}"
    return text.replace(before, after)


def run(folder, *arguments, status=0, **environment):
    """Run Python in a copy, with its packages first on the path; return what it printed."""
    places = [str((folder / package).parent) for package in PACKAGES]
    own = os.environ | {"PYTHONPATH": os.pathsep.join(places)} | environment
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout
