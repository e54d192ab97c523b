"""The page: sections of text, tables that can be sorted and charts, with the charts' library inside."""

import html
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from gnnsched_env.common.errors import needs_extra
from gnnsched_env.common.files import write_whole
from gnnsched_env.report.leaderboard import html_table

HERE = Path(__file__).parent
LIBRARY = "bokeh"  # the part of Bokeh that the charts need: no widgets, no tables, no WebGL


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An entry of a legend: a name and its colour (CSS).

    With `marks` it is a button, which shows and hides the marks of that tag; they are `shown` at first or not.
    """

    name: str
    colour: str
    marks: str = ""
    shown: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart (a Bokeh figure) with its legend above and a title, all plain text."""

    figure: Any
    title: str = ""
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page under a heading: `text`, then `parts`, each a rich table or a chart, then a small `note`."""

    title: str
    text: str = ""
    parts: tuple[Table | Chart, ...] = ()
    note: str = ""


def check_page(path: str | os.PathLike[str]) -> None:
    """Raise ConfigError, naming the extra, where the library that draws the charts is not installed."""
    with needs_extra(f"report {path}", "report"):
        import bokeh.plotting  # noqa: F401


def write_page(path: str | os.PathLike[str], title: str, facts: Mapping[str, str], sections: Sequence[Section]) -> None:
    """Write the page into one file; texts are shown as they are, no markup in them has an effect.

    `facts` are shown below the title by name. Raise ConfigError where Bokeh is not installed.
    """
    check_page(path)
    text = page_text(title, facts, sections)
    write_whole(path, lambda file: file.write(text.encode()))


def page_text(title: str, facts: Mapping[str, str], sections: Sequence[Section]) -> str:
    """Return what `write_page` writes."""
    from bokeh.embed import components
    from bokeh.resources import Resources

    charts = [part for section in sections for part in section.parts if isinstance(part, Chart)]
    script, places = components([chart.figure for chart in charts]) if charts else ("", [])
    place = iter(places)
    body = []
    for section in sections:
        body.append(f"<section><h2>{html.escape(section.title)}</h2>{_paragraphs(section.text)}")
        for part in section.parts:
            body.append(rich_html(part) if isinstance(part, Table) else _chart(part, next(place)))
        body.append(f"{_paragraphs(section.note, 'note')}</section>")
    told = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts.items())
    library = Resources(mode="inline", components=[LIBRARY]).render_js() if charts else ""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>{html.escape(title)}</title>\n'
        f"<style>{_own('page.css')}</style>\n{library}</head>\n"
        f"<body><h1>{html.escape(title)}</h1><dl>{told}</dl>\n{''.join(body)}\n{script}\n"
        f"<script>{_own('page.js')}</script></body></html>\n"
    )


def rich_html(table: Table) -> str:
    """Return a rich table as one of HTML whose headings sort it; styles are left out."""
    title = f"<h3>{html.escape(str(table.title))}</h3>" if str(table.title or "") else ""
    headings = [_plain(column.header) for column in table.columns]
    cells = [[_plain(cell) for cell in column.cells] for column in table.columns]
    left = [column.justify == "left" for column in table.columns]
    return title + html_table(headings, list(zip(*cells, strict=True)), left=left, sortable=True)


def _chart(chart: Chart, place: str) -> str:
    title = f"<h3>{html.escape(chart.title)}</h3>" if chart.title else ""
    return f'{title}{_keys(chart.keys)}<div class="chart">{place}</div>'


def _keys(keys: Iterable[Key]) -> str:
    made = []
    for key in keys:
        inside = f'<span class="swatch" style="background:{html.escape(key.colour)}"></span>{html.escape(key.name)}'
        pressed = "true" if key.shown else "false"
        made.append(
            f'<button class="key" data-marks="{html.escape(key.marks)}" aria-pressed="{pressed}">{inside}</button>'
            if key.marks
            else f'<span class="key">{inside}</span>'
        )
    return f'<div class="keys">{"".join(made)}</div>' if made else ""


def _paragraphs(text: str, kind: str = "") -> str:
    start = f'<p class="{kind}">' if kind else "<p>"
    return "".join(f"{start}{html.escape(part)}</p>" for part in text.split("\n\n") if part)


def _plain(cell: Any) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)


def _own(name: str) -> str:
    return (HERE / name).read_text("utf-8")
