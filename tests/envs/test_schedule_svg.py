"""What a notebook shows of a schedule: every run in its place and colour, and no markup of a name."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from gnnsched_env.envs.labels import css
from gnnsched_env.envs.schedule_svg import schedule_svg
from tests.envs.rendered import made_up_labels, made_up_schedule, make_rendered, play

SVG = "{http://www.w3.org/2000/svg}"


def bars(schedule, labels):
    """Return the bars' elements by their titles; those without one are downtimes and keys."""
    root = ElementTree.fromstring(schedule_svg(schedule, labels))
    found = {rect.findtext(f"{SVG}title"): rect for rect in root.iter(f"{SVG}rect")}
    return root, found


def test_a_bar_is_as_long_as_its_run_and_in_its_dataflow_s_colour():
    labels = made_up_labels()
    root, found = bars(made_up_schedule(), labels)
    first = found["job 0 (small), d0, 100 µs to 400 µs"]
    cut = found["job 1 (large), d1, 200 µs to 600 µs, cut short"]
    running = found["job 2 (small), d2, 700 µs to 1 ms"]
    assert [one.get("fill") for one in (first, cut, running)] == [css(colour) for colour in labels.colours]
    assert float(cut.get("width")) / float(first.get("width")) == pytest.approx(4 / 3, abs=0.01)
    assert first.get("y") == running.get("y") != cut.get("y")
    assert cut.get("stroke") and not first.get("stroke")
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert {"a0", "a1", "d0", "d1", "d2", "most 2"} <= set(texts) and any("done 1/9" in text for text in texts)


def test_names_have_no_effect_as_markup():
    labels = replace(made_up_labels(), classes=("<b>&", "large"), accelerators=("</svg>", "a1"))
    _, found = bars(made_up_schedule(), labels)
    assert "job 0 (<b>&), d0, 100 µs to 400 µs" in found  # read back as it was
    assert "<b>" not in schedule_svg(made_up_schedule(), labels)


@pytest.mark.parametrize("decisions", [0, 20, 1000])
def test_an_environment_s_schedule_is_shown_at_any_stage(decisions):
    env = make_rendered("queue", "ansi")
    play(env, decisions)
    schedule = env.schedule()
    root = ElementTree.fromstring(schedule._repr_html_())
    titles = [rect.findtext(f"{SVG}title") for rect in root.iter(f"{SVG}rect")]
    assert sum(title is not None for title in titles) == len(schedule.runs)
    width, height = map(float, root.get("viewBox").split()[2:])
    for rect in root.iter(f"{SVG}rect"):
        assert 0 <= float(rect.get("x")) <= float(rect.get("x")) + float(rect.get("width")) <= width
        assert float(rect.get("y")) + float(rect.get("height")) <= height
