"""Results: scores by a slow twin, files that are refused once changed, and playing again."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import gnnsched_baselines  # noqa: F401  (registers policies)
from gnnsched_env.bench import results
from gnnsched_env.bench.play import Played, play, suite_score
from gnnsched_env.bench.results import Result, play_again, read_results, run_suite, tasks_of, write_results
from gnnsched_env.bench.tasks import bench_tasks
from gnnsched_env.common.errors import ConfigError, FileFormatError, GnnSchedError
from gnnsched_env.evaluation import policy_factory
from gnnsched_env.report.leaderboard import markdown, page

TASKS = {task.name: task for task in bench_tasks("small")[:2]}


@pytest.fixture(autouse=True)
def two_tasks(monkeypatch):
    """Let the suite be two tasks."""
    monkeypatch.setattr(results, "bench_tasks", lambda suite=None: tuple(TASKS.values()))


@pytest.fixture(scope="module")
def played():
    factory = policy_factory("fifo", dispatch=False)
    return tuple(play(task, factory) for task in TASKS.values())


@pytest.fixture
def result(played):
    return Result(policy="fifo", suite="small", training="", source="", played=played)


def test_scores_are_ratios_of_distances_to_the_bound(played):
    ratios = []
    for one in played:
        policy = sum(a - b for a, b in zip(one.completions, one.task.bound, strict=True))
        reference = sum(a - b for a, b in zip(one.task.reference, one.task.bound, strict=True))
        ratios.append(policy / reference)
        assert one.score.value == pytest.approx(policy / reference)
        assert one.score.low < one.score.value < one.score.high
        assert one.knowledge == "none" and one.decision_us > 0
    whole = suite_score(played)
    assert whole.value == pytest.approx(math.sqrt(ratios[0] * ratios[1]))
    assert whole.low < whole.value < whole.high and ratios[0] > 1.5


def test_the_reference_scores_one_and_the_bound_nothing():
    task = next(iter(TASKS.values()))
    for completions, value in ((task.reference, 1.0), (task.bound, 0.0)):
        one = Played(task=task, completions=completions, knowledge="true", decision_us=1.0)
        assert one.score.value == one.score.low == one.score.high == value


def test_a_file_of_results_is_read_as_it_was_written(result, tmp_path):
    path = tmp_path / "result.json"
    write_results(path, [result])
    (read,) = read_results(path)
    assert read == result and "`fifo`" in markdown([read]) and "<td>fifo</td>" in page([read])


CHANGES = {
    "a byte": (lambda data: data["results"][0].update(policy="sjf"), "SHA-256 do not agree"),
    "the format": (lambda data: data.update(format="x"), "must be of the format"),
    "the version": (lambda data: data.update(version=2), "version must be 1, got 2"),
    "the benchmark": (lambda data: data.update(benchmark="gnnsched-bench v2"), "benchmark must be"),
}
FORGED = {
    "a task's hash": (
        lambda one: one["tasks"][0].update(digest="0" * 64),
        "the hash of task 'small/hetero4-poisson-0.8'",
    ),
    "a score": (lambda one: one.update(score=[0.5, 0.4, 0.6]), "the score of the suite must be"),
    "a task's score": (lambda one: one["tasks"][1].update(score=[0.5, 0.4, 0.6]), "the score of small/"),
    "a time below its bound": (
        lambda one: one["tasks"][0]["completions"].__setitem__(0, 5),
        "none below its proved bound",
    ),
    "a missing episode": (lambda one: one["tasks"][0]["completions"].pop(), "must be 20 integers"),
    "a missing task": (lambda one: one["tasks"].pop(), "the score of the suite must be"),
    "no task": (lambda one: one["tasks"].clear(), "must hold some of the 2 tasks of the suite 'small'"),
    "another order": (lambda one: one["tasks"].reverse(), "each once and in their order, got 2 tasks"),
    "a task twice": (lambda one: one["tasks"].append(one["tasks"][0]), "each once and in their order, got 3 tasks"),
    "an unknown task": (lambda one: one["tasks"][0].update(task="mine"), "unknown task 'mine'"),
    "a missing key": (lambda one: one.pop("knowledge"), "not a result"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_changed_is_refused(change, result, tmp_path):
    path = tmp_path / "result.json"
    write_results(path, [result])
    data = json.loads(path.read_text())
    CHANGES[change][0](data)
    path.write_text(json.dumps(data))
    with pytest.raises(FileFormatError, match=CHANGES[change][1]):
        read_results(path)


@pytest.mark.parametrize("forgery", FORGED)
def test_a_forged_file_is_refused_though_its_hash_is_right(forgery, result, tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    change, message = FORGED[forgery]
    whole = result.to_dict()
    change(whole)
    monkeypatch.setattr(Result, "to_dict", lambda self: whole)
    write_results(path, [result])
    with pytest.raises(FileFormatError, match=message):
        read_results(path)


def test_playing_again_gives_the_same_to_the_last_digit(result):
    again = run_suite("fifo", "small")
    assert [one.completions for one in again.played] == [one.completions for one in result.played]
    assert play_again(result) == []


def test_playing_again_finds_what_another_policy_did(result):
    differences = play_again(Result(policy="sjf", suite="small", training="", source="", played=result.played))
    assert len(differences) > 30 and differences[0].told != differences[0].found


def test_a_part_of_a_suite_is_kept_and_stands_behind_whole_results(result, played, monkeypatch, tmp_path):
    other = replace(played[1].task, fleet="other")
    monkeypatch.setattr(results, "bench_tasks", lambda suite=None: (played[0].task, other))
    assert [task.fleet for task in tasks_of("small", ["other"])] == ["other"]
    with pytest.raises(ConfigError, match="fleet must be one of hetero4, other, got 'hetero5'"):
        run_suite("fifo", "small", fleets=["hetero5"])
    half = run_suite("sjf", "small", fleets=["hetero4"])
    assert [one.task for one in half.played] == [played[0].task]
    write_results(tmp_path / "half.json", [half])
    assert read_results(tmp_path / "half.json") == [half] and play_again(half) == []
    whole = replace(result, played=(played[0], replace(played[1], task=other)))
    told = markdown([half, whole])
    assert told.index("| `fifo` | ") < told.index("| `sjf (1 of 2 tasks)` | ")  # though its score is smaller
    by_fleet = [line.split(" | ") for line in told.splitlines() if line.startswith("| `sjf` | ")]
    assert [cell.strip(" |") for cell in by_fleet[0]][2] == "-" and len(by_fleet) == 1


def test_a_policy_whose_file_changed_is_not_played_again(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def choose(observation, mask):\n    return int(mask.argmax())\n")
    name = f"file:{path}"
    own = Result(policy=name, suite="small", training="", source=results.policy_source(name), played=())
    path.write_text("def choose(observation, mask):\n    return int(len(mask) - 1 - mask[::-1].argmax())\n")
    with pytest.raises(GnnSchedError, match="the SHA-256 of its file must be"):
        play_again(own)


def test_geometric_means_have_the_intervals_of_a_slow_twin(played):
    from gnnsched_env.common.stats import DRAWS, SEED, geometric_ratio

    rng = np.random.default_rng(7)
    pairs = [(rng.uniform(1, 2, 5), rng.uniform(2, 3, 5)), (rng.uniform(1, 9, 3), rng.uniform(1, 2, 3))]
    generator = np.random.default_rng(SEED)
    logs = np.zeros(DRAWS)
    for top, bottom in pairs:
        for draw, counts in enumerate(generator.multinomial(len(top), np.full(len(top), 1 / len(top)), size=DRAWS)):
            logs[draw] += math.log((counts * top).sum() / (counts * bottom).sum()) / 2
    found = geometric_ratio(pairs)
    assert found.value == pytest.approx(math.sqrt(math.prod(top.mean() / bottom.mean() for top, bottom in pairs)))
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(np.percentile(logs, [2.5, 97.5]))))
