"""The picture of a whole schedule, and the animation."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib import image
from PIL import Image

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.envs.labels import COLOURS, DOWN_COLOUR
from gnnsched_env.report.schedule_pictures import jobs_in_system, plot_schedule, plot_versus, write_gif
from gnnsched_env.sim.schedule import RUN, RunState, schedule_of
from tests import toys
from tests.envs.rendered import made_up_labels, made_up_schedule, make_rendered, play
from tests.extras import needs


def shares(picture):
    """Return how large a share of a picture each colour has."""
    pixels = (picture[..., :3].reshape(-1, 3) * 255).round().astype(int)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    return {tuple(colour): count / len(pixels) for colour, count in zip(colours.tolist(), counts, strict=True)}


@pytest.mark.slow
def test_the_picture_has_every_run_in_its_colour(tmp_path):
    labels, path = made_up_labels(), tmp_path / "new" / "schedule.png"
    plot_schedule(made_up_schedule(), labels, path, title="made up")
    found = shares(image.imread(path))
    first, second, third = (found.get(colour, 0.0) for colour in labels.colours)
    assert first / third == pytest.approx(1.0, abs=0.1)  # 300 cycles each; both have an entry in the legend
    assert first > 0.02  # the legend's entries alone are far less
    assert 0.5 * first < second  # 400 cycles, hatched
    assert found[DOWN_COLOUR] > 0.001 and found[(252, 224, 224)] > 0.01
    assert list(path.parent.iterdir()) == [path]


def test_short_runs_are_drawn_as_long_as_can_be_seen(tmp_path):
    schedule = made_up_schedule(until=1_000_000)
    schedule = replace(schedule, downs=schedule.downs[:0])
    pictures = []
    for cycles in (1, 300, 3000):
        runs = schedule.runs[:1].copy()
        runs["start"], runs["finish"] = 500_100, 500_100 + cycles
        plot_schedule(replace(schedule, runs=runs), made_up_labels(), tmp_path / "a.png")
        pictures.append(image.imread(tmp_path / "a.png"))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])
    axes = pictures[0][: len(pictures[0]) // 2, :, :3]
    assert (axes.max(axis=-1) - axes.min(axis=-1)).max() > 0.15  # blue on white, if blurred over two pixels


@pytest.mark.parametrize("decisions", [0, 20, 1000])
@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_any_stage_of_an_episode_can_be_drawn(decisions, ending, tmp_path):
    env = make_rendered("queue", "ansi")
    play(env, decisions)
    path = tmp_path / f"schedule{ending}"
    plot_schedule(schedule_of(env.batch.simulation), env.labels, path)
    assert path.stat().st_size > 1000


def one_run(job, accelerator, choice, start, finish, until=1000):
    """Return a schedule of one run of class 0."""
    run = (job, 0, accelerator, choice, start, finish, finish, RunState.FINISHED)
    schedule = made_up_schedule(until)
    return replace(schedule, runs=np.array([run], RUN), downs=schedule.downs[:0])


def versus_table(smallest=100):
    """Return a table in which class 0 is predicted fastest under choice 0, and takes 199 elsewhere."""
    rows = [[smallest, *[199] * 5], [100] * 6]
    return toys.table(rows, owners=[0, 0, 0, 1, 1, 1])


@pytest.mark.slow
def test_a_job_has_its_colour_in_both_schedules(tmp_path):
    schedules = one_run(2, 0, 0, 100, 400), one_run(15, 1, 3, 100, 700)
    path = tmp_path / "versus.png"
    plot_versus(schedules, made_up_labels(), versus_table(), path, names=("one", "two"))
    picture = image.imread(path)
    upper, lower = shares(picture[: len(picture) // 3]), shares(picture[len(picture) // 3 :])
    assert upper[COLOURS[2]] > 0.02 and COLOURS[3] not in upper
    assert lower[COLOURS[3]] > 0.02 and COLOURS[2] not in lower
    same = one_run(2, 0, 0, 100, 400), one_run(2, 1, 3, 100, 700)
    plot_versus(same, made_up_labels(), versus_table(), path, names=("one", "two"))
    picture = image.imread(path)
    upper, lower = (shares(part)[COLOURS[2]] * len(part) for part in np.array_split(picture, [len(picture) // 3]))
    assert lower / upper == pytest.approx(2.0, abs=0.15)  # 600 cycles on the same axis as 300, numbers left out


@pytest.mark.slow
def test_dots_mark_runs_of_twice_the_smallest_latency(tmp_path):
    pictures = []
    for smallest in (100, 99):  # 199 is twice as much only of the second
        schedules = one_run(0, 1, 3, 100, 400), one_run(0, 0, 0, 100, 400)
        plot_versus(schedules, made_up_labels(), versus_table(smallest), tmp_path / "a.png", names=("one", "two"))
        pictures.append(image.imread(tmp_path / "a.png"))
    plain, dotted = pictures
    third = len(plain) // 3
    assert not np.array_equal(plain[:third], dotted[:third])
    assert np.array_equal(plain[third:], dotted[third:])


@pytest.mark.slow
def test_the_longer_schedule_sets_the_axis_of_both(tmp_path):
    widths = []
    for until in (1000, 2000):
        schedules = one_run(0, 0, 0, 100, 900), one_run(1, 0, 0, 100, 900, until)
        plot_versus(schedules, made_up_labels(), versus_table(), tmp_path / "a.png", names=("one", "two"))
        widths.append(shares(image.imread(tmp_path / "a.png"))[COLOURS[0]])
    assert widths[0] / widths[1] == pytest.approx(2.0, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("decisions", [0, 20, 1000])
@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_two_schedules_at_any_stage_can_be_drawn(decisions, ending, tmp_path):
    env = make_rendered("queue", "ansi", failures=(30, 5))
    schedules = []
    for seed in (0, 1):
        play(env, decisions, seed)
        schedules.append(schedule_of(env.batch.simulation))
    path = tmp_path / f"versus{ending}"
    plot_versus(tuple(schedules), env.labels, env.table, path, names=("[a$", "b"), title="made up")
    assert path.stat().st_size > 1000


def test_jobs_are_in_the_system_from_arrival_to_finish():
    env = make_rendered("queue", "ansi")
    for decisions in (15, 1000):
        play(env, decisions)
        schedule = schedule_of(env.batch.simulation)
        times, counts = jobs_in_system(schedule)
        assert times[0] == 0 and (np.diff(times) > 0).all()
        jobs = schedule.jobs
        for time, count in zip(times.tolist(), counts.tolist(), strict=True):
            here = (jobs["arrival"] <= time) & ((jobs["finish"] < 0) | (jobs["finish"] > time))
            assert count == here.sum()
    assert counts.max() > 1 and counts[-1] == 0


@needs("pygame")
def test_an_animation_shows_its_frames(tmp_path):
    env = make_rendered("queue", "rgb_array")
    frames = []
    for decisions in (3, 9, 20):
        play(env, decisions)
        frames.append(env.render())
    write_gif(frames, tmp_path / "a.gif", fps=10)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 3
        for k, frame in enumerate(frames):
            animation.seek(k)
            shown = np.asarray(animation.convert("RGB")).astype(int)
            assert (abs(shown - frame) < 24).all(axis=-1).mean() > 0.98


def test_bad_input_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"must end in one of .png, .svg, .pdf, got '.bmp'"):
        plot_schedule(made_up_schedule(), made_up_labels(), tmp_path / "a.bmp")
    with pytest.raises(ConfigError, match=r"must end in one of .png, .svg, .pdf, got '.bmp'"):
        both = made_up_schedule(), made_up_schedule()
        plot_versus(both, made_up_labels(), versus_table(), tmp_path / "a.bmp", names=("one", "two"))
    with pytest.raises(ConfigError, match=r"a.gif: needs at least one frame, got none"):
        write_gif([], tmp_path / "a.gif", fps=10)
    with pytest.raises(ConfigError, match=r"a.mp4: must end in .gif, got '.mp4'"):
        write_gif([np.zeros((2, 2, 3), np.uint8)], tmp_path / "a.mp4", fps=10)
    assert not list(tmp_path.iterdir())
