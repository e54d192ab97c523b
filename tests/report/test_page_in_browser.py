"""The report page in a real browser: it opens without errors and without a network, and its charts and tables work."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from gnnsched_env.evaluation.records_file import read_records
from tests.extras import needs
from tests.report import pages

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    needs("bokeh", "playwright"),
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
    pytest.mark.slow,
]
HOSTILE = "<img src=x onerror=alert(1)>"
COLOURED = 60  # a pixel whose channels differ by more is of a mark, not of an axis
RANGES = "[...new Set(Bokeh.documents.flatMap(d => [...d.all_models]).filter(m => m.type == 'Range1d'))]"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Write a page of an evaluation, whose job classes have markup for names."""
    from gnnsched_env.report.page.evaluated import evaluation_facts, evaluation_sections
    from gnnsched_env.report.page.gantt import gantt_charts
    from gnnsched_env.report.page.html_page import Section, write_page

    folder = tmp_path_factory.mktemp("browser")
    recorded = read_records(pages.write_records(folder / "records.json"))
    sections = evaluation_sections(recorded, episodes=1)[:-1]
    episodes = [pages.played(name, classes=HOSTILE) for name in ("sjf", "fifo")]
    sections.append(Section(title="Schedules", parts=gantt_charts(episodes)))
    write_page(folder / "page.html", HOSTILE, evaluation_facts(recorded), sections)
    return folder / "page.html"


@pytest.fixture(params=[(400, "light"), (1600, "dark")], ids=str)
def page(browser, file, request):
    """Open the page; what the browser complains of and asks for is in `page.told`."""
    width, scheme = request.param
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    told = []
    opened.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
    opened.on("request", lambda asked: told.append(asked.url) if asked.url != file.as_uri() else None)
    opened.goto(file.as_uri())
    opened.wait_for_function("window.Bokeh && Bokeh.documents.length && Bokeh.documents.every(d => d.is_idle)")
    yield opened, told
    assert told == []
    opened.close()


def coloured(element):
    """Return how many pixels of an element have a colour."""
    pixels = np.asarray(Image.open(io.BytesIO(element.screenshot())).convert("RGB")).astype(int)
    return int((pixels.max(axis=-1) - pixels.min(axis=-1) > COLOURED).sum())


def gantt(opened):
    """Scroll to the first Gantt chart; return its element."""
    chart = opened.locator(".chart").nth(-3)
    chart.scroll_into_view_if_needed()
    return chart


def span(opened):
    """Return the beginning and the end of the schedules' time axis."""
    return opened.evaluate(f"{RANGES}.map(m => [m.start, m.end])[0]")


def test_every_chart_has_marks_and_nothing_is_wider_than_the_page(page):
    opened, _ = page
    charts = opened.locator(".chart").all()
    assert len(charts) == 6
    for chart in charts:
        chart.scroll_into_view_if_needed()
        opened.wait_for_timeout(100)
        assert coloured(chart) > 150
    widths = opened.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]


def test_the_wheel_zooms_all_schedules_and_dragging_moves_them(page):
    opened, _ = page
    queue = opened.locator(".chart").nth(-1)
    before = coloured(queue)
    box, whole, scrolled = gantt(opened).bounding_box(), span(opened), opened.evaluate("scrollY")
    opened.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    opened.keyboard.down("Control")
    for _ in range(4):
        opened.mouse.wheel(0, -200)
        opened.wait_for_timeout(50)
    opened.keyboard.up("Control")
    opened.wait_for_function(f"{RANGES}[0].end < {whole[1]}")
    opened.wait_for_timeout(200)
    near = span(opened)
    assert near[0] > whole[0] and near[1] < whole[1] and opened.evaluate("scrollY") == scrolled
    opened.mouse.down()
    for share in (0.65, 0.7, 0.75, 0.8):
        opened.mouse.move(box["x"] + share * box["width"], box["y"] + 0.5 * box["height"])
        opened.wait_for_timeout(50)
    opened.mouse.up()
    opened.wait_for_function(f"{RANGES}[0].start < {near[0]}")
    moved = span(opened)
    assert moved[0] < near[0] and moved[1] - moved[0] == pytest.approx(near[1] - near[0])
    opened.wait_for_timeout(200)
    assert coloured(queue) != before


def test_a_run_s_tooltip_shows_its_job_and_no_markup(page):
    opened, _ = page
    box = gantt(opened).bounding_box()
    shown = opened.get_by_text("regret", exact=True)
    for share in np.linspace(0.3, 0.95, 40):
        opened.mouse.move(box["x"] + share * box["width"], box["y"] + 0.5 * box["height"])
        opened.wait_for_timeout(40)
        if shown.count() and shown.first.is_visible():
            break
    text = shown.first.locator("xpath=../..").inner_text()
    assert HOSTILE in text and "predicted" in text and "waited" in text


def test_headings_sort_and_names_hide_their_lines(page):
    opened, _ = page
    heading = opened.get_by_role("button", name="C", exact=True)
    cells = opened.locator("table").first.locator("tbody tr td:nth-child(4)")
    for step in (1, -1):
        heading.click()
        values = [float(text.replace(",", "")) for text in cells.all_inner_texts()]
        assert values == sorted(values, reverse=step < 0) and len(set(values)) > 3
    chart = opened.locator(".chart").first
    before = coloured(chart)
    for name in pages.POLICIES[:2]:
        opened.locator("button.key", has_text=name).first.click()
    opened.wait_for_timeout(300)
    assert 0 < coloured(chart) < 0.75 * before
