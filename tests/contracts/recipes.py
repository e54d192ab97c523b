"""Follow the recipes of docs/how-to on a copy of the packages.

A block of code belongs to a file where the line before it ends in that file's path, as in "Create `a/b.py`:". A block
of language diff edits the file: its hunks, between lines that begin with "@@", must each stand in it once without their
"+" lines, and become what they are without their "-" lines. Any other block is the whole of a new file. Blocks that
belong to no file are examples.
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
BLOCK = re.compile(r"^(?:[^\n]*`(?P<path>[\w./-]+)`:\n\n)?```(?P<language>\w+)\n(?P<code>.*?)^```", re.M | re.S)


class Copy:
    """What the wheel holds, copied to a folder."""

    def __init__(self, folder):
        self.folder = folder
        for package in PACKAGES:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))

    def follow(self, page, section=None):
        """Do what a page of docs/how-to, or one of its sections, says; return how many files it touches."""
        steps = [block for block in _blocks(page, section) if block["path"]]
        assert steps, f"{page} has no steps"
        for step in steps:
            place = self.folder / step["path"]
            if step["language"] == "diff":
                place.write_text(patched(place.read_text(encoding="utf-8"), step["code"]), encoding="utf-8")
            else:
                assert not place.exists(), f"{step['path']} is there already"
                place.write_text(step["code"], encoding="utf-8")
        return len({step["path"] for step in steps})

    def run(self, *arguments, **environment):
        """Run Python with the copy's packages; return what it prints."""
        return run(self.folder, *arguments, **environment)


def examples(page, language="python", section=None):
    """Return the code of a page's blocks that belong to no file."""
    found = _blocks(page, section)
    return [block["code"] for block in found if block["language"] == language and not block["path"]]


def run(folder, *arguments, **environment):
    """Run Python with the packages of a folder first on the path; return what it prints."""
    places = [str((folder / package).parent) for package in PACKAGES]
    own = os.environ | {"PYTHONPATH": os.pathsep.join([*dict.fromkeys(places), str(ROOT)])} | environment
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def patched(text, diff):
    """Return a text with the hunks of a diff applied."""
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
        lines = [line or " " for line in hunk.splitlines()]
        before = "".join(line[1:] + "\n" for line in lines if line[0] in " -")
        after = "".join(line[1:] + "\n" for line in lines if line[0] in " +")
        if lines:
            assert text.count(before) == 1, f"fits at {text.count(before)} places:\n{hunk}"
            text = text.replace(before, after)
    return text


def _blocks(page, section):
    text = (HOW_TO / page).read_text(encoding="utf-8")
    if section is not None:
        (text,) = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return [found.groupdict() for found in BLOCK.finditer(text)]
