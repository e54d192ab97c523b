"""On a heterogeneous fleet at load 0.8, planning beats greed and greed beats ignorance."""

import pytest

from gnnsched_baselines import POLICIES, make_policy
from gnnsched_env.common.policy import Knowledge
from gnnsched_env.scenario import load_scenario, scenario_table
from tests.baselines.situations import batch, mean_completion, play
from tests.envs.environments import hetero_table


def means(dispatch):
    own = "dispatch" if dispatch else "queue"
    names = [name for name, kind in POLICIES.items() if own in kind.environments]
    results = {}
    for name in [*names, "agent:dispatch"] if dispatch else names:
        environments = batch(hetero_table(), dispatch=dispatch, lanes=40, jobs=200, window=32, load=0.8)
        play(make_policy(name, environments.layout, table=environments.table), environments)
        results[name] = mean_completion(environments)
    return results


@pytest.fixture(scope="module")
def queue():
    return means(dispatch=False)


@pytest.fixture(scope="module")
def dispatch():
    return means(dispatch=True)


def informed(name):
    return name not in POLICIES or POLICIES[name].knowledge is Knowledge.PREDICTED


@pytest.mark.slow
def test_predictions_beat_ignorance(queue, dispatch):
    for results in (queue, dispatch):
        worst = max(value for name, value in results.items() if informed(name))
        assert worst < min(value for name, value in results.items() if not informed(name))


def test_waiting_for_the_better_accelerator_beats_sjf(queue):
    for name in ("min_min", "earliest_finish_wait", "index", "assignment"):
        assert queue[name] < 0.8 * queue["sjf"]


def test_assignment_is_the_best(queue):
    assert queue["assignment"] == min(queue.values())


def test_the_backlog_matters_in_dispatch(dispatch):
    assert dispatch["predictor_greedy"] < 0.8 * dispatch["sjf"]


def test_those_who_come_later_matter_in_dispatch(dispatch):
    assert dispatch["agent:dispatch"] < dispatch["least_delay"] < 0.9 * dispatch["predictor_greedy"]


def test_knowing_the_best_dataflow_helps_the_static(queue, dispatch):
    for results in (queue, dispatch):
        assert results["static_best"] <= results["static"]


@pytest.mark.parametrize("noise", [0.2, 0.5])
def test_nobody_waits_in_vain_for_jobs_that_overrun_their_predictions(noise):
    scenario = load_scenario("flexible4").with_options(prediction_error=noise)
    found = {}
    for name in ("sjf", "min_min", "earliest_finish_wait", "assignment"):
        environments = batch(scenario_table(scenario), dispatch=False, lanes=16, jobs=200, window=32, load=0.4)
        play(make_policy(name, environments.layout), environments)
        found[name] = mean_completion(environments)
    assert max(found.values()) < 1.03 * found["sjf"]
