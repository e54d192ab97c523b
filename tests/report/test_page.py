"""The report page: its figures are those of the file and of the episodes, and it is one file without a network."""

import re
from dataclasses import replace

import numpy as np
import pytest
from rich.table import Table

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.evaluation import policy_factory, run_policy
from gnnsched_env.evaluation.records_file import read_records
from gnnsched_env.scenario import scenario_table
from tests.extras import needs
from tests.report import pages

pytestmark = needs("bokeh")
HOSTILE = "<img src=x onerror=alert(1)></script><b>"


def text_of(sections, facts=None):
    from gnnsched_env.report.page.html_page import page_text

    return page_text("<i>title", facts or {}, sections)


def charts(sections):
    from gnnsched_env.report.page.html_page import Chart

    return {part.title: part for section in sections for part in section.parts if isinstance(part, Chart)}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    from gnnsched_env.report.page.evaluated import evaluation_sections

    recorded = read_records(pages.write_records(tmp_path_factory.mktemp("page") / "records.json"))
    return recorded, evaluation_sections(recorded, episodes=2)


def test_the_table_holds_every_record_and_its_headings_sort(evaluated):
    recorded, sections = evaluated
    text = text_of(sections[:1])
    rows = re.findall(r"<tr><td[^>]*>(\w+)</td><td>([\d.]+)</td>", text)
    assert sorted(rows) == sorted((record["policy"], f"{record['load']:g}") for record in recorded.records)
    assert "<button>C / SJF*</button>" in text and "th[aria-sort=ascending]" in text


def test_lines_over_load_are_the_records_ratios_with_their_intervals(evaluated):
    recorded, sections = evaluated
    chart = next(part for section in sections if "over load" in section.title for part in section.parts)
    found = {columns["name"][0]: columns for columns in pages.sources(chart)}
    for policy in pages.POLICIES:
        own = [record for record in recorded.records if record["policy"] == policy]
        ratios = np.array([record["ratio_to_sjf_clairvoyant"]["completion"] for record in own])
        drawn = np.stack([found[policy][name] for name in ("value", "low", "high")], axis=1)
        assert np.array_equal(drawn, ratios) and found[policy]["x"].tolist() == [0.5, 0.9]


def test_one_load_is_shown_as_intervals_by_policy(tmp_path):
    from gnnsched_env.report.page.evaluated import evaluation_sections

    recorded = read_records(pages.write_records(tmp_path / "records.json", loads=(0.9,)))
    sections = evaluation_sections(recorded, episodes=1)
    chart = next(part for section in sections if section.title == "Completion" for part in section.parts)
    columns = pages.sources(chart)[0]
    best = recorded.records[0]
    assert columns["name"][0] == best["policy"]
    value, low, high = best["ratio_to_sjf_clairvoyant"]["completion"]
    assert [columns[name][0] for name in ("low", "middle", "high")] == [low, value, high]


def test_distributions_are_those_of_the_file_s_episodes(evaluated):
    recorded, sections = evaluated
    chart = charts(sections)["Jobs that are done within a time"]
    best = [record for record in recorded.records if record["load"] == 0.9][:2]
    scenario = recorded.scenario(best[0])
    for record, columns in zip(best, pages.sources(chart), strict=True):
        factory = policy_factory(record["policy"], dispatch=False)
        runs = run_policy(factory, scenario, scenario_table(scenario), dispatch=False, seed=4, episodes=2)
        seconds = runs.pooled("completion") / scenario.fleet.clock_hz
        assert columns["name"][0] == record["policy"]
        ratio = columns["x"][[0, -1]] / [seconds.min(), seconds.max()]
        assert ratio[0] == pytest.approx(ratio[1]) and columns["share"][-1] == 1.0


def test_all_the_file_s_episodes_give_its_means(tmp_path):
    from gnnsched_env.report.page.evaluated import evaluation_sections

    recorded = read_records(pages.write_records(tmp_path / "records.json"))
    sections = evaluation_sections(recorded, episodes=99, load=0.5)
    columns = pages.sources(charts(sections)["Jobs that are done within a time"])[0]
    record = next(one for one in recorded.records if one["load"] == 0.5)
    assert len(columns["x"]) == record["episodes"] * record["jobs"]
    scale = np.median(columns["x"]) / record["p50_completion"]
    assert columns["x"].mean() == pytest.approx(record["mean_completion"] * scale)


def test_a_run_s_tooltip_says_what_the_schedule_and_the_table_say():
    from gnnsched_env.report.page.gantt import gantt_charts

    episode = pages.played()
    gantt, queue = gantt_charts([episode])
    (columns,) = [one for one in pages.sources(gantt) if "job" in one and len(one["job"])]
    runs, jobs, table, labels = episode.schedule.runs, episode.schedule.jobs, episode.table, episode.labels
    assert len(columns["job"]) == len(runs) == 15
    for k, run in enumerate(runs):
        job = jobs[run["job"]]
        true = table.true_cycles[run["job_class"]]
        waited = run["start"] - job["ready"]
        expected = {
            "job_class": labels.classes[run["job_class"]],
            "predicted": labels.time(int(table.predicted_cycles[run["job_class"], run["choice"]])),
            "true": labels.time(int(run["finish"] - run["start"])),
            "waited": labels.time(int(waited)),
            "regret": f"{true[run['choice']] / true.min():.3f}",
            "completion": labels.time(int(job["finish"] - job["arrival"])),
        }
        assert {name: columns[name][k] for name in expected} == expected
    lengths = (columns["right"] - columns["left"]) / (runs["finish"] - runs["start"])
    assert lengths == pytest.approx(lengths[0])
    (curve, *_) = pages.sources(queue)
    assert curve["count"][:-1].tolist() == episode.schedule.waiting_counts.tolist()


def test_two_policies_move_on_one_time_axis_coloured_by_dataflow():
    from gnnsched_env.report.page.gantt import gantt_charts

    episodes = [pages.played("sjf"), pages.played("fifo")]
    made = gantt_charts(episodes)
    assert len(made) == 3 and len({chart.figure.x_range.id for chart in made}) == 1
    assert {key.name for key in made[0].keys} == {
        episode.labels.dataflow(choice) for episode in episodes for choice in episode.schedule.runs["choice"]
    }
    colours = {key.name: key.colour for key in made[0].keys}
    for chart, episode in zip(made, episodes, strict=False):
        (columns,) = [one for one in pages.sources(chart) if "job" in one and len(one["job"])]
        assert columns["dataflow"].tolist() == [episode.labels.dataflow(one) for one in episode.schedule.runs["choice"]]
        assert columns["colour"].tolist() == [colours[name] for name in columns["dataflow"]]


def test_runs_that_failures_cut_short_are_drawn_apart():
    from gnnsched_env.report.page.gantt import gantt_charts

    episode = pages.played("fifo", failures=(20, 2), jobs=80)
    gantt, _ = gantt_charts([episode])
    states = [one["state"] for one in pages.sources(gantt) if "state" in one]
    assert set(states[0]) == {"finished"} and set(states[1]) == {"cut short"}
    assert sum(map(len, states)) == len(episode.schedule.runs) > 80
    assert gantt.keys[-1].name.startswith("down")


def test_a_long_schedule_is_drawn_in_part_and_the_page_says_so(monkeypatch):
    from gnnsched_env.report.page import gantt, played

    for room in (gantt, played):
        monkeypatch.setattr(room, "MOST_RUNS", 10)
    scenario = pages.SCENARIO
    sections = played.played_sections(
        ("sjf",), scenario, scenario_table(scenario), dispatch=False, first_seed=0, episodes=1, seed=0
    )
    assert "first 10 runs" in sections[1].note
    assert max(len(one["job"]) for one in pages.sources(sections[1].parts[0]) if "job" in one) == 10


def test_the_page_is_one_file_without_a_network(evaluated):
    text = text_of(evaluated[1])
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"']?\s*(?:https?:)?//", text.split("</head>")[1])
    assert "<link" not in text and "@import" not in text and not re.search(r"<script[^>]*\ssrc", text)
    assert "url(http" not in text
    assert 1_000_000 < len(text) < 2_500_000  # Bokeh's core alone: no widgets, tables or mathematics


def test_names_have_no_effect_as_markup(evaluated):
    from gnnsched_env.report.page.charts import Line, lines_chart
    from gnnsched_env.report.page.gantt import gantt_charts
    from gnnsched_env.report.page.html_page import Section

    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    episode = replace(pages.played(classes=HOSTILE), policy=HOSTILE)
    line = Line(name=HOSTILE, x=[1.0], values=[(1.0, 1.0, 1.0)], tips=[{"a": HOSTILE}])
    lines = lines_chart([line], x_label="x", y_label="y", title=HOSTILE, marks=HOSTILE)
    section = Section(title=HOSTILE, text=HOSTILE, note=HOSTILE, parts=(table, lines, *gantt_charts([episode])))
    text = text_of([section], {HOSTILE: HOSTILE})
    assert "<img" not in text and "</script><b>" not in text and "<i>title" not in text
    assert text.count("&lt;img src=x") > 10


def test_what_cannot_be_played_again_is_told_on_the_page(tmp_path):
    from gnnsched_env.report.page.evaluated import evaluation_sections

    lacking = read_records(
        pages.write_records(tmp_path / "a.json", change=lambda data: data["provenance"].pop("workload"))
    )
    sections = evaluation_sections(lacking, episodes=1)
    assert "does not say workload" in sections[-1].text and not sections[-1].parts
    with pytest.raises(FileFormatError, match="does not say workload"):
        evaluation_sections(lacking, policies=("sjf",), episodes=1)

    def newer(data):
        data["provenance"]["tables"][0]["code"] = "0" * 64

    other = read_records(pages.write_records(tmp_path / "b.json", change=newer))
    assert "another version" in evaluation_sections(other, episodes=1)[-1].note


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"load": 0.7}, r"load must be one of .*records.json's \(0.5, 0.9\), got 0.7"),
        ({"policies": ("sjf", "fifo", "random")}, "policies must be one or 2 policies"),
        ({"policies": ("sjf", "sjf")}, "policy names must differ, got 'sjf' twice"),
        ({"policies": ("sfj",)}, "unknown policy 'sfj'; did you mean 'sjf'"),
        ({"policies": ("sjf",), "episodes": 0}, "episodes must be an integer of at least 1, got 0"),
    ],
)
def test_bad_options_are_named(options, told, tmp_path):
    from gnnsched_env.report.page.evaluated import evaluation_sections

    recorded = read_records(pages.write_records(tmp_path / "records.json"))
    with pytest.raises(ConfigError, match=told):
        evaluation_sections(recorded, **{"episodes": 1, **options})


def test_the_benchmark_s_page_shows_scores_over_load_and_their_episodes(monkeypatch, tmp_path):
    from gnnsched_env.bench.play import suite_score
    from gnnsched_env.bench.results import read_results
    from gnnsched_env.report.page.benchmarked import bench_sections

    read = read_results(pages.write_bench(tmp_path / "result.json", monkeypatch))
    sections = bench_sections(read, episodes=1)
    found = charts(sections)
    by_name = {columns["name"][0]: columns for columns in pages.sources(found["Score over load, with 95 % intervals"])}
    for result in read:
        scores = [suite_score((one,)) for one in result.played]
        assert by_name[result.policy]["value"].tolist() == [score.value for score in scores]
        assert by_name[result.policy]["high"].tolist() == [score.high for score in scores]
    fifo = next(one for one in read if one.policy == "fifo").played
    own = [
        (done - least) / (first - least)
        for one in fifo
        for done, least, first in zip(one.completions, one.task.bound, one.task.reference, strict=True)
    ]
    columns = next(one for one in pages.sources(found["Episodes at or below a score"]) if one["name"][0] == "fifo")
    assert columns["x"] == pytest.approx(sorted(own))
    assert sections[-1].note.endswith("Task full/hetero4-poisson-0.5.")
    with pytest.raises(ConfigError, match=r"task must be one of full/hetero4-poisson-0\.5, full/hetero4-poisson-0\.8"):
        bench_sections(read, task="full/hetero4-poisson-0.9", episodes=1)
    with pytest.raises(ConfigError, match="at least one result, got none"):
        bench_sections([], episodes=1)


def test_a_learning_curve_is_drawn_as_it_was_measured():
    from gnnsched_env.report.page.trained import points_sections, training_sections

    entry = {"iteration": 3, "decisions": 2_000_000, "minutes": 1.0, "ratio": 0.9, "error": 0.1, "sjf_ratio": 0.7}
    sections = training_sections("run", [{**entry, "decisions": 0}, {**entry, "ratio_at_0.8": 0.8}], "assignment")
    columns = pages.sources(sections[0].parts[0])[0]
    assert columns["x"].tolist() == [0.0, 2.0]  # millions
    assert columns["low"] == pytest.approx(0.9 / 1.1) and columns["high"] == pytest.approx(0.99)
    data = {"points": [{"decisions": 5000, "ratios": {"a": 1.5}}], "rivals": {"a": {"sjf": 1.0}}}
    (section,) = points_sections("curve.json", data)
    assert pages.sources(section.parts[0])[0]["x"].tolist() == [5.0]
    assert [key.name for key in section.parts[0].keys] == ["trained", "sjf"]
    with pytest.raises(FileFormatError, match="run: has not been validated yet"):
        training_sections("run", [], "assignment")
    for bad in ({"points": [{"decisions": 1, "ratios": {"a": "x"}}]}, {"points": []}, {**data, "rivals": {"a": 3}}):
        with pytest.raises(FileFormatError, match=r"curve.json: (points|rivals of 'a') must be"):
            points_sections("curve.json", bad)
