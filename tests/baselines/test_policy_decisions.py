"""Situations small enough to decide by hand."""

from dataclasses import replace

import numpy as np
import pytest

from gnnsched_baselines import make_policy
from gnnsched_env.envs import encode_cycles
from gnnsched_env.envs.spaces import SYSTEM
from tests import toys
from tests.baselines.situations import layout, situation

WAIT = "wait"
INFORMED = (
    "sjf",
    "predictor_greedy",
    "min_min",
    "max_min",
    "sufferage",
    "earliest_finish_wait",
    "index",
    "assignment",
)
TWO = [0, 1]  # two accelerators, a choice each
PAIRS = [0, 0, 1, 1]  # two accelerators, two choices each


def decide(name, shape, latencies, *, table=None, **state):
    """Return the decision as (slot, column), or WAIT."""
    options = {key: state.pop(key) for key in ("c", "choice") if key in state}
    observation, mask = situation(shape, latencies, **state)
    action = int(make_policy(name, shape, table=table, **options).act(observation, mask)[0])
    return WAIT if action == shape.wait_action else divmod(action, shape.columns)


def sequence(name, shape, latencies, times, **state):
    """Return the columns of `times` decisions of one policy in the same situation."""
    observation, mask = situation(shape, latencies, **state)
    policy = make_policy(name, shape)
    return [int(policy.act(observation, mask)[0]) % shape.columns for _ in range(times)]


@pytest.mark.parametrize("dispatch", [False, True])
def test_random_spreads_evenly_over_accelerators_not_choices(dispatch):
    shape = layout([0, 0, 0, 1], static=(2, 3), dispatch=dispatch)
    columns = sequence("random", shape, [[9, 9, 9, 9]], 2000)
    assert set(columns) == {2, 3}
    assert 900 < columns.count(2) < 1100


def test_random_leaves_busy_accelerators_alone():
    assert set(sequence("random", layout([0, 1, 2]), [[9, 9, 9]], 200, remaining=[0, 5, 0])) == {0, 2}


@pytest.mark.parametrize("dispatch", [False, True])
def test_round_robin_takes_turns(dispatch):
    assert sequence("round_robin", layout([0, 1, 2], dispatch=dispatch), [[9, 1, 5]], 4) == [0, 1, 2, 0]


def test_round_robin_skips_the_busy():
    assert sequence("round_robin", layout([0, 1, 2]), [[9, 1, 5]], 4, remaining=[0, 7, 0]) == [0, 2, 0, 2]


def test_round_robin_begins_anew_when_told():
    shape = layout(TWO, dispatch=True)
    observation, mask = situation(shape, [[5, 5]])
    policy = make_policy("round_robin", shape)
    first = policy.act(observation, mask)
    policy.reset()
    assert policy.act(observation, mask) == first


def test_fifo_starts_the_oldest_on_the_first_idle_accelerator():
    assert decide("fifo", layout([0, 1, 2]), [[9, 9, 1], [1, 1, 1]], remaining=[4, 0, 0]) == (0, 1)


def test_static_choices_are_used():
    shape = layout(PAIRS, static=(1, 2))
    assert decide("fifo", shape, [[1, 9, 9, 1]]) == (0, 1)
    assert decide("fifo", shape, [[1, 9, 9, 1]], remaining=[3, 0]) == (0, 2)


def test_least_loaded_counts_jobs_not_work():
    shape = layout([0, 1, 2], dispatch=True)
    state = {"busy": [1, 1, 1], "remaining": [100, 5, 9], "queued": [0, 2, 1]}
    assert decide("least_loaded", shape, [[7, 7, 7]], **state) == (0, 0)


def test_least_loaded_gives_the_idle_equal_numbers():
    assert sequence("least_loaded", layout([0, 1, 2]), [[9, 1, 5]], 5, remaining=[0, 7, 0]) == [0, 2, 0, 2, 0]


NAMES = ("big/ws", "big/os", "little/os", "little/rs")


def test_static_runs_the_dataflow_that_was_best_in_training():
    shape = layout(PAIRS, means=(3.0, 1.0, 2.0, 4.0), names=NAMES)
    assert decide("static", shape, [[1, 9, 9, 1]]) == (0, 1)
    assert decide("static", shape, [[1, 9, 9, 1]], remaining=[3, 0]) == (0, 2)


def test_static_waits_for_the_accelerators_that_support_its_dataflow():
    shape = layout(PAIRS, names=NAMES)
    assert decide("static", shape, [[1, 9, 9, 1]], choice=3) == (0, 3)
    assert decide("static", shape, [[1, 9, 9, 1]], choice=3, remaining=[0, 5]) == WAIT


def test_static_in_dispatch_joins_the_shortest_queue_of_them():
    shape = layout([0, 1, 2], dispatch=True, names=("a/ws", "b/os", "c/os"), means=(2.0, 1.0, 1.0))
    assert decide("static", shape, [[1, 9, 9]], busy=[0, 1, 1], queued=[0, 3, 1]) == (0, 2)


def test_static_best_counts_the_accelerators_that_support_a_dataflow():
    shape = layout(PAIRS, names=NAMES)  # os: rate 1/40 + 1/60 = 1/24; ws: 1/25; rs: 1/30
    true = np.array([[20, 40, 60, 25], [30, 40, 60, 35]])
    table = toys.table(true, true[::-1] * 3 % 50 + 1, owners=PAIRS)
    table = replace(table, choice_names=NAMES)
    assert decide("static_best", shape, [[1, 1, 1, 1]], table=table) == (0, 1)
    table = replace(toys.table([[20, 40, 60, 25], [27, 40, 60, 35]], owners=PAIRS), choice_names=NAMES)
    assert decide("static_best", shape, [[1, 1, 1, 1]], table=table) == (0, 0)


def test_sjf_takes_the_shortest_legal_pair():
    shape = layout(PAIRS)
    jobs = [[50, 40, 90, 80], [70, 60, 10, 20], [99, 30, 99, 99]]
    assert decide("sjf", shape, jobs) == (1, 2)
    assert decide("sjf", shape, jobs, remaining=[0, 5]) == (2, 1)


def test_sjf_never_waits_for_a_better_accelerator():
    assert decide("sjf", layout(TWO), [[1, 1000]], remaining=[1, 0]) == (0, 1)


def test_sjf_in_dispatch_ignores_the_backlog():
    assert decide("sjf", layout(TWO, dispatch=True), [[10, 11]], remaining=[500, 0]) == (0, 0)


def test_predictor_greedy_in_dispatch_adds_the_backlog():
    shape = layout(PAIRS, dispatch=True)
    assert decide("predictor_greedy", shape, [[10, 12, 40, 35]], remaining=[24, 0]) == (0, 0)
    assert decide("predictor_greedy", shape, [[10, 12, 40, 35]], remaining=[26, 0]) == (0, 3)


def test_least_delay_counts_those_who_would_queue_behind():
    """Half of the jobs are cheapest on each accelerator; this one would be done in 40 cycles on 0, in 45 on 1."""
    shape = layout(TWO, dispatch=True)
    policy = make_policy("least_delay", shape, table=toys.table([[10, 40], [40, 10]], owners=[0, 1]))
    for to_come, gap, expected in ((1.0, 20, 0), (1.0, 5, 1), (0.0, 5, 0)):
        observation, mask = situation(shape, [[40, 20]], remaining=[0, 25])
        system = observation["system"].reshape(-1)
        system[SYSTEM.to_come], system[SYSTEM.recent_gap] = to_come, encode_cycles(np.array(gap))
        # A job every 20 cycles: 40 + 40 (0 + 20) / 40 = 60 on 0, and 45 + 20 (25 + 10) / 40 = 62.5 on 1.
        # Every 5 cycles: 40 + 40 (0 + 20) / 10 = 120 and 45 + 20 (25 + 10) / 10 = 115. None: 40 and 45.
        assert policy.act(observation, mask).tolist() == [expected]


@pytest.mark.slow
def test_predictor_greedy_plans_in_the_order_of_arrival():
    shape = layout(TWO)
    # The oldest is planned on busy accelerator 0 (5 + 10 < 40), so the next one finds it free at 15 and prefers 1.
    assert decide("predictor_greedy", shape, [[10, 40], [10, 24]], remaining=[5, 0]) == (1, 1)
    assert decide("predictor_greedy", shape, [[10, 40], [10, 26]], remaining=[5, 0]) == WAIT


def test_predictor_greedy_goes_by_age_where_the_window_does_not():
    shape = layout([0])
    assert decide("predictor_greedy", shape, [[3], [5], [7]], waited=[10, 30, 20]) == (1, 0)


def test_min_min_plans_the_earliest_completion_first():
    shape = layout(TWO)
    assert decide("min_min", shape, [[30, 20], [9, 40]]) == (1, 0)
    # Planned in turn: job 1 on busy 0, done at 5 + 9; then job 0 on idle 1, at 20, which starts.
    assert decide("min_min", shape, [[30, 20], [9, 40]], remaining=[5, 0]) == (0, 1)
    # Job 1 on 0 until 14; then job 0 is done at 14 + 30 there: nothing starts, unless 1 is faster than that.
    assert decide("min_min", shape, [[30, 50], [9, 60]], remaining=[5, 0]) == WAIT
    assert decide("min_min", shape, [[30, 40], [9, 60]], remaining=[5, 0]) == (0, 1)


def test_max_min_plans_the_latest_completion_first():
    shape = layout(TWO)
    assert decide("max_min", shape, [[30, 20], [9, 40]]) == (0, 1)
    # Job 0 on busy 0 (done at 5 + 10, on 1 only at 30); then job 1 is done at 15 + 9 there or at 20 on 1.
    assert decide("max_min", shape, [[10, 30], [9, 20]], remaining=[5, 0]) == (1, 1)
    assert decide("max_min", shape, [[10, 30], [9, 25]], remaining=[5, 0]) == WAIT


def test_sufferage_serves_who_would_lose_most():
    shape = layout(TWO)
    # Both are best off on 0: job 0 would lose 5, job 1 50.
    assert decide("sufferage", shape, [[10, 15], [40, 90]]) == (1, 0)
    # 0 is busy until 20: job 0 would rather have 1 (15 < 30, a loss of 15), job 1 waits for 0 (60 < 90, a loss of 30).
    assert decide("sufferage", shape, [[10, 15], [40, 90]], remaining=[20, 0]) == (0, 1)
    assert decide("sufferage", shape, [[10, 35], [40, 90]], remaining=[20, 0]) == (0, 1)  # a round later, 35 < 70
    assert decide("sufferage", shape, [[10, 75], [40, 90]], remaining=[20, 0]) == WAIT


def test_sufferage_on_a_single_accelerator_goes_by_age():
    assert decide("sufferage", layout([0]), [[9], [3]]) == (0, 0)


def test_earliest_finish_starts_the_shortest_whose_pick_is_idle():
    shape = layout(TWO)
    jobs = [[10, 40], [90, 30], [90, 20]]
    assert decide("earliest_finish_wait", shape, jobs) == (0, 0)
    assert decide("earliest_finish_wait", shape, jobs, remaining=[25, 0]) == (2, 1)
    assert decide("earliest_finish_wait", shape, jobs[:1], remaining=[25, 0]) == WAIT
    assert decide("earliest_finish_wait", shape, jobs[:1], remaining=[35, 0]) == (0, 1)


def test_index_weighs_the_misfit():
    shape = layout(TWO)
    # c = 1: job 0 picks idle 1 (2 x 50 = 100 < 90 + 2 x 10), priority 100 x sqrt(50 / 10) = 224; job 1's is 2 x 100.
    jobs = [[10, 50], [400, 100]]
    assert decide("index", shape, jobs, remaining=[90, 0], c=1) == (1, 1)
    # c = 2: job 0 waits for 0 (90 + 30 < 150); alone, it leaves accelerator 1 idle.
    assert decide("index", shape, jobs[:1], remaining=[90, 0], c=2) == WAIT
    assert decide("index", shape, jobs[:1], remaining=[90, 0], c=1) == (0, 1)


def test_assignment_weighs_the_jobs_still_to_come():
    shape = layout(TWO)
    # Alone: (1 + c) x 30 now on 1, or 25 + (1 + c) x 10 later on 0; equal at c = 0.25.
    assert decide("assignment", shape, [[10, 30]], remaining=[25, 0], c=0.2) == (0, 1)
    assert decide("assignment", shape, [[10, 30]], remaining=[25, 0], c=0.3) == WAIT


def test_assignment_starts_the_shortest_of_those_first_in_line():
    shape = layout(TWO)
    # The plan (c = 0): jobs 1 and 2 on 0 in that order (5 x 2 + 8), job 0 on 1 (9).
    jobs = [[60, 9], [5, 90], [8, 90]]
    assert decide("assignment", shape, jobs, c=0) == (1, 0)
    assert decide("assignment", shape, jobs, c=0, remaining=[3, 0]) == (0, 1)


@pytest.mark.parametrize("name", INFORMED)
def test_without_dataflows_an_action_names_the_accelerator(name):
    shape = layout(PAIRS, choose_dataflow=False)
    assert decide(name, shape, [[90, 80, 70, 20]]) == (0, 1)
    assert decide(name, shape, [[90, 10, 70, 20]]) == (0, 0)
