"""Pictures: what is drawn where, in every mode; RecordVideo; what is missing or wrong."""

import copy
import re
import subprocess
import sys
import warnings
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.passive_env_checker import env_render_passive_checker

from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.common.kernel_cache import warn_once
from gnnsched_env.envs.labels import DOWN_COLOUR, round_step, time_unit
from gnnsched_env.envs.rendering import DOWN_FILL, RENDER_MODES, SIZE, WHITE, Renderer, RenderingUnavailable
from gnnsched_env.envs.text_rendering import render_text
from gnnsched_env.sim.schedule import schedule_of
from tests.envs.environments import ENVIRONMENTS
from tests.envs.rendered import made_up_labels, made_up_schedule, make_rendered, play
from tests.extras import needs

CHART = """\
time 1.000 ms   done 1/9   waiting 1   mean completion 310 µs
a0      |··111111··xxxx333333|
a1      |····2222222!xxxxxx··|
waiting |           ▄██▄▄▄▄▄▄| most 2
         0 ns            1 ms
1 d0  2 d1  3 d2  · idle  x down  ! aborted"""


@pytest.fixture(autouse=True)
def no_screen(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def row(picture, renderer, accelerator, depth=2):
    """Return the colours [width, 3] along an accelerator's row, `depth` pixels below the top of its bars."""
    chart = renderer._chart
    box = chart._box(accelerator, 0, 1, 1.0)
    return picture[box.top + depth, chart.rows.left : chart.rows.right]


def test_text_by_hand():
    assert render_text(made_up_schedule(), made_up_labels(), span=1000, columns=20) == CHART


def test_text_leaves_the_time_to_come_blank_and_slides():
    schedule = made_up_schedule()
    early = render_text(schedule, made_up_labels(), span=2000, columns=20).splitlines()
    assert early[1] == "a0      |·111·xx333          |"
    late = render_text(schedule, made_up_labels(), span=500, columns=20).splitlines()
    assert late[1] == "a0      |xxxxxxxx333333333333|"
    assert late[2] == "a1      |222!xxxxxxxxxxxx····|"


def test_text_shows_what_took_most_of_a_column():
    rows = render_text(made_up_schedule(), made_up_labels(), span=1000, columns=4).splitlines()
    assert rows[1:3] == ["a0      |11x3|", "a1      |·2!x|"]


def test_text_tells_the_most_that_waited_in_a_column():
    text = render_text(made_up_schedule(), made_up_labels(), span=1000, columns=2)
    assert text.splitlines()[3] == "waiting | █| most 2"


@needs("pygame")
def test_a_picture_shows_runs_downtimes_and_cuts_where_they_were():
    labels = made_up_labels()
    renderer = Renderer("rgb_array", labels, span=1000)
    picture = renderer.render(made_up_schedule())
    assert (picture.shape, picture.dtype) == ((SIZE[1], SIZE[0], 3), np.uint8)
    first, second = row(picture, renderer, 0), row(picture, renderer, 1)
    place = lambda cycle: round(cycle * len(first) / 1000)  # noqa: E731
    for colours, begin, end, expected in (
        (first, 0, 100, WHITE),
        (first, 101, 399, labels.colours[0]),
        (first, 401, 499, WHITE),
        (first, 702, 997, labels.colours[2]),
        (second, 902, 997, WHITE),
    ):
        shown = {tuple(colour) for colour in colours[place(begin) + 1 : place(end) - 1].tolist()}
        assert shown - {(205, 207, 212)} == {expected}  # but for the grid
    down = {tuple(colour) for colour in first[place(502) : place(698)].tolist()}
    assert DOWN_FILL in down and len(down) > 1 and labels.colours[0] not in down
    cut = {tuple(colour) for colour in second[place(210) : place(590)].tolist()}
    assert labels.colours[1] in cut and len(cut) > 1
    assert tuple(second[place(600) - 2].tolist()) == DOWN_COLOUR


@needs("pygame")
def test_the_curve_counts_the_waiting():
    renderer = Renderer("rgb_array", made_up_labels(), span=1000)
    picture = renderer.render(made_up_schedule())
    area = renderer._chart.curve
    inside = picture[area.top : area.bottom, area.left : area.right]
    heights = [
        (inside[:, round(cycle * area.width / 1000)] != 255).any(axis=-1).sum() for cycle in (300, 570, 650, 900)
    ]
    unit = (area.height - 2) / 5  # the axis ends at 5
    assert np.allclose(heights, [1, unit, 2 * unit, unit], atol=3)


@needs("pygame")
def test_a_row_is_coloured_as_long_as_it_was_busy():
    env = make_rendered("queue", "rgb_array", load=0.9)
    play(env, 40)
    picture, renderer = env.render(), env._renderer
    schedule = schedule_of(env.batch.simulation)
    first = max(0, schedule.until - renderer.span)
    for accelerator in range(4):
        runs = schedule.runs[schedule.runs["accelerator"] == accelerator]
        busy = np.maximum(runs["finish"] - np.maximum(runs["start"], first), 0).sum() / renderer.span
        colours = row(picture, renderer, accelerator)
        saturated = colours.max(axis=1).astype(int) - colours.min(axis=1) > 20
        assert abs(saturated.mean() - busy) < 0.01 + 2 * len(runs) / len(colours)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
@pytest.mark.parametrize("mode", RENDER_MODES)
def test_gymnasium_checks_what_is_drawn(name, mode):
    if mode != "ansi":
        pytest.importorskip("pygame", reason="pygame is not installed")
    env = make_rendered(name, mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for decisions in (0, 10, 1000):
            play(env, decisions)
            env_render_passive_checker(env)
    env.close()
    env.close()
    env.reset(seed=1)
    env_render_passive_checker(env)  # a closed window opens again
    env.close()


@needs("pygame")
def test_pictures_are_new_arrays_and_repeat():
    env = make_rendered("queue", "rgb_array")
    play(env, 10)
    first, again = env.render(), env.render()
    assert np.array_equal(first, again)
    first[:] = 0
    assert np.array_equal(again, env.render())
    env.step(0)
    assert not np.array_equal(again, env.render())


@needs("pygame")
def test_a_window_shows_the_same_picture():
    import pygame

    human, array = make_rendered("queue", "human"), make_rendered("queue", "rgb_array")
    for env in (human, array):
        play(env, 15)
    assert human.render() is None
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).transpose(1, 0, 2)
    assert np.array_equal(shown, array.render())
    human.close()
    assert not pygame.display.get_init()
    assert array.render().shape == shown.shape  # closing one window leaves other environments' pictures alone


@pytest.mark.slow
@needs("pygame")
def test_a_video_has_a_frame_a_decision(tmp_path):
    pytest.importorskip("moviepy", reason="moviepy is not installed")
    from moviepy import VideoFileClip

    env = make_rendered("queue", "rgb_array", jobs=6)
    video = gymnasium.wrappers.RecordVideo(env, str(tmp_path / "videos"), episode_trigger=lambda episode: True)
    assert play(video, 1000)
    steps = int(env.batch.simulation.lanes[0]["steps"])
    video.close()
    with VideoFileClip(str(tmp_path / "videos" / "rl-video-episode-0.mp4")) as clip:
        assert (tuple(clip.size), clip.fps) == (SIZE, 30)
        assert abs(clip.duration * clip.fps - (steps + 1)) <= 1


@needs("pygame")
def test_a_large_fleet_with_long_names_still_fits():
    count = 70
    labels = replace(
        made_up_labels(count, 40),
        accelerators=tuple(f"accelerator with a very long name {k}" for k in range(count)),
        choice_dataflows=tuple(range(40)) * count,
    )
    schedule = replace(made_up_schedule(), num_accelerators=count)
    renderer = Renderer("rgb_array", labels, span=1000)
    picture = renderer.render(schedule)
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    assert len(set(labels.colours)) == 40
    assert renderer._chart.rows.height > 3 * count
    assert renderer._chart.rows.width > 0.79 * SIZE[0]
    lines = render_text(schedule, labels, span=1000).splitlines()
    assert len(lines) == count + 4
    assert max(len(line) for line in lines[1:-3]) <= 16 + 3 + 72


@pytest.mark.slow
def test_rendering_with_text_or_not_at_all_loads_no_pygame():
    code = (
        "import sys\n"
        "from tests.envs.rendered import make_rendered, play\n"
        "env = make_rendered('queue', 'ansi'); play(env, 5); print(env.render().split()[0])\n"
        "print('pygame' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["time", "False"]


@pytest.mark.parametrize("mode", ["human", "rgb_array"])
def test_without_pygame_the_extra_is_named(mode, monkeypatch):
    env = make_rendered("queue", mode)
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(RenderingUnavailable, match=r"pip install 'gnnsched-env\[render\]'") as caught:
        env.reset(seed=0)  # which draws in "human" mode
        env.render()
    assert isinstance(caught.value, gymnasium.error.DependencyNotInstalled)
    assert isinstance(caught.value, GnnSchedError)
    env.close()


@needs("pygame")
def test_an_environment_that_was_drawn_can_be_copied():
    env = make_rendered("queue", "rgb_array")
    play(env, 5)
    picture = env.render()
    twin = copy.deepcopy(env)
    assert np.array_equal(twin.render(), picture)


def test_bad_input_is_named():
    with pytest.raises(ConfigError, match="render_mode must be one of human, rgb_array, ansi, got 'gif'"):
        Renderer("gif", made_up_labels(), span=5)
    with pytest.raises(ConfigError, match="span must be"):
        Renderer("ansi", made_up_labels(), span=0)


@pytest.mark.parametrize(
    ("length", "most", "step"), [(1.0, 8, 0.2), (7, 1, 10), (10, 1, 10), (101, 1, 200), (3e-6, 6, 5e-7)]
)
def test_steps_are_round(length, most, step):
    assert round_step(length, most) == pytest.approx(step)


def test_units_read_well():
    units = {0.0: "ns", 2e-10: "ns", 5e-9: "ns", 1e-6: "µs", 0.5: "ms", 1.0: "s", 1e5: "s"}
    assert {seconds: time_unit(seconds)[1] for seconds in units} == units


def test_a_window_that_nobody_would_see_is_told_once(monkeypatch, capsys):
    """Without a screen SDL draws "offscreen"; where SDL_VIDEODRIVER names such a driver, it is wanted."""
    pytest.importorskip("pygame", reason="pygame is not installed")
    warn_once.cache_clear()
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for _ in range(2):
        human = make_rendered("queue", "human")
        human.reset(seed=0)
        human.close()
    assert re.fullmatch('warning: render_mode "human": no screen was found, .*\n', capsys.readouterr().err)
    monkeypatch.setenv("SDL_VIDEODRIVER", "no such driver")
    with pytest.raises(GnnSchedError, match=r'^render_mode "human": needs a screen \(.+\); on Linux DISPLAY'):
        make_rendered("queue", "human").reset(seed=0)
