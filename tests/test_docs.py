"""The documentation: its links lead somewhere, and its first examples run when pasted alone."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
TRAINED = "sb3_contrib"  # examples that train, or need what was trained
WINDOWED = 'render_mode="human"'


def name(page):
    return page.relative_to(ROOT).as_posix()


def anchors(page):
    """Return the anchors of a page's headings: in lower case, blanks as dashes, other signs left out."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page):
    """Return (file, anchor) of the links of a page that lead into the repository."""
    found = LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))
    parts = [link.partition("#") for link in found if not re.match(r"[a-z]+:", link)]
    return [(page if not path else (page.parent / path), anchor) for path, _, anchor in parts]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings(page):
    for path, anchor in links(page):
        assert path.exists(), f"{name(page)}: {path} is missing"
        assert not anchor or anchor in anchors(path), f"{name(page)}: {path} has no heading #{anchor}"


def test_links_are_found():
    assert sum(len(links(page)) for page in PAGES) > 70
    assert all(
        any(path.resolve() == page for path, _ in links(PAGES[0])) for page in PAGES[2:] if page.stem != "energy"
    )


def blocks():
    """Yield the Python examples of the pages that a user meets first (docs/adapters.md has its own test)."""
    topics = ("agents", "environments", "known_optima", "rendering", "scenarios", "traces")
    for page in ("README.md", *(f"docs/{topic}.md" for topic in topics)):
        found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
        yield from (pytest.param(page, code, id=f"{page}:{k}") for k, code in enumerate(found))


@pytest.mark.parametrize(("page", "code"), list(blocks()))
@pytest.mark.filterwarnings("ignore")
def test_an_example_runs_alone(page, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GNNSCHED_CACHE", str(tmp_path / "cache"))
    if TRAINED in code:
        pytest.skip("training takes long")
    if WINDOWED in code:
        pytest.importorskip("pygame", reason="pygame is not installed")
        monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    if "RecordVideo" in code:
        pytest.importorskip("moviepy", reason="moviepy is not installed")
    exec(compile(code, page, "exec"), {})
    for written in re.findall(r'"(\w+\.(?:csv|json))"', code):
        assert (tmp_path / written).stat().st_size > 100
    if "RecordVideo" in code:
        assert [path.name for path in (tmp_path / "videos").iterdir()] == ["rl-video-episode-0.mp4"]
