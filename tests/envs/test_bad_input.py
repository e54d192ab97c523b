"""What a user may get wrong, and what they are told."""

from functools import partial

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError, InvalidAction, ResetNeeded
from gnnsched_env.envs import DispatchEnv, DispatchVectorEnv, QueueEnv
from gnnsched_env.scenario import load_scenario


@pytest.mark.parametrize("action", [-1, 10**6, 1.5, "0", None, np.array([0, 1]), np.nan])
def test_an_action_outside_the_space(make_env, action):
    env = make_env()
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match=r"action must be an integer in \[0, \d+\), got"):
        env.step(action)
    env.step(0)  # nothing is lost


def test_step_before_reset_and_after_the_end(make_env):
    env = make_env(jobs=1)
    with pytest.raises(ResetNeeded, match="call reset first"):
        env.step(0)
    env.reset(seed=0)
    while not env.step(0)[2]:
        pass
    with pytest.raises(ResetNeeded, match="call reset first"):
        env.step(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"load": 0}, "load must be a number of at least 1e-09 and below 1.5, got 0"),
        ({"load": 1.5}, "load must be a number of at least 1e-09 and below 1.5, got 1.5"),
        ({"load": float("nan")}, "load must be a number of at least 1e-09 and below 1.5, got nan"),
        ({"jobs": 0}, "jobs must be an integer of at least 1, got 0"),
        ({"jobs": 2.5}, "jobs must be an integer of at least 1, got 2.5"),
        ({"dataflow": "best"}, "dataflow must be one of agent, predicted_best, got 'best'"),
        ({"shaping": "potential"}, "shaping must be one of none, drain"),
        ({"jobs": 10**12}, "jobs must be at most 10,000,000"),
        ({"table": 3}, "table must be a LatencyTable, got 3"),
        ({"repeats": 0}, "repeats must be an integer of at least 1, got 0"),
        ({"repeats": 10**10}, "repeats must be at most 1,000,000,000"),
        ({"decision": 5}, "decision must be a DecisionCost or a mapping of its fields, got 5"),
        ({"decision": {"latency_us": float("nan")}}, "latency_us must be a number from 0 to .*, got nan"),
        ({"decision": {"workers": 0}}, "workers must be an integer of at least 1, got 0"),
        ({"jobs": 10**7, "decision": {"latency_us": 1e9}}, r"predictions of 1e\+12 may take 2\^62 cycles"),
    ],
)
def test_bad_options_are_refused_at_birth(make_env, options, message):
    with pytest.raises(ConfigError, match=message):
        make_env(**options)


@pytest.mark.parametrize("options", [{"window": 0}, {"window": "32"}, {"window_order": "longest"}])
def test_bad_windows_are_refused(make_queue, options):
    with pytest.raises(ConfigError, match="window"):
        make_queue(**options)


def test_what_a_single_environment_takes_as_an_action(make_env):
    env = make_env()
    env.reset(seed=0)
    for action in (0, np.uint64(0), np.int8(0), np.array(0)):
        env.step(action)
    for action in (True, np.True_, 0.0, np.array([0]), np.array(0.0), None, "0", -1, env.action_space.n):
        with pytest.raises(InvalidAction, match="action must be an integer in"):
            env.step(action)


def test_unknown_options_are_refused(make_env):
    with pytest.raises(TypeError, match="unexpected keyword argument 'windw'; did you mean 'window'"):
        make_env(windw=3)
    with pytest.raises(ConfigError, match="reset: unknown option 'x'"):
        make_env().reset(options={"x": 1})
    make_env().reset(seed=0, options={})


def test_failures_that_leave_no_time_for_jobs_are_refused(make_env):
    with pytest.raises(ConfigError, match=r"must be at least [\d,]+ cycles, a quarter of the longest latency"):
        make_env(failures={"up": 0.5})
    make_env(failures=(60.0, 5.0), prediction_error={"bias": 50.0})  # the truth decides, not what is believed
    with pytest.raises(ConfigError, match=r"at most 10,000,000 failures and repairs, got some"):
        make_env(failures=(60.0, 5.0), load=1e-7)


@pytest.mark.parametrize("seed", [True, 1.5, "1", -1, None.__class__])
def test_bad_seeds_are_refused(make_env, seed):
    with pytest.raises(ConfigError, match="seed must be an integer of at least 0, got"):
        make_env().reset(seed=seed)


def test_seeds_may_be_numpys(make_env):
    one, other = make_env(), make_env()
    first, second = one.reset(seed=np.int64(3))[0], other.reset(seed=3)[0]
    assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"load": 5e-324}, "load must be a number of at least 1e-09 and below 1.5, got 5e-324"),
        ({"load": 10**400}, "load must be a number of at least 1e-09 and below 1.5, got 1000"),
        ({"jobs": 10**6000}, "jobs must be at most 10,000,000, got an integer of 19,932 bits"),
        ({"thread": 2}, "unexpected keyword argument 'thread'"),
    ],
)
def test_odd_numbers_and_names_are_refused_in_short(make_env, options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        make_env(**options)
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("scenario", ["a\0.toml", b"hetero4", None, 3, ["hetero4"] * 100])
def test_what_is_no_scenario_is_refused_in_short(scenario):
    with pytest.raises(ConfigError, match="scenario must be a name, a path, a Scenario or what") as caught:
        QueueEnv(scenario)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("option", "value"), [("window", 8), ("window_order", "shortest"), ("waiting", "by_choice"), ("waiting", "needed")]
)
@pytest.mark.parametrize("kind", [DispatchEnv, partial(DispatchVectorEnv, num_envs=2)])
def test_dispatch_refuses_a_scenario_with_options_of_queue(kind, option, value):
    scenario = load_scenario("hetero4").with_options(**{option: value})
    with pytest.raises(ConfigError, match=f"Dispatch-v0 .*: {option} belongs to Queue-v0, got {value!r}$"):
        kind(scenario=scenario)


@pytest.mark.parametrize("given", [{}, {"fleet": "hetero4"}, {"fleet": None}])
def test_a_mapping_that_brings_no_fleet_is_told_what_it_needs(given):
    got = repr(given["fleet"]) if given else "no fleet"
    with pytest.raises(ConfigError, match=rf"scenario: fleet must be given as the mapping .*, got {got}$"):
        QueueEnv(scenario=given)
