"""Fitting rankers to files: what is held back, resuming, leaving one out; and which files and rankers are meant."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.folder_lock import writing_folder
from gnnsched_env.forecast.data.file_selection import Selection
from gnnsched_env.forecast.data.program import open_program
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.encoding.portions import Portion, hold_back, part_of_rows, whole
from gnnsched_env.forecast.encoding.samples import prepare
from gnnsched_env.forecast.models import boosting, ranker
from gnnsched_env.forecast.models.boosting import BoostingRanker, BoostingSettings
from gnnsched_env.forecast.models.model_list import open_ranker, open_rankers
from gnnsched_env.forecast.models.network_settings import ConvolutionShape, NetworkSettings
from gnnsched_env.forecast.models.ranker import Session
from gnnsched_env.forecast.scoring.program_scores import score_sample
from gnnsched_env.forecast.training.fitting import fit, leave_one_out
from tests.forecast.little_files import layout_file, tile_file

WITHOUT_TORCH = """\
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""
TREES = BoostingSettings(trees=30, leaves=4, least=2)


def network(**options):
    return NetworkSettings(model=ConvolutionShape(conv="none", width=8, depth=1), steps=6, validate_every=3, **options)


def sample_of(folder, **options):
    return prepare(open_program(layout_file(folder, **options)))


def kernels(folder, count=6):
    for k in range(count):
        tile_file(folder, name=f"kernel_{k}", configs=12 + k, seed=k)
    tile_file(folder, name="one", configs=1, repeats=3)
    return Selection(data=(folder,), collections=("tile:xla",)).open()


def test_rows_become_different_configurations(tmp_path):
    sample = sample_of(tmp_path, configs=5, repeats=4)
    rows = np.flatnonzero(np.isin(sample.groups, [1, 3]))
    assert part_of_rows(sample, rows[::2]).places.tolist() == [1, 3]


@pytest.mark.parametrize(("configs", "held"), [(40, 4), (8, 2), (3, 1), (2, 1)])
def test_of_few_programs_some_configurations_of_each_are_held_back(tmp_path, configs, held):
    part = whole(sample_of(tmp_path, configs=configs))
    (train,), (kept,) = hold_back([part], share=0.1)
    assert len(kept.places) == held
    assert sorted([*train.places, *kept.places]) == list(range(configs))
    again = hold_back([part], share=0.1)[1][0].places
    assert np.array_equal(kept.places, again)
    if configs == 40:
        assert not np.array_equal(kept.places, hold_back([part], share=0.1, seed=1)[1][0].places)


def test_of_many_programs_some_are_held_back_whole(tmp_path):
    samples = [sample_of(tmp_path, name=f"p{k}", configs=6, seed=k) for k in range(10)]
    blind = sample_of(tmp_path, name="blind", labelled=False)
    train, held = hold_back([whole(sample) for sample in (*samples, blind)], share=0.2)
    assert (len(train), len(held)) == (8, 2)
    assert {part.sample.name for part in (*train, *held)} == {sample.name for sample in samples}
    assert all(len(part.places) == 6 for part in (*train, *held))
    with pytest.raises(ConfigError, match="share must be"):
        hold_back(train, share=1.0)


@pytest.mark.slow
def test_trees_are_fitted_saved_and_read_without_torch(tmp_path):
    program = open_program(layout_file(tmp_path, configs=2_000))
    sample = prepare(program, hops=0)
    fitted = fit(TREES, [Portion(sample=sample, rows=np.arange(0, 2_000, 2))], Session(folder=tmp_path / "out"))
    assert fitted.finished
    score = score_sample(fitted.ranker, sample, program, sample.rows[1::2])
    assert score.tau > 0.5
    code = (
        f"{WITHOUT_TORCH}from gnnsched_env.forecast.models.model_list import open_ranker\n"
        f"print(type(open_ranker({str(tmp_path / 'out' / ranker.WEIGHTS)!r})).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == (BoostingRanker.__name__, 0), done.stderr


@pytest.mark.slow
def test_a_missing_torch_is_named():
    code = (
        f"{WITHOUT_TORCH}from gnnsched_env.forecast.models.ranker import Session\n"
        "from gnnsched_env.forecast.training.fitting import fit\n"
        "from gnnsched_env.forecast.models.network_settings import NetworkSettings\n"
        "fit(NetworkSettings(), [], Session())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ConfigError: forecast networks: needs the extra `gnn` (pip" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    sample = sample_of(tmp_path, configs=30)
    config = network()
    straight = fit(config, [whole(sample)], Session())
    lines = []
    session = Session(folder=tmp_path / "out", minutes=1e-9, tensorboard=False, report=lines.append)
    runs = [fit(config, [whole(sample)], session) for _ in range(8)]
    assert [run.finished for run in runs] == [False] * 5 + [True] * 3
    assert any("resumed at step 4 of 6" in line for line in lines)
    loaded = open_ranker(tmp_path / "out" / ranker.WEIGHTS)
    scores = runs[-1].ranker.predict(sample)
    assert np.array_equal(loaded.predict(sample), scores)
    end = fit(config, [whole(sample)], Session(folder=tmp_path / "whole", tensorboard=False)).ranker
    assert np.array_equal(end.predict(sample), straight.ranker.predict(sample))
    other = network(seed=1)
    with pytest.raises(ConfigError, match="of another training"):
        fit(other, [whole(sample)], session)


def test_scores_do_not_depend_on_what_is_asked_for_together(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    sample = sample_of(tmp_path, configs=30)
    attention = ConvolutionShape(conv="sage_mean", width=8, depth=2, norm="instance", attention=True, references=4)
    config = NetworkSettings(model=attention, steps=3, validate_every=3)
    ranker = fit(config, [whole(sample)], Session()).ranker
    every = ranker.predict(sample)
    some = np.array([17, 3, 8])
    assert np.allclose(ranker.predict(sample, some), every[some], atol=1e-5)
    assert np.allclose([ranker.predict(sample, np.array([k]))[0] for k in some], every[some], atol=1e-5)


def test_events_are_for_tensorboard(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    sample = sample_of(tmp_path, configs=30)
    fit(network(), [whole(sample)], Session(folder=tmp_path / "out"))
    assert list((tmp_path / "out" / ranker.EVENTS).glob("events.*"))


def test_one_kernel_after_another_is_left_out(tmp_path):
    opened = kernels(tmp_path)
    seen = []

    class Watched(BoostingRanker):
        @classmethod
        def fit(cls, settings, parts):
            seen.append(sorted(part.sample.name for part in parts))
            return BoostingRanker.fit(settings, parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "BoostingRanker", Watched)
        result = leave_one_out(TREES, opened, Session(folder=tmp_path / "out")).evaluation
    names = [program.name for program in opened.programs]
    assert [score.name for score in result.scores] == names
    assert result.scores[-1].reason == "one distinct configuration"
    assert seen == [[name for name in names if name != left] for left in names[:-1]]
    assert result.collections()[0].slowdowns[1].value < 0.1
    assert (tmp_path / "out" / "kernel_3" / ranker.WEIGHTS).is_file()


def test_a_program_is_left_out_of_all_its_collections(tmp_path):
    """Equal names in two collections are one program: each file has its own ranker and score, and no twin trains it."""
    paths = []
    for seed, collection in enumerate(("default", "random")):
        for k in range(3):
            made = layout_file(tmp_path / collection, name=f"p{k}", configs=20 + 2 * seed + k, seed=10 * seed + k)
            own = tmp_path / "data" / "npz" / "layout" / "xla" / collection / "train" / made.name  # written as random's
            own.parent.mkdir(parents=True, exist_ok=True)
            made.rename(own)
            paths.append(own)
    opened = Selection(data=(tmp_path / "data",)).open()
    seen = []

    class Watched(BoostingRanker):
        @classmethod
        def fit(cls, settings, parts):
            seen.append(sorted((str(part.sample.collection), part.sample.name) for part in parts))
            return BoostingRanker.fit(settings, parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "BoostingRanker", Watched)
        result = leave_one_out(TREES, opened, Session(folder=tmp_path / "out")).evaluation
    kinds = ("layout:xla:default", "layout:xla:random")
    assert [(str(score.collection), score.name) for score in result.scores] == [
        (kind, f"p{k}") for kind in kinds for k in range(3)
    ]
    assert [score.configs for score in result.scores] == [20, 21, 22, 22, 23, 24]
    assert seen == [sorted((kind, f"p{k}") for kind in kinds for k in range(3) if k != left) for left in (0, 1, 2) * 2]
    assert (tmp_path / "out" / "layout-xla-random" / "p2" / ranker.WEIGHTS).is_file()


def test_a_checkpoint_of_a_changed_program_is_refused(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    sample = sample_of(tmp_path, configs=30)
    session = Session(folder=tmp_path / "out", tensorboard=False)
    fit(network(), [whole(sample)], session)
    changed = replace(sample, edge_index=sample.edge_index[:, ::-1].copy(), nodes=sample.nodes + 1)
    with pytest.raises(ConfigError, match="configuration or data differ"):
        fit(network(), [whole(changed)], session)


def test_a_single_kernel_leaves_nothing_to_train_on(tmp_path):
    tile_file(tmp_path)
    opened = Selection(data=(tmp_path,)).open()
    with pytest.raises(ConfigError, match="got 0 of 0"):
        leave_one_out(TREES, opened, Session())


def test_files_are_selected(tmp_path):
    for k in range(3):
        layout_file(tmp_path, name=f"a{k}")
        tile_file(tmp_path, name=f"t{k}")
    tile_file(tmp_path, name="x", split="valid")
    single = tmp_path / "npz" / "tile" / "xla" / "valid" / "x.npz"

    def names(*data, **options):
        return [program.name for program in Selection(data=data or (tmp_path,), **options).open().programs]

    assert names() == ["a0", "a1", "a2", "t0", "t1", "t2"]
    assert names(limit=1) == ["a0", "t0"]
    assert names(split="valid") == ["x"]
    assert names(collections=("tile:xla",), names=("t1",)) == ["t1"]
    assert names(single) == ["x"] == names(single, single)
    files = [tmp_path / "npz" / "tile" / "xla" / "train" / f"t{k}.npz" for k in range(3)]
    assert names(*files, names=("t1",)) == ["t1"] and names(*files, limit=2) == ["t0", "t1"]
    assert names(tmp_path, tmp_path, names=("a1",)) == ["a1"]
    assert names(single, collections=("tile:xla",)) == ["x"]
    for options, message in (
        ({"names": ("t7",)}, "no file is named 't7'"),
        ({"split": "test"}, "no files of split test"),
        ({"collections": ("tile:nlp",)}, "collection must be one of"),
        ({"limit": 0}, "limit must be"),
    ):
        with pytest.raises(ConfigError, match=message):
            names(**options)
    for data, message in (((), "needs a folder or files"), ((tmp_path / "none",), "none does not exist")):
        with pytest.raises(ConfigError, match=message):
            Selection(data=data).open()
    with pytest.raises(ConfigError, match="single files are of one collection"):
        names(single, collections=("tile:xla", "layout:xla:random"))


def test_bad_files_are_skipped_unless_there_are_no_others(tmp_path):
    good, bad = tile_file(tmp_path, name="good"), tile_file(tmp_path, name="bad")
    bad.write_bytes(b"nothing")
    lines = []
    opened = Selection(data=(tmp_path,)).open(lines.append)
    assert [program.name for program in opened.programs] == ["good"]
    assert [path for path, _ in opened.skipped] == [bad]
    assert lines[-1] == "1 of 2 files skipped"
    good.unlink()
    with pytest.raises(ConfigError, match="no file can be read, 1 skipped"):
        Selection(data=(tmp_path,)).open()


def test_rankers_are_named_by_collection(tmp_path):
    sample = sample_of(tmp_path, configs=30)
    fit(TREES, [whole(sample)], Session(folder=tmp_path))
    path = str(tmp_path / ranker.WEIGHTS)
    assert isinstance(open_rankers([path]), BoostingRanker)
    both = [f"layout:xla:random={path}", f"layout:nlp:random={path}"]
    assert list(open_rankers(both)) == ["layout:xla:random", "layout:nlp:random"]
    with pytest.raises(ConfigError, match=r"ranker\.npz ranks layout configurations, which tile:xla has none of"):
        open_rankers([f"tile:xla={path}"])
    for entries, message in (
        ([], "at least one is needed"),
        ([path, path], "must be given as COLLECTION=PATH"),
        ([f"layout:nlp:random={path}"] * 2, "got two of layout:nlp:random"),
        ([f"tile={path}"], "collection must be one of"),
    ):
        with pytest.raises(ConfigError, match=message):
            open_rankers(entries)
    (tmp_path / "text.npz").write_text("no ranker")
    with pytest.raises(FileFormatError, match=r"text\.npz"):
        open_rankers([str(tmp_path / "text.npz")])


def test_bad_settings_are_named():
    with pytest.raises(ConfigError, match="minutes must be"):
        Session(minutes=0)


def test_trainings_that_minutes_cut_short_are_named(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    opened, lines = kernels(tmp_path), []
    found = leave_one_out(network(), opened, Session(minutes=1e-9, report=lines.append))
    assert found.unfinished == tuple(f"kernel_{k}" for k in range(6))
    assert len(lines) == 6 and all(line.endswith(", its training cut short") for line in lines)
    assert leave_one_out(TREES, opened, Session()).unfinished == ()


def test_a_folder_of_another_training_is_not_overwritten(tmp_path):
    sample = sample_of(tmp_path, configs=30)
    session = Session(folder=tmp_path / "out")
    fit(TREES, [whole(sample)], session)
    fit(TREES, [whole(sample)], session)  # the same again
    kept = (tmp_path / "out" / ranker.WEIGHTS).read_bytes()
    with pytest.raises(ConfigError, match=r"ranker.npz is of another training \(its programs differ\)"):
        fit(TREES, [whole(replace(sample, collection=Collection.LAYOUT_NLP_RANDOM))], session)
    for other in (replace(TREES, trees=3), network()):
        with pytest.raises(ConfigError, match=r"ranker.npz is of another training .* choose another folder"):
            fit(other, [whole(sample)], session)
    assert (tmp_path / "out" / ranker.WEIGHTS).read_bytes() == kept
    (tmp_path / "started").mkdir()
    (tmp_path / "started" / ranker.CHECKPOINT).touch()
    with pytest.raises(ConfigError, match="started holds a network's training; trees need another folder"):
        fit(TREES, [whole(sample)], Session(folder=tmp_path / "started"))


def test_a_folder_that_another_training_writes_is_refused(tmp_path):
    opened = kernels(tmp_path)
    parts = [whole(prepare(program)) for program in opened.programs[:2]]
    session = Session(folder=tmp_path / "out")
    for train in (lambda: fit(TREES, parts, session), lambda: leave_one_out(TREES, opened, session)):
        with writing_folder(tmp_path / "out"), pytest.raises(ConfigError, match="out: is being written by process"):
            train()
        assert list((tmp_path / "out").iterdir()) == []
    fit(TREES, parts, session)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ranker.npz"]
