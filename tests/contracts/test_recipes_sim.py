"""docs/how-to/add_a_reward_term.md, add_an_arrivals_process.md and add_a_scenario_option.md, followed on copies."""

import json

import pytest

from tests.contracts.recipes import ROOT, Copy, examples

pytestmark = pytest.mark.slow  # a copy compiles its kernels anew


def follow(folder, page, *, files):
    """Return a copy in which a page has been followed, which must touch so many files."""
    copy = Copy(folder)
    assert copy.follow(page) == files
    return copy


def records(copy, *words):
    """Return the condition records of a short evaluation by the copy's command line, and its help on one line."""
    path = copy.folder / "records.json"
    short = ("--policies", "sjf", "--jobs", "60", "--episodes", "2", "--json", path)
    copy.run("-m", "gnnsched_cli", "evaluate", *words, *short)
    told = copy.run("-m", "gnnsched_cli", "evaluate", "--help", COLUMNS="80")
    return json.loads(path.read_text())["records"], " ".join(told.replace("│", " ").split())


def scenario_file(copy, page):
    """Write the scenario that a page shows; return its path."""
    path = copy.folder / "scenario.toml"
    path.write_text(examples(page, "toml")[0])
    return path


def test_a_reward_term_is_one_file(tmp_path):
    page = "add_a_reward_term.md"
    copy = follow(tmp_path, page, files=1)
    charged, _, _, _, missed, _ = copy.run("-c", examples(page)[0]).split()
    assert 0 < int(charged) < 300 and charged == missed
    code = """
import gymnasium, gnnsched_env
import numpy as np
from gnnsched_env.sim.rewards import episode_charges

rng = np.random.default_rng(0)
options = {"arrivals": {"deadlines": (1, 9)}, "failures": (200, 20), "reward": {"completion": 0.5, "misses": 2.0}}
for name in ("Queue", "Dispatch"):
    env = gymnasium.make(f"gnnsched/{name}-v0", jobs=200, load=0.9, **options)
    observation, info = env.reset(seed=1)
    charged, ended = 0.0, False
    while not ended:
        action = rng.choice(np.flatnonzero(info["action_mask"]))
        observation, reward, ended, truncated, info = env.step(action)
        charged -= reward
    simulation, unit = env.unwrapped.batch.simulation, env.unwrapped.metadata["reward_unit_cycles"]
    jobs = simulation.jobs[0]
    late = sum(int(job["finish"] > job["due"]) for job in jobs)
    slow = 0.5 * sum(int(job["finish"] - job["arrival"]) for job in jobs) / unit + 2.0 * late / 200
    assert 0 < late < 200, late
    stated = episode_charges(simulation.settings, simulation.jobs, simulation.lanes)[0] / unit
    np.testing.assert_allclose([charged, stated], slow, rtol=1e-9)
"""
    copy.run("-c", code)
    contract = """
import sys, pytest, gnnsched_env
words = [f"{sys.argv[1]}/tests/sim/test_rewards.py", "-k", "each_term and misses", "-p", "no:cacheprovider", "-n", "0"]
status = pytest.main([*words, "-c", f"{sys.argv[1]}/pyproject.toml", "-o", "pythonpath="])
print(gnnsched_env.__file__)
sys.exit(status)
"""
    told = copy.run("-c", contract, ROOT)
    assert ".. " in told and "[100%]" in told and told.splitlines()[-1].startswith(str(tmp_path))
    (record,), told = records(copy, "--reward", "misses")
    assert record["reward"] == {"completion": 0, "weighted": 0, "tardiness": 0, "energy": 0, "misses": 1}
    assert "--reward {completion,weighted,tardiness,energy,misses}" in told


def test_an_arrivals_process_is_one_file(tmp_path):
    page = "add_an_arrivals_process.md"
    copy = follow(tmp_path, page, files=1)
    pauses, _ = copy.run("-c", examples(page)[0]).split()
    assert 35 <= int(pauses) <= 45  # 2,000 jobs, 50 a shift
    code = """
import numpy as np
import pytest
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.scenario import Arrivals, load_scenario, scenario_table, simulation_settings, table_rate
from gnnsched_env.sim import Simulation, seed_arrays
from tests.sim.test_arrivals import GAP, assert_mean, counts, draw

for share in (0.3, 1.0):
    times = draw(300, arrivals=Arrivals(process="shifts", shift_jobs=10.0, shift_share=share))["arrival"]
    for since, until in ((0, 5), (0, 60), (30, 60)):
        error = assert_mean(counts(times, since * GAP, until * GAP), until - since)
        assert error < 0.1 * (until - since)
scenario = load_scenario("hetero4").with_options(load=0.6, jobs=50_000, arrivals={"process": "shifts"})
table = scenario_table(scenario)
simulation = Simulation(table, simulation_settings(scenario, table, dispatch=True))
simulation.reset(*seed_arrays([0], [0]), np.ones(1, bool))
assert simulation.jobs["arrival"][0, -1] * 0.6 * table_rate(table) == pytest.approx(50_000, rel=0.02)
with pytest.raises(ConfigError, match="arrivals: shift_share must be a number from 0.01 to 1, got 0"):
    Arrivals(process="shifts", shift_share=0.0)
with pytest.raises(ConfigError, match="unknown key 'shift_job'; did you mean 'shift_jobs'"):
    scenario.with_options(arrivals={"shift_job": 3})
"""
    copy.run("-c", code)
    (record,), told = records(copy, "--arrivals", "shifts")
    assert [record["arrivals"][name] for name in ("process", "shift_jobs", "shift_share")] == ["shifts", 100, 0.5]
    assert "--arrivals {poisson,bursty,diurnal,shifts}" in told
    (record,), _ = records(copy, "--scenario", scenario_file(copy, page))
    assert [record["arrivals"][name] for name in ("process", "shift_jobs", "shift_share")] == ["shifts", 50, 0.25]


def test_a_scenario_option_is_three_files(tmp_path):
    page = "add_a_scenario_option.md"
    copy = follow(tmp_path, page, files=3)
    for kept in (True, False):
        told = copy.run("-c", examples(page)[0].replace('"keep_dataflow": True', f'"keep_dataflow": {kept}')).split()
        assert told[:3] == ["dataflow", "lost", str(not kept)] and float(told[4]) > 10
    code = """
import pytest
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.scenario import load_scenario

with pytest.raises(ConfigError, match="failures: keep_dataflow must be true or false, got 1"):
    load_scenario("hetero4").with_options(failures={"keep_dataflow": 1})
"""
    copy.run("-c", code)
    (record,), told = records(copy, "--failures", "20", "2", "--keep-dataflow", "True")
    assert record["failures"] == {"up": 20, "down": 2, "keep_dataflow": True}
    rule = "A repaired accelerator has the dataflow that it had when it failed (the scenario's by default)."
    assert f"--keep-dataflow {{True,False}} {rule}" in told
    (record,), _ = records(copy, "--scenario", scenario_file(copy, page))
    assert record["failures"] == {"up": 20, "down": 2, "keep_dataflow": True}
