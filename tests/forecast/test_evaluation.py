"""Evaluation of rankers on files: what is ranked, what is skipped, and the baselines."""

import json

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.forecast.data.folder_tree import Opened
from gnnsched_env.forecast.data.program import open_program
from gnnsched_env.forecast.data.row_splits import part_of, read_split
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.encoding.samples import prepare
from gnnsched_env.forecast.models.simple_rankers import RandomRanker, RidgeRanker, layout_codes
from gnnsched_env.forecast.scoring.program_scores import (
    Evaluation,
    evaluate,
    predict_rows,
    score_program,
    submission_rows,
)
from gnnsched_env.forecast.scoring.rank_scores import GraphScore, kendall_tau
from gnnsched_env.forecast.scoring.submission import read_submission, write_submission
from tests.forecast.little_files import layout_file, tile_file

ALEXNET = "npz/layout/xla/default/train/alexnet_train_batch_32.npz"


class BySum:
    """Ranks by the sum of a configuration's entries; keeps what it was shown."""

    def __init__(self):
        self.shown = []

    hops = 2

    def predict(self, sample, rows=None):
        raw = sample.raw if rows is None else sample.raw[rows]
        self.shown.append((sample, raw))
        return raw.reshape(len(raw), -1).astype(np.float64).sum(axis=1)


class Fixed:
    def __init__(self, scores):
        self.scores = np.asarray(scores, np.float64)

    hops = None

    def predict(self, sample, rows=None):
        return self.scores


def opened(*programs, skipped=()):
    return Opened(programs=list(programs), skipped=list(skipped))


@pytest.fixture(scope="module")
def alexnet(shared):
    path = shared / "tpugraphs" / ALEXNET
    if not path.is_file():
        pytest.skip(f"{path} not found")
    return open_program(path)


@pytest.fixture(scope="module")
def split(shared, alexnet):
    path = shared / "tpugraphs" / "alexnet_config_split.json"
    parts = read_split(path)
    return {name: part_of(path, parts, name, alexnet) for name in ("train", "heldout")}


def test_original_configurations_are_ranked_and_duplicates_have_equal_scores(tmp_path):
    path = layout_file(tmp_path, configs=12, repeats=3)
    program = open_program(path)
    ranker = BySum()
    score = score_program(ranker, program)
    rows = program.configurations().reshape(36, -1).astype(np.float64).sum(axis=1)
    assert score.configs == 36
    assert len(ranker.shown[0][1]) == 12
    assert score.tau == kendall_tau(rows, program.runtimes.astype(np.float64))
    scores = predict_rows(ranker, prepare(program))
    assert np.array_equal(scores, rows)


def test_merged_configurations_count_once_with_their_mean_runtime(tmp_path):
    program = open_program(layout_file(tmp_path, configs=12, repeats=3))
    raw, runtimes = program.configurations().reshape(36, -1), program.runtimes.astype(np.float64)
    _, which = np.unique(raw, axis=0, return_inverse=True)
    rows = np.flatnonzero(np.isin(which, np.arange(3, 12)))[::-1]
    score = score_program(BySum(), program, rows, merged=True)
    sums = [float(raw[which == k][0].astype(np.float64).sum()) for k in range(3, 12)]
    means = [runtimes[which == k].mean() for k in range(3, 12)]
    assert score.configs == 9
    assert score.tau == pytest.approx(kendall_tau(sums, means))
    (found,) = evaluate(BySum(), opened(program), rows={"little": rows}, merged=True).scores
    assert found == score


def test_rows_are_scored_against_their_own_targets(tmp_path):
    program = open_program(layout_file(tmp_path, configs=12, repeats=3))
    rows = np.array([30, 2, 7, 19, 5, 11])
    sums = program.configurations(rows).reshape(6, -1).astype(np.float64).sum(axis=1)
    ranker = BySum()
    result = evaluate(ranker, opened(program), rows={program.name: rows})
    ((sample, raw),) = ranker.shown
    assert (sample.num_configs, len(raw)) == (12, len(np.unique(sums)))  # all of the file, asked for some of it
    assert result.scores[0].tau == kendall_tau(sums, program.targets()[rows])
    assert result.scores[0].configs == 6
    with pytest.raises(ConfigError, match=r"0\.\.35"):
        evaluate(BySum(), opened(program), rows={program.name: np.array([3, 36])})


def test_a_perfect_ranker_has_perfect_scores(tmp_path):
    program = open_program(tile_file(tmp_path, configs=9))
    perfect = Fixed(prepare(program).targets)
    score = score_program(perfect, program)
    assert (score.tau, score.pairs, score.slowdowns, score.competition) == (1.0, 1.0, (0.0, 0.0, 0.0), 1.0)
    assert score_program(Fixed(-perfect.scores), program).tau == -1.0


def test_what_cannot_be_ranked_or_read_is_counted(tmp_path):
    programs = [
        open_program(tile_file(tmp_path, name="good", configs=9)),
        open_program(tile_file(tmp_path, name="single", configs=1, repeats=4)),
        open_program(tile_file(tmp_path, name="unlabelled", configs=9, labelled=False)),
    ]
    broken = open_program(tile_file(tmp_path, name="broken", configs=4_000))
    content = bytearray(broken.path.read_bytes())
    middle = content.rindex(b"config_feat.npy", 0, -400) + 2_000
    content[middle : middle + 64] = bytes(64)
    broken.path.write_bytes(bytes(content))
    lines, counted = [], []
    result = evaluate(
        BySum(),
        opened(*programs, broken, skipped=[(tmp_path / "x.npz", "no npz")]),
        report=lines.append,
        advance=counted.append,
    )
    assert [score.reason for score in result.scores] == ["", "one distinct configuration", "unlabelled"]
    (total,) = result.collections()
    assert (total.graphs, total.excluded) == (1, 2)
    assert [path.name for path, _ in result.skipped] == ["x.npz", "broken.npz"]
    assert len(lines) == 1 and "broken.npz" in lines[0]
    assert sum(counted) == 4
    record = json.loads(json.dumps(result.record(), allow_nan=False))
    assert record["graphs"][1]["tau"] is None and record["competition"] is None
    assert record["skipped"][0] == {"file": str(tmp_path / "x.npz"), "reason": "no npz"}


def test_the_competition_needs_all_collections():
    def score(kind, tau):
        return GraphScore(name="a", collection=kind, configs=2, tau=tau, pairs=tau, slowdowns=(0.5, 0.25, 0.0))

    every = [score(kind, 0.5) for kind in Collection]
    assert Evaluation(scores=every, skipped=[]).competition() == pytest.approx((4 * 0.5 + 0.75) / 5)
    assert Evaluation(scores=every[1:], skipped=[]).competition() is None
    empty = GraphScore(name="b", collection=every[0].collection, configs=1, reason="one configuration")
    assert Evaluation(scores=[empty, *every[1:]], skipped=[]).competition() is None


def test_a_ranker_of_the_wrong_shape_is_named(tmp_path):
    program = open_program(tile_file(tmp_path, configs=9))
    with pytest.raises(ConfigError, match=r"each of 9 configurations, got \(3,\)"):
        score_program(Fixed([1, 2, 3]), program)


def test_a_submission_ranks_original_configurations_of_unlabelled_files(tmp_path):
    layout = open_program(layout_file(tmp_path, configs=6, repeats=2, labelled=False))
    tile = open_program(tile_file(tmp_path, configs=4, repeats=3, labelled=False))
    path = tmp_path / "submission.csv"
    write_submission(path, submission_rows(BySum(), [layout, tile]))
    keys = f"layout:xla:random:{layout.name}", f"tile:xla:{tile.name}"
    rows = read_submission(path, {keys[0]: 12, keys[1]: 12})
    sums = layout.configurations().reshape(12, -1).astype(np.float64).sum(axis=1)
    assert rows[keys[0]].tolist() == np.argsort(sums, kind="stable").tolist()
    top = tile.configurations(rows[keys[1]])
    assert len(top) == len(np.unique(top, axis=0)) == 4  # no place is wasted on a duplicate
    assert (np.diff(top.sum(axis=1)) >= 0).all()


def test_random_ranks_repeat_and_mean_nothing(tmp_path):
    program = open_program(layout_file(tmp_path, configs=400))
    sample = prepare(program)
    first = RandomRanker(3).predict(sample)
    assert np.array_equal(first, RandomRanker(3).predict(sample))
    assert not np.array_equal(first, RandomRanker(4).predict(sample))
    some = np.array([7, 3, 250])
    assert np.array_equal(RandomRanker(3).predict(sample, some), first[some])
    assert abs(score_program(RandomRanker(3), program).tau) < 0.15
    with pytest.raises(ConfigError, match="seed must be"):
        RandomRanker(-1)


def test_ridge_ranks_what_adds_up_over_nodes(tmp_path):
    program = open_program(layout_file(tmp_path, configs=400))
    train, score = np.arange(0, 400, 2), np.arange(1, 400, 2)
    ranker = RidgeRanker(prepare(program), train)
    assert score_program(ranker, program, score).tau > 0.9


def test_ridge_refuses_other_files(tmp_path):
    sample = prepare(open_program(layout_file(tmp_path, configs=9)))
    other = prepare(open_program(layout_file(tmp_path, name="other", configs=9, first=2)))
    tile = prepare(open_program(tile_file(tmp_path, configs=9)))
    blind = prepare(open_program(layout_file(tmp_path, name="blind", configs=9, labelled=False)))
    with pytest.raises(ConfigError, match="other: the ridge regression knows little only"):
        RidgeRanker(sample).predict(other)
    with pytest.raises(ConfigError, match="ranks layout files, got one of tile:xla"):
        RidgeRanker(tile)
    with pytest.raises(ConfigError, match="blind: needs runtimes"):
        RidgeRanker(blind)


def test_layouts_have_one_code_each(tmp_path):
    sample = prepare(open_program(layout_file(tmp_path, configs=60)))
    codes = layout_codes(sample)
    for node in range(codes.shape[1]):
        rows = sample.raw[:, node]
        assert len(np.unique(codes[:, node])) == len(np.unique(rows, axis=0))
        for code in np.unique(codes[:, node]):
            assert len(np.unique(rows[codes[:, node] == code], axis=0)) == 1


@pytest.mark.slow
def test_ridge_on_alexnet_is_the_published_one(alexnet, split):
    """Fitted to original configurations, it ranks held-out ones with tau 0.759; merged first, a little better."""
    plain = RidgeRanker(prepare(alexnet, rows=split["train"], merge=False))
    assert score_program(plain, alexnet, split["heldout"]).tau == pytest.approx(0.759, abs=0.0005)
    merged = RidgeRanker(prepare(alexnet, rows=split["train"]))
    assert score_program(merged, alexnet, split["heldout"]).tau == pytest.approx(0.7685, abs=0.0005)
