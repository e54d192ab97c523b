"""The command that writes the report page, of each source that it takes, and what it refuses."""

import numpy as np
import pytest

from gnnsched_agents.run_folder import RunFolder
from gnnsched_baselines.learned.pair_network import initial_network, save_network
from gnnsched_env.common.files import write_json
from tests.commands.running import gnnsched
from tests.extras import needs
from tests.report import pages
from tests.tiny_training import TINY

pytestmark = needs("bokeh")


@pytest.mark.slow
def test_a_file_of_evaluate_becomes_a_page(tmp_path):
    records, page = tmp_path / "records.json", tmp_path / "new" / "report.html"
    words = ("--jobs", 10, "--episodes", 2, "--load", 0.5, 0.9, "--policies", "sjf", "fifo", "--json", records)
    assert gnnsched("evaluate", *words).returncode == 0
    done = gnnsched("report", records, "--html", page, "--policies", "fifo", "sjf", "--load", 0.5, "--seed", 7)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"wrote {page}\n", "")
    text = page.read_text()
    assert "The episode of seed 7, hetero4, at load 0.5." in text and "fifo: mean completion" in text


def test_results_of_the_benchmark_become_a_page(tmp_path, monkeypatch):
    result, page = pages.write_bench(tmp_path / "result.json", monkeypatch), tmp_path / "report.html"
    done = gnnsched("report", result, "--html", page, "--task", "full/hetero4-poisson-0.8")
    assert (done.returncode, done.stderr) == (0, "") and "hetero4, at load 0.8" in page.read_text()


def write_training(folder):
    """Write the folder of a training that was validated twice, its best weights those it began with."""
    figures = {"ratio": 1.5, "error": 0.1, "sjf_ratio": 1.2}
    curve = [{"iteration": k, "decisions": 100 * k, "minutes": 0.5 * k, **figures} for k in range(2)]
    state = {"config": TINY.plain(), "iteration": 1, "decisions": 100, "seconds": 30.0, "curve": curve}
    files = RunFolder(folder)
    files.write(state, lambda path: path.write_bytes(b""))
    save_network(files.best, initial_network(3, np.random.default_rng(0)), {})


@pytest.mark.slow
def test_a_training_becomes_a_page_with_its_best_policy_at_work(tmp_path):
    folder, page = tmp_path / "run", tmp_path / "report.html"
    write_training(folder)
    done = gnnsched("report", folder, "--html", page, "--episodes", 1)
    text = page.read_text()
    assert done.returncode == 0 and "Learning curve" in text and "assignment: mean completion" in text
    assert f"agent:{folder}/best.npz: mean completion" in text
    (folder / "best.npz").write_bytes(b"")
    assert gnnsched("report", folder, "--html", page).returncode == 0
    assert "Nothing could be played" in page.read_text()


def test_what_cannot_be_done_is_told_in_one_line_before_anything_is_written(tmp_path):
    records = pages.write_records(tmp_path / "records.json")
    other = tmp_path / "other.json"
    write_json(other, {"answer": 42})
    curve = tmp_path / "curve.json"
    write_json(curve, {"points": [{"decisions": 1, "seconds": 0.0, "ratios": {"a": 1.0}}]})
    (tmp_path / "empty").mkdir()
    page = tmp_path / "report.html"
    for words, told in (
        ((tmp_path / "none.json",), "must be given a file or a folder, but there is no"),
        ((tmp_path / "empty",), "must be the folder of a training, but has no checkpoint.json"),
        ((other,), "must be a file of `gnnsched evaluate --json` or `gnnsched bench --json`"),
        ((records, "--task", "x"), "--task: does not go with the page of an evaluation"),
        ((records, "--load", 0.7), "load must be one of"),
        ((records, "--policies", "sjf", "no_such"), "unknown policy 'no_such'"),
        ((curve, "--seed", 3), "--seed: does not go with the page of a learning curve"),
    ):
        done = gnnsched("report", *words, "--html", page)
        assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1, done.stderr
    done = gnnsched("report", records, "--html", records)
    assert done.returncode == 2 and "--html: must be another file than that of source" in done.stderr
    assert not page.exists()
    assert gnnsched("report", curve, "--html", page).returncode == 0 and "Learning curve: a" in page.read_text()


@pytest.mark.parametrize("name", ["records", "format", "points"])
def test_files_with_one_fault_are_refused(name, tmp_path):
    write_json(tmp_path / "a.json", {name: "gnnsched-bench-result"})
    done = gnnsched("report", tmp_path / "a.json", "--html", tmp_path / "b.html")
    assert done.returncode == 2 and done.stderr.startswith(f"error: {tmp_path / 'a.json'}: ")
