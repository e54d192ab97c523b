<<<<<<< HEAD
"""Following the recipes of docs/how-to on a copy of the packages.

A block of code belongs to a file where the line before it ends in that file's path, as in "Create `a/b.py`:". A block
in Python or TOML is a new file; a block of language diff is an edit: its lines without "+" must stand in the file, one
after another, and become its lines without "-".
=======
"""Recipes of docs/how-to that change the packages, followed on a copy of them.

Blocks of code in such a page say what they are for on their first line: "```python FILE" is the whole of a new file,
"```diff FILE" changes one, as `git diff` writes it without line numbers; "```python" alone is an example to run.
>>>>>>> 071757e (docs: how to add a policy, a training method and an observation feature, each followed by a test)
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
<<<<<<< HEAD
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
=======
PACKAGES = ("gnnsched_env", "baselines/gnnsched_baselines", "agents/gnnsched_agents", "scripts/gnnsched_cli")
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Recipe:
    """A page that was followed: `folder` holds the copy, `touched` the files that were made or changed, in order."""

    def __init__(self, page, folder, section=""):
        """Copy the packages and do what the page says, under one heading if `section` names it."""
        text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
        if section:
            text = re.split(r"^## ", text.split(f"\n## {section}\n")[1], flags=re.MULTILINE)[0]
        self.folder = folder
        self.touched = []
        self.examples = []
        for package in PACKAGES:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        for language, name, content in BLOCK.findall(text):
            if name:
                self._do(language, folder / name, content)
                self.touched += [name] if name not in self.touched else []
            elif language == "python":
                self.examples.append(content)
        assert self.touched, f"{page}: says nothing to do"

    def _do(self, language, path, content):
        if language == "diff":
            path.write_text(patched(path.read_text(encoding="utf-8"), content), encoding="utf-8")
        else:
            assert not path.exists(), f"{path.name}: is there already"
            path.write_text(content, encoding="utf-8")

    def run(self, code, *arguments):
        """Run Python on the copy, in a process of its own, and return what it prints."""
        return run(self.folder, code, *arguments)


def run(folder, code, *arguments):
    """Run Python on the packages in a folder, and return what it prints."""
    paths = [str((folder / package).parent) for package in PACKAGES]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*dict.fromkeys(paths), str(ROOT)])}
    words = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def patched(text, diff):
    """Return a text with the hunks of a diff done; each must fit at one place exactly."""
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
        lines = [line or " " for line in hunk.splitlines()]
        before = "".join(line[1:] + "\n" for line in lines if line[0] in " -")
        after = "".join(line[1:] + "\n" for line in lines if line[0] in " +")
        if lines:
            assert text.count(before) == 1, f"fits at {text.count(before)} places:\n{hunk}"
            text = text.replace(before, after)
    return text
>>>>>>> 071757e (docs: how to add a policy, a training method and an observation feature, each followed by a test)
