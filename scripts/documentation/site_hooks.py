"""What MkDocs does beside its plugins: links to sources lead to the repository, and every public name has a place.

mkdocs.yml names this file. The same pages are read on GitHub, where `../../examples` is a link that works.
"""

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gnnsched_env", "baselines/gnnsched_baselines", "agents/gnnsched_agents")
RELATIVE = re.compile(r"\]\(([\w./-]+)(#[^()\s]*)?\)")
PAGES_AND_PICTURES = (".md", ".png", ".gif")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Return a page's text, its links to files that the site does not hold made links to the repository."""
    docs = Path(config["docs_dir"]).resolve()
    folder = (docs / page.file.src_uri).parent

    def outward(link: re.Match[str]) -> str:
        place = (folder / link[1]).resolve()
        if not place.exists() or (place.is_relative_to(docs) and place.suffix in PAGES_AND_PICTURES):
            return link[0]  # MkDocs checks those
        kind = "tree" if place.is_dir() else "blob"
        return f"]({config['repo_url'].rstrip('/')}/{kind}/main/{place.relative_to(ROOT).as_posix()}{link[2] or ''})"

    return RELATIVE.sub(outward, markdown)


def on_post_build(config: Any, **_: Any) -> None:
    """Raise PluginError for public names that no page of the API reference describes."""
    written = "".join(page.read_text(encoding="utf-8") for page in Path(config["site_dir"], "api").rglob("*.html"))
    anchors = set(re.findall(r'id="([\w.]+)"', written))
    # a function named as its module is found under both names: gnnsched_env.bench.play.play
    absent = [name for name in public_names() if not {name, f"{name}.{name.rpartition('.')[2]}"} & anchors]
    if absent:
        raise PluginError(f"API reference: {len(absent)} public names have no place, first {', '.join(absent[:5])}")


def public_names() -> list[str]:
    """Return what the packages' `__all__` name, each with its package: "gnnsched_env.envs.View"."""
    names = []
    for package in PACKAGES:
        folder = ROOT / package
        for source in sorted(folder.rglob("__init__.py")):
            module = ".".join(source.parent.relative_to(folder.parent).parts)
            names += [f"{module}.{name}" for name in exported(source)]
    return names


def exported(source: Path) -> list[str]:
    """Return the names in a source file's `__all__`, without those that begin with an underscore."""
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [getattr(to, "id", "") for to in node.targets] == ["__all__"]:
            return [name for name in ast.literal_eval(node.value) if not name.startswith("_")]
    return []
