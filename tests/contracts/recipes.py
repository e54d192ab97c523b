"""Recipes of docs/how-to that change the packages, followed on a copy of them.

Blocks of code in such a page say what they are for on their first line: "```python FILE" is the whole of a new file,
"```diff FILE" changes one, as `git diff` writes it without line numbers; "```python" alone is an example to run.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
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
