"""Jobs that are read from a source, part by part, play as jobs that are drawn at once."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.envs import EnvBatch
from gnnsched_env.envs.exports import write_csv
from gnnsched_env.envs.labels import ScheduleLabels
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import Scenario, simulation_settings
from gnnsched_env.sim import Simulation
from gnnsched_env.sim.schedule import schedule_of
from gnnsched_env.sim.totals import JobTotals
from tests.envs.environments import hetero_table

pytestmark = pytest.mark.kernels

JOBS = 150
CASES = [
    {},
    {"load": 1.4, "window": 3},
    {"failures": {"up": 60.0, "down": 15.0}, "window_order": "shortest", "load": 1.1},
    {"arrivals": {"process": "bursty", "deadlines": [1, 9], "priorities": [[1, 3], [5, 1]]}, "reward": "tardiness"},
]


class Recorded:
    """The jobs of an episode, as a source; `asked` counts how often they were asked for."""

    def __init__(self, jobs):
        self.jobs = jobs.copy()
        self.num_jobs = len(jobs)
        self.asked = 0

    def chunks(self, size):
        self.asked += 1
        for first in range(0, self.num_jobs, 7):
            yield self.jobs[first : first + 7]


def settings_of(options, dispatch):
    if dispatch:
        options = {name: value for name, value in options.items() if not name.startswith("window")}
    scenario = Scenario(name="random", fleet=load_fleet("hetero4"), table=hetero_table())
    scenario = scenario.with_options(jobs=JOBS, **options)
    return simulation_settings(scenario, hetero_table(), dispatch=dispatch)


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("capacity", [12, 40, 1000])
@pytest.mark.parametrize("options", CASES)
def test_parts_play_as_the_whole(options, capacity, dispatch):
    settings = settings_of(options, dispatch)
    whole = EnvBatch(hetero_table(), settings, lanes=2)
    whole.reset([5, 5], [0, 0])
    source = Recorded(whole.simulation.jobs[0])
    parts = EnvBatch(hetero_table(), settings, lanes=2, source=source, capacity=capacity)
    parts.reset([5, 5], [0, 0])
    rng = np.random.default_rng(1)
    while not whole.ended[0]:
        legal = (rng.random(whole.mask.shape[1]) * whole.mask[0]).argmax()
        actions = np.repeat(legal, 2).astype(np.int64)
        for batch in (whole, parts):
            batch.step(actions)
        for name, array in whole.observation.items():
            assert (array == parts.observation[name]).all(), name
        assert (whole.mask == parts.mask).all()
        assert (whole.rewards == parts.rewards).all()
        assert (whole.times == parts.times).all()
    assert parts.ended.all()
    expected, counted = JobTotals(), JobTotals()
    expected.add(whole.simulation.jobs[1], whole.simulation.true)
    counted.add(parts.simulation.jobs[1][: parts.simulation.lanes["loaded"][1]], parts.simulation.true)
    if parts.simulation.streaming:
        counted = parts.simulation.forgotten[1].plus(counted)
    for name in JobTotals.__slots__:
        assert getattr(counted, name) == pytest.approx(getattr(expected, name), rel=1e-9), name


@pytest.mark.parametrize("capacity", [None, 12])
def test_playing_takes_the_steps_that_are_taken_one_by_one(capacity):
    settings = settings_of({"load": 1.2}, dispatch=True)
    which = np.array([5, 6], np.uint64), np.zeros(2, np.uint64), np.ones(2, bool)
    drawn = Simulation(hetero_table(), settings, lanes=2)
    drawn.reset(*which)
    read = {} if capacity is None else {"source": Recorded(drawn.jobs[0]), "capacity": capacity}
    both = [Simulation(hetero_table(), settings, lanes=2, **read) for _ in range(2)]
    for simulation in both:
        simulation.reset(*which)
    actions = np.random.default_rng(0).integers(0, 9, (JOBS + 1, 2))
    left = iter(actions)
    both[0].play(lambda: next(left))
    for number in range(JOBS):
        both[1].step(actions[number])
    assert both[1].lanes["ended"].all() and (both[0].lanes == both[1].lanes).all() and len(list(left)) == 1
    both[0].play(lambda: next(left))  # which has ended
    with pytest.raises(ConfigError, match=r"an array of int64 \[2\] is needed"):
        both[0].reset(*which)
        both[0].play(lambda: np.zeros(3, np.int64))


def test_memory_is_that_of_the_jobs_in_the_system():
    settings = settings_of({"load": 0.5}, dispatch=False)
    drawn = Simulation(hetero_table(), settings)
    drawn.reset(np.zeros(1, np.uint64), np.zeros(1, np.uint64), np.ones(1, bool))
    source = Recorded(drawn.jobs[0])
    batch = EnvBatch(hetero_table(), settings, source=source, capacity=32)
    batch.reset([0])
    while not batch.ended[0]:
        batch.step(np.array([batch.mask[0].argmax()]))
    assert batch.simulation.jobs.shape[1] < JOBS
    batch.reset([0])  # the source is read from its beginning again
    assert (batch.simulation.jobs[0]["arrival"][0], source.asked) == (drawn.jobs[0]["arrival"][0], 2)


def test_what_a_source_cannot_give_is_refused():
    settings = settings_of({}, dispatch=False)
    few = Recorded(np.zeros(3, [("arrival", "i8"), ("due", "i8"), ("weight", "f8"), ("job_class", "i4")]))
    with pytest.raises(ConfigError, match=r"jobs must be at most the 3 that the trace has, got 150"):
        Simulation(hetero_table(), settings, source=few)
    costly = replace(settings, jobs=3, decision=10)
    with pytest.raises(ConfigError, match=r"a decision cost needs all jobs in memory, at most 2, got 3"):
        Simulation(hetero_table(), costly, source=few, capacity=2)


def test_pictures_and_exports_of_a_streamed_episode(tmp_path):
    settings = settings_of({"failures": {"up": 60.0, "down": 15.0}, "load": 0.6}, dispatch=False)
    whole = EnvBatch(hetero_table(), settings)
    whole.reset([5])
    parts = EnvBatch(hetero_table(), settings, source=Recorded(whole.simulation.jobs[0]), capacity=24)
    parts.reset([5])
    labels = ScheduleLabels.of(whole.table, 1_000_000_000)
    while not whole.ended[0]:
        action = np.array([whole.mask[0].argmax()])
        for batch in (whole, parts):
            batch.step(action)
        full, held = schedule_of(whole.simulation), schedule_of(parts.simulation)
        for name in ("until", "arrived", "done", "waiting"):
            assert getattr(full, name) == getattr(held, name), name
        assert full.mean_completion == pytest.approx(held.mean_completion, nan_ok=True)
        assert (held.runs["start"] >= 0).all()
    assert len(held.jobs) < JOBS == len(full.jobs)
    with pytest.raises(ConfigError, match=r"all jobs of the episode must be in memory, but \d+ of 150 are not"):
        write_csv(held, labels, tmp_path / "jobs.csv")
