"""Replays of live runs: exact where the devices were, and calibrated to what they did."""

import json
from dataclasses import replace

import numpy as np
import pytest

import gnnsched_baselines  # noqa: F401
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.live.live_fleet import load_live_fleet
from gnnsched_env.live.live_run import LIVE_JOB
from gnnsched_env.live.replay.calibrated_executor import CalibratedExecutor, Draws
from gnnsched_env.live.replay.calibrated_scenario import PARTS, write_calibrated
from gnnsched_env.live.replay.calibration import MOST_VALUES, Calibration, distribution, exact_calibration
from gnnsched_env.live.replay.comparison import compare_runs, rankings
from gnnsched_env.live.replay.finished_runs import FinishedRun, figures, read_finished
from gnnsched_env.live.replay.fitting import Sample, fit_calibration, overlaps
from gnnsched_env.live.replay.replaying import replay_calibrated, replay_run
from gnnsched_env.scenario import load_scenario, scenario_table
from tests.live.little_runs import FLEET, little_table, write_run

TABLE = little_table()
EXACT = exact_calibration(FLEET, TABLE)
REAL = replace(
    EXACT,
    corrections=((1.2, 1.2, 0.8, 1.5), (0.9, 0.9, 1.2, 1.2), *((1.2, 1.2, 0.8, 1.5),) * 4),
    slowdowns=(0.3, 0.1),
    residuals=(tuple(np.linspace(0.8, 1.2, 50)), (0.9, 1.0, 1.1)),
    dispatch_ns=((300_000.0,), (100_000.0, 200_000.0)),
    report_ns=((250_000.0,), (50_000.0,)),
)


@pytest.mark.parametrize("policy", ["fifo", "assignment"])
def test_a_run_without_overhead_is_replayed_exactly(policy, tmp_path):
    (made,) = read_finished([write_run(tmp_path, policy=policy, load=0.9, jobs=60)])
    for jobs in (replay_run(made), *replay_calibrated(made, EXACT, replays=2, seed=5)):
        assert all(np.array_equal(jobs[name], made.jobs[name]) for name in LIVE_JOB.names if name != "predicting_us")


def test_predicting_and_deciding_take_their_time(tmp_path):
    (made,) = read_finished([write_run(tmp_path, jobs=5)])
    known = replace(EXACT, coming_ns=(1e6,), deciding_ns={"": (7e6,), "sjf": (2e6,)})
    (jobs,) = replay_calibrated(made, known, replays=1)
    assert jobs["ready"][0] - jobs["arrival"][0] == 1_000_000
    assert jobs["decided"][0] - jobs["ready"][0] == 2_000_000


def followed(executor, until=10_000):
    """Return (moment, device, started, finished) of all reports until a time."""
    told = []
    while executor.now() < until:
        told += [(executor.now(), one.device, one.started, one.finished) for one in executor.wait(until)]
    return told


def test_devices_slow_each_other_down_while_both_work():
    known = replace(
        EXACT,
        slowdowns=(0.5, 0.2),
        dispatch_ns=((10.0,), (0.0,)),
        report_ns=((0.0,), (5.0,)),
        corrections=((2, 1, 1, 1),),
    )
    executor = CalibratedExecutor(np.array([[50, 100, 100, 100]]), known, Draws(0, 4))
    executor.start(0, job=0, attempt=0, job_class=0, choice=0)  # 100 of work from 10 on
    executor.wait(40)
    executor.start(1, job=1, attempt=0, job_class=0, choice=2)  # 100 of work from 40 on
    # device 0 has 70 left at 40, works at half speed: until 180; device 1 at 0.8, with 100: until 165.
    # At 165 device 0 has 70 - 62.5 = 7.5 left, and works alone: until 172.5, at a whole nanosecond 173.
    assert followed(executor) == [(170, 1, 40, 165), (173, 0, 10, 173)]
    with pytest.raises(ConfigError, match="device 1 must be idle"):
        for job in (2, 3):
            executor.start(1, job=job, attempt=0, job_class=0, choice=2)


def test_a_scheduler_that_is_busy_sees_reports_late():
    executor = CalibratedExecutor(TABLE.true_cycles, EXACT, Draws(0, 4))
    executor.start(0, job=0, attempt=0, job_class=0, choice=1)
    took = int(TABLE.true_cycles[0, 1])
    executor.spend(took + 70)
    executor.start(1, job=1, attempt=0, job_class=0, choice=3)
    assert followed(executor, 1 << 30)[0] == (took + 70, 0, 0, took)
    executor.start(0, job=2, attempt=0, job_class=0, choice=0)
    executor.stop(0, "too long")
    assert [str(one.kind) for one in executor.wait(executor.now())] == ["lost", "up"]


def test_overlap_is_the_share_of_the_others_that_work():
    jobs = np.zeros(4, LIVE_JOB)
    jobs["started"], jobs["finished"] = [0, 20, 100, 30], [100, 60, 110, 50]
    found = overlaps(jobs, np.array([0, 1, 1, 2]), 3)
    assert found.tolist() == pytest.approx([(40 + 20) / 200, (40 + 20) / 80, 0.0, (20 + 20) / 40])


@pytest.fixture(scope="module")
def real_runs(tmp_path_factory):
    """Return runs on devices as REAL says: two policies, two loads, of two seeds."""
    place = tmp_path_factory.mktemp("runs")
    folders = [
        write_run(
            place / f"{p}{load}{seed}", calibration=REAL, policy=p, load=load, seed=seed, jobs=400, draws=seed + 100
        )
        for p in ("sjf", "fifo")
        for load in (0.3, 0.7)
        for seed in (1, 2)
    ]
    return read_finished(folders)


def test_a_fit_finds_what_the_devices_did_and_other_runs_are_replayed_well(real_runs, tmp_path):
    fitted = [made for made in real_runs if made.run.seed == 1]
    found = fit_calibration(fitted)
    assert found.slowdowns == pytest.approx(REAL.slowdowns, abs=0.04)
    sample = Sample.of(fitted)
    assert sample.overlap.min() >= 0.0 and sample.overlap.max() <= 1.0
    pairs, counts = np.unique(np.stack([sample.job_class, sample.choice]), axis=1, return_counts=True)
    for job_class, choice in pairs[:, counts >= 100].T.tolist():
        assert found.corrections[job_class][choice] == pytest.approx(REAL.corrections[job_class][choice], rel=0.05)
    assert np.mean(found.residuals[0]) == pytest.approx(1.0, abs=0.03) and len(found.residuals[0]) == MOST_VALUES
    assert np.quantile(found.residuals[0], [0.1, 0.9]) == pytest.approx([0.84, 1.16], abs=0.03)
    assert np.mean(found.dispatch_ns, axis=1) == pytest.approx([300_000, 150_000], rel=0.05)
    assert np.mean(found.report_ns, axis=1) == pytest.approx([250_000, 50_000], rel=0.001)
    assert set(found.deciding_ns) == {"", "sjf", "fifo"} and max(found.coming_ns) == 0.0
    found.save(tmp_path / "calibration.json")
    assert Calibration.load(tmp_path) == found
    others = [made for made in real_runs if made.run.seed == 2]
    before = compare_runs(others, lambda made: [replay_run(made)])
    after = compare_runs(others, lambda made: replay_calibrated(made, found, replays=4), found.fitted_on)
    assert max(abs(one.error("mean_completion")) for one in after) < 0.1
    assert min(abs(one.error("mean_completion")) for one in before) > 0.15
    assert not any(one.fitted for one in after) and all(map(found.fitted_on, fitted))
    for one in after:
        interval = one.simulated["mean_completion"]
        assert interval.low < interval.value < interval.high and one.noise["mean_completion"] is None


def test_noise_is_no_slowdown(tmp_path):
    known = replace(REAL, slowdowns=(0.0, 0.0))
    (made,) = read_finished([write_run(tmp_path, calibration=known, jobs=400)])
    assert fit_calibration([made]).slowdowns == (0.0, 0.0)


def test_a_calibrated_scenario_is_read_and_has_the_calibrated_means(real_runs, tmp_path):
    known = replace(REAL, overlap=(0.5, 0.0), coming_ns=(2_000.0,), deciding_ns={"": (3_000.0,)})
    scenario = write_calibrated(known, TABLE, tmp_path, repeats=2)
    again = load_scenario(str(tmp_path / "scenario.toml"))
    table = scenario_table(again)
    assert again.decision.latency_us == 5.0 and again.fleet.clock_hz == 10**9 and scenario.name == again.name
    assert table.num_classes == PARTS * TABLE.num_classes and table.weights.sum() == pytest.approx(1.0)
    assert np.array_equal(table.predicted_cycles[::PARTS], 2 * TABLE.predicted_cycles)
    true = table.true_cycles.reshape(TABLE.num_classes, PARTS, -1)
    assert (np.diff(true[..., 0], axis=1) > 0).all()
    factors = np.array(REAL.corrections) / [0.85, 0.85, 1.0, 1.0]
    overheads = np.array([550_000, 550_000, 200_000, 200_000])
    assert true.mean(axis=1) == pytest.approx(2 * TABLE.true_cycles * factors + overheads, rel=1e-6)
    for text, told in (
        ("predictor = 'exact'", "but predictor is given"),
        ("[workload]\nseed = 3", "but seed is given"),
    ):
        (tmp_path / "both.toml").write_text(f"fleet = 'fleet.toml'\ntable = 'table.npz'\n{text}\n")
        with pytest.raises(ConfigError, match=f"table replaces .*{told}"):
            load_scenario(tmp_path / "both.toml")


def made_up(real_runs, policy, seed, completion):
    """Return a finished run whose jobs all completed in the same time."""
    made = real_runs[0]
    jobs = made.jobs.copy()
    jobs["reported"] = jobs["arrival"] + completion
    return FinishedRun(folder=f"{policy}{completion}", run=replace(made.run, policy=policy, seed=seed), jobs=jobs)


def test_noise_errors_and_rankings_of_made_up_runs(real_runs):
    times = {"a": (100, 110), "b": (112, 108), "c": (200, 200)}
    runs = [made_up(real_runs, policy, 1, time) for policy, own in times.items() for time in own]
    simulated = {"a": 120, "b": 90, "c": 90}

    asked = []

    def replay(made):
        asked.append(made.run.policy)
        return [made_up(real_runs, "", 1, simulated[made.run.policy] + shift).jobs for shift in (-1, 1)]

    found = {one.policy: one for one in compare_runs(runs, replay)}
    assert list(found) == ["a", "b", "c"] and asked == ["a", "b", "c"]  # once for both repeats
    assert found["a"].real["mean_completion"] == 105.0 and found["a"].error("p99_completion") == 120 / 105 - 1
    assert found["a"].noise["mean_completion"] == pytest.approx(10 / 105) and found["c"].noise["utilisation"] == 0.0
    assert found["b"].simulated["p50_completion"].low == pytest.approx(89.05)
    (ranking,) = rankings(list(found.values()))
    # a > b = c in the simulator, a < b < c in reality; a and b differ by less than the noise
    assert ranking.tau == pytest.approx(-2 / np.sqrt(6)) and ranking.policies == ("a", "b", "c")
    assert (ranking.told_apart, ranking.agreed, ranking.tau_told_apart) == (2, 0, -1.0)
    assert rankings([found["a"]]) == []
    (apart,) = compare_runs([made_up(real_runs, "a", seed, 90 + seed) for seed in (1, 2)], replay)
    assert apart.noise["mean_completion"] is None and apart.real["mean_completion"] == 91.5
    lone = compare_runs([runs[0], made_up(real_runs, "b", 2, 50)], replay)
    assert rankings(lone) == [] and lone[0].noise["mean_completion"] is None


def test_figures_are_those_of_the_runs_own_metrics(tmp_path):
    (made,) = read_finished([write_run(tmp_path, calibration=REAL)])
    told = json.loads((tmp_path / "metrics.json").read_text())["metrics"]
    found = figures(made.jobs, 2)
    assert {name: told[name] for name in found} == pytest.approx(found)


def test_distributions_keep_their_mean():
    values = np.random.default_rng(0).lognormal(size=1_003)
    assert len(distribution(values)) == MOST_VALUES and distribution(np.array([3, 1, 2])) == (1.0, 2.0, 3.0)
    for count in (101, 150, 1_003):
        found = distribution(values[:count])
        assert np.mean(found) == pytest.approx(values[:count].mean()) and list(found) == sorted(found)
        assert found[0] >= values[:count].min() and found[-1] <= values[:count].max()


def test_bad_calibrations_are_refused(tmp_path):
    path = tmp_path / "calibration.json"
    EXACT.save(path)
    good = path.read_text()
    for old, new, told in (
        ('"version": 1', '"version": 2', "version must be 1, got 2"),
        ("gnnsched-live-calibration", "x", "must be a calibration"),
        ('"coming_ns"', '"coming"', "unknown key 'coming'"),
        ('"overlap": [', '"overlap": [1, ', "overlap must have 2 entries, got 3"),
        ('"slowdowns": [\n  0.0', '"slowdowns": [\n  2.0', "slowdowns must be at most 0.9"),
        ('"coming_ns": [\n  0.0', '"coming_ns": [\n  -1', "coming_ns must not be negative, got -1"),
        ('"coming_ns": [\n  0.0', '"coming_ns": [\n  "a"', "coming_ns must be lists of finite numbers"),
        ('"": [', '"sjf": [', "must have an entry ''"),
        ('"corrections": [\n  [\n   1.0', '"corrections": [\n  [\n   0', "must be above 0"),
    ):
        assert old in good, old
        path.write_text(good.replace(old, new))
        with pytest.raises(FileFormatError, match=rf"^{path}: .*{told}"):
            Calibration.load(path)
    other = replace(load_live_fleet("cpu2"), name="sleep2")
    (made,) = read_finished([write_run(tmp_path / "run")])
    for known, told in ((replace(EXACT, fleet=other), "another fleet"), (replace(EXACT, table="x"), "another latency")):
        with pytest.raises(ConfigError, match=told):
            replay_calibrated(made, known)
