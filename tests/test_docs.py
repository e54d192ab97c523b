"""The documentation: its links lead somewhere, and its first examples run when pasted alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

from gnnsched_env.version import __version__

ROOT = Path(__file__).resolve().parents[1]
TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = [*(ROOT / name for name in TOP), *sorted((ROOT / "docs").rglob("*.md"))]
# PyPI shows the README and knows no relative links: these lead to files of the repository
HOSTED = re.compile(
    r"https://(?:github\.com/gnnsched/gnnsched/blob|raw\.githubusercontent\.com/gnnsched/gnnsched)/main/"
)
NOTEBOOKS = sorted((ROOT / "docs" / "tutorials" / "notebooks").glob("*.py"))
NOTEBOOK_EXTRAS = {"train_an_agent": "sb3_contrib", "rank_configurations": "torch"}
LONG_NOTEBOOKS = ("predict_latencies", "rank_configurations", "ten_line_heuristic", "train_an_agent")  # 14 s or more
AS_A_SCRIPT = """\
import runpy, sys, types
try:
    import IPython.display
except ImportError:  # Jupyter shows what this returns
    sys.modules["IPython"] = types.SimpleNamespace(version_info=(0, 0), get_ipython=lambda: None)  # Matplotlib asks
    sys.modules["IPython.display"] = types.SimpleNamespace(Image=lambda path: path.read_bytes())
runpy.run_path(sys.argv[1], run_name="__main__")
"""
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
TRAINED = "sb3_contrib"  # examples that train, or need what was trained
WINDOWED = 'render_mode="human"'


def name(page):
    return page.relative_to(ROOT).as_posix()


def notebook(source):
    marks = [pytest.mark.slow, *([pytest.mark.long] if source.stem in LONG_NOTEBOOKS else [])]
    return pytest.param(source, id=source.stem, marks=marks)


def anchors(page):
    """Return the anchors of a page's headings: in lower case, blanks as dashes, other signs left out."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page):
    """Return (file, anchor) of the links of a page that lead into the repository."""
    found = LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))
    inside = [HOSTED.sub(f"{ROOT.as_posix()}/", link) for link in found]
    parts = [link.partition("#") for link in inside if not re.match(r"[a-z]+:", link)]
    return [(page if not path else (page.parent / path), anchor) for path, _, anchor in parts]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings(page):
    for path, anchor in links(page):
        assert path.exists(), f"{name(page)}: {path} is missing"
        assert not anchor or anchor in anchors(path), f"{name(page)}: {path} has no heading #{anchor}"


def test_links_are_found():
    assert sum(len(links(page)) for page in PAGES) > 70


def test_the_index_lists_every_page():
    index = ROOT / "docs" / "index.md"
    listed = {path.resolve() for path, _ in links(index)}
    assert listed >= {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - {index}


def test_the_readme_s_links_are_absolute():
    text = CODE.sub("", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert [link for link in LINK.findall(text) if not re.match(r"https:|#", link)] == []
    assert sum(bool(HOSTED.match(link)) for link in LINK.findall(text)) > 20


def test_the_site_shows_every_page_and_every_package_with_public_names():
    shown = set(re.findall(r"\S+\.md$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert shown == {page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.is_relative_to(ROOT / "docs")}
    folders = ("gnnsched_env", "baselines/gnnsched_baselines", "agents/gnnsched_agents")
    sources = [source for folder in folders for source in (ROOT / folder).rglob("__init__.py")]
    public = {source.parent for source in sources if "\n__all__ = [" in source.read_text(encoding="utf-8")}
    written = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    described = re.findall(r"^::: (\S+)$", written, re.MULTILINE)
    assert sorted(name for name in described if name.count(".") < 3) == sorted(
        ".".join(folder.relative_to(ROOT).parts).removeprefix("baselines.").removeprefix("agents.") for folder in public
    )


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda source: source.stem)
def test_a_notebook_s_page_shows_its_cells(source):
    page = source.parents[1] / f"{source.stem}.md"
    cells = re.split(r"^# %%", source.read_text(encoding="utf-8"), flags=re.MULTILINE)
    code = [cell.strip() for cell in cells if cell.strip() and not cell.startswith(" [markdown]")]
    shown = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert [block.strip() for block in shown] == code, f"{name(page)}: run make notebooks NOTEBOOKS={source.stem}"


@pytest.mark.parametrize("source", [notebook(source) for source in NOTEBOOKS])
def test_a_notebook_runs(source, tmp_path):
    """As a script, which it is too: no Jupyter, and pictures that nobody sees."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    if NOTEBOOK_EXTRAS.get(source.stem):
        pytest.importorskip(NOTEBOOK_EXTRAS[source.stem], reason=f"{NOTEBOOK_EXTRAS[source.stem]} is not installed")
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", AS_A_SCRIPT, str(source)],
        cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") > 1


def test_the_citation_names_the_version():
    assert f"version: {__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version = {{{__version__}}}" in (ROOT / "README.md").read_text(encoding="utf-8")


def blocks():
    """Yield the Python examples of the pages that a user meets first (use_rl_libraries.md has its own test)."""
    topics = (
        "environments/dispatch",
        "environments/queue",
        "how-to/look_at_a_schedule",
        "reference/agents",
        "reference/environments",
        "reference/scenarios",
        "reference/traces",
        "results/known_optima",
    )
    for page in ("README.md", *(f"docs/{topic}.md" for topic in topics)):
        found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
        yield from (pytest.param(page, code, id=f"{page}:{k}") for k, code in enumerate(found))


@pytest.mark.slow
@pytest.mark.parametrize(("page", "code"), list(blocks()))
@pytest.mark.filterwarnings("ignore")
def test_an_example_runs_alone(page, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
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


@pytest.mark.slow
def test_the_tutorials_policy_is_better_than_first_come_first_served(tmp_path):
    text = (ROOT / "docs" / "tutorials" / "first_policy.md").read_text(encoding="utf-8")
    (tmp_path / "my_policy.py").write_text(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], encoding="utf-8")
    command = re.findall(r"^    gnnsched evaluate (.*)$", text, re.MULTILINE)[0].split()
    command[command.index("--episodes") + 1] = "4"
    code = f"import sys; from gnnsched_cli.main import main; sys.exit(main(['evaluate', *{command!r}]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ratios = dict(re.findall(r"^ (\S+) .*? (\d\.\d{3}) ±", done.stdout, re.MULTILINE))
    assert float(ratios["my_policy:BestFit"]) < float(ratios["fifo"])


@pytest.mark.parametrize("dataflow", ["agent", "predicted_best"])
@pytest.mark.parametrize(
    ("page", "name"), [("tutorials/first_policy.md", "BestFit"), ("reference/environments.md", "OldestFirst")]
)
def test_policies_of_the_pages_play_whatever_an_action_names(page, name, dataflow):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if f"class {name}" in block]
    names = {}
    exec(compile(code, page, "exec"), names)
    envs = gymnasium.make_vec("gnnsched/Queue-v0", num_envs=3, jobs=20, dataflow=dataflow)
    policy = names[name](envs.unwrapped.layout)
    observation, infos = envs.reset(seed=0)
    for _ in range(40):
        actions = policy.act(observation, infos["action_mask"].astype(bool))
        observation, _, _, _, infos = envs.step(actions)
        assert infos["legal"].all()
