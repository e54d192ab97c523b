"""Policies by name, and the errors of names that are none."""

import numpy as np
import pytest

import gnnsched_agents  # noqa: F401  registers sb3:FILE.zip
from gnnsched_baselines import PLANNERS, POLICIES, make_policy
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.common.policy import Knowledge, Routing
from gnnsched_env.evaluation import policies as registry
from gnnsched_env.evaluation import run_policy
from gnnsched_env.evaluation.behaviour import play_watched
from gnnsched_env.evaluation.declarations import declarations_of
from gnnsched_env.evaluation.policies import policy_factories, policy_factory, register_policy, uninformed_factories
from gnnsched_env.scenario import load_scenario, scenario_table
from tests import toys
from tests.baselines.situations import layout
from tests.commands import failing_policies

QUEUE, DISPATCH = layout([0, 0, 1]), layout([0, 0, 1], dispatch=True)
SEEN = {"dispatch": False, "seed": 0}
ONE = {**SEEN, "episodes": 1}


class WithLayout:
    """Somebody's own policy."""

    knowledge = Knowledge.NONE

    def __init__(self, layout, *, depth=1):
        self.layout, self.depth = layout, depth

    def act(self, observation, mask):
        return mask.argmax(axis=1)


class WithNothing:
    """Another one, which takes no layout."""

    knowledge = Knowledge.PREDICTED

    def act(self, observation, mask):
        return np.zeros(len(mask), np.int64)


class WithTable(WithLayout):
    """One that asks for the table."""

    def __init__(self, layout, table):
        super().__init__(layout)
        self.table = table


class NoAct:
    """No policy."""


class NoKnowledge:
    """It does not say what it knows."""

    def act(self, observation, mask):
        return mask.argmax(axis=1)


def own(kind):
    return f"{__name__}:{kind.__name__}"


def test_the_names_are_the_classes_own():
    every = POLICIES | PLANNERS
    assert {name: kind.name for name, kind in every.items()} == {name: name for name in every}
    assert (len(POLICIES), len(PLANNERS), len(every)) == (16, 1, 17)


def test_planners_and_they_alone_are_told_the_belief():
    assert all(hasattr(kind, "observe_belief") for kind in PLANNERS.values())
    assert not any(hasattr(kind, "observe_belief") for kind in POLICIES.values())


def test_options_reach_the_policy():
    assert make_policy("assignment", QUEUE, c=4.0).c == 4.0


def test_own_policies_are_loaded():
    assert make_policy(own(WithLayout), QUEUE, depth=3).depth == 3
    assert type(make_policy(own(WithNothing), QUEUE)).__name__ == "WithNothing"
    table = toys.table([[1, 2, 3]], owners=[0, 0, 1])
    assert make_policy(own(WithTable), QUEUE, table=table).table is table


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("minmin", QUEUE, {}, "unknown policy 'minmin'; did you mean 'min_min'"),
        (
            "zzz",
            QUEUE,
            {},
            r"unknown policy 'zzz' \(one of random, .*lookahead:FILE\.npz, .*module:Class\)",
        ),
        ("sb3:", QUEUE, {}, "must be sb3:FILE.zip"),
        ("agent:a.zip", QUEUE, {}, r"'agent:a\.zip': must name an \.npz file; use sb3:a\.zip for this file$"),
        ("lookahead:a.zip", QUEUE, {}, "use sb3:a.zip for this file, which plays it without looking ahead"),
        ("fifo", DISPATCH, {}, "policy 'fifo' is made for queue, not for dispatch"),
        ("fifo", QUEUE, {"c": 1}, "policy 'fifo': cannot be made from .*'c'"),
        ("static_best", QUEUE, {}, "static_best: needs the latency table"),
        ("static", QUEUE, {"choice": 3}, r"static: choice must be"),
        ("assignment", QUEUE, {"c": -1.0}, "assignment: c must be a number of at least 0, got -1.0"),
        ("index", QUEUE, {"c": float("nan")}, "index: c must be a number of at least 0, got nan"),
        ("rollout", DISPATCH, {}, "policy 'rollout' is made for queue, not for dispatch"),
        ("rolout", QUEUE, {}, "unknown policy 'rolout'; did you mean 'rollout'"),
        ("rollout", QUEUE, {"futures": 1}, "rollout: futures must be an integer of at least 2, got 1"),
        ("rollout", QUEUE, {"futures": 8.0}, "rollout: futures must be an integer of at least 2, got 8.0"),
        ("rollout", QUEUE, {"arrivals": -1}, "rollout: arrivals must be an integer of at least 0, got -1"),
        ("rollout", QUEUE, {"margin": -0.5}, "rollout: margin must be a number of at least 0, got -0.5"),
        ("rollout", QUEUE, {"margin": float("inf")}, "rollout: margin must be a number of at least 0, got inf"),
        ("rollout", QUEUE, {"seed": True}, "rollout: seed must be an integer of at least 0, got True"),
        ("no_such_module:Policy", QUEUE, {}, "must be module:Class of something importable"),
        ("gnnsched_baselines:Nothing", QUEUE, {}, "must be module:Class of something importable"),
        (":Policy", QUEUE, {}, "must be module:Class of something importable"),
        ("gnnsched_baselines:__name__", QUEUE, {}, "must name a class, got 'gnnsched_baselines'"),
        (own(NoAct), QUEUE, {}, "NoAct must have a method act"),
        (own(NoKnowledge), QUEUE, {}, "knowledge must be a gnnsched_env.Knowledge, got None"),
    ],
)
def test_errors_name_the_policy_and_the_rule(name, shape, options, message):
    with pytest.raises(ConfigError, match=message):
        make_policy(name, shape, **options)


def test_static_best_refuses_another_fleets_table():
    with pytest.raises(ConfigError, match="static_best: table must have the environment's choices"):
        make_policy("static_best", QUEUE, table=toys.table([[1, 2]]))


def test_all_are_those_made_for_the_environment_without_planners():
    queue, dispatch = (policy_factories(("all",), dispatch=dispatch) for dispatch in (False, True))
    assert {*queue, "skip_predict"} == {name for name, kind in POLICIES.items() if "queue" in kind.environments}
    assert "assignment" in queue and "assignment" not in dispatch and not {"rollout", "skip_predict"} & {*queue}
    assert next(iter(policy_factories(("sjf", "all"), dispatch=False))) == "sjf"
    assert set(uninformed_factories(dispatch=True)) == {"random", "round_robin", "least_loaded", "static"}


@pytest.mark.parametrize(
    ("name", "dispatch", "message"),
    [("sfj", False, "did you mean 'sjf'"), ("fifo", True, "made for queue, not for dispatch"), ("agent:x", False, "x")],
)
def test_a_factory_refuses_a_name_before_it_is_called(name, dispatch, message):
    with pytest.raises(ConfigError, match=message):
        policy_factory(name, dispatch=dispatch)


def test_a_name_is_registered_once(monkeypatch):
    monkeypatch.setattr(registry, "POLICIES", dict(POLICIES))

    class Own(WithLayout):
        name = "own"

    assert register_policy(Own) is register_policy(Own) is Own
    assert policy_factory("own", dispatch=True)(DISPATCH, None).depth == 1
    with pytest.raises(ConfigError, match="policy 'sjf': must be registered once"):
        register_policy(type("Other", (WithLayout,), {"name": "sjf"}))


def test_without_any_that_is_registered_the_error_says_how(monkeypatch):
    for group in ("POLICIES", "PLANNERS"):
        monkeypatch.setattr(registry, group, {})
    with pytest.raises(ConfigError, match="none is registered: import gnnsched_baselines"):
        policy_factory("sjf", dispatch=False)


FAILING = "tests.commands.failing_policies"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("WithChoices", r"entries of choices must be at most 8, got 99$"),
        ("WithRouting", "routing must be one of free, shortest, blind, uniform, got 'everything'$"),
        ("WithWaiting", "waiting must be one of free, needed, by_choice, got 'never'$"),
        ("WithObservation", r"observation must be one of dict, flat, pairs, pairs_flat, got \('pairs',\)$"),
        ("WithKnowledge", "knowledge must be a gnnsched_env.Knowledge, got 'all'$"),
        ("WithEnvironments", "environments must be a list, got 'queue'$"),
        ("WithProperty", r"reading its attributes raised KeyError: 'routing' \(failing_policies.py, line \d+\)$"),
    ],
)
def test_what_a_policy_declares_is_checked_when_it_is_made(name, error):
    """By its name, and where a factory makes it: the same rule in both."""
    kind = getattr(failing_policies, name)
    scenario = load_scenario("hetero4").with_options(jobs=5)
    table = scenario_table(scenario)
    with pytest.raises(ConfigError, match=f"policy '{FAILING}:{name}': {error}"):
        run_policy(policy_factory(f"{FAILING}:{name}", dispatch=False), scenario, table, **ONE)
    if name != "WithEnvironments":  # which is asked only of what is found by name
        for play in (run_policy, lambda factory, scenario, table, **how: play_watched(factory, scenario, **SEEN)):
            with pytest.raises(ConfigError, match=f"policy {name}: {error}"):
                play(lambda layout, table: kind(layout), scenario, table, **ONE)


def test_a_routing_may_be_named_by_a_string():
    """Its capacity is that of the member of Routing."""
    kind = type("Named", (WithLayout,), {"routing": "uniform"})
    says = declarations_of(kind(QUEUE), QUEUE.num_choices)
    assert says.routing is Routing.UNIFORM and says.choices is None


@pytest.mark.parametrize("name", [None, 3, " "])
def test_a_name_to_register_is_text(name):
    with pytest.raises(ConfigError, match=f"policy Own: name must be a non-empty string, got {name!r}"):
        register_policy(type("Own", (WithLayout,), {"name": name}))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("InBelief", r"policy InBelief: observe_belief raised LookupError: nothing to believe \(failing_policies.py, "),
        ("Leaves", r"policy Leaves: act raised SystemExit: enough \(failing_policies.py, line \d+\)"),
        ("Shapeless", r"policy Shapeless: act must return integers of shape \[1\], got int64 \[1, 1\]"),
        ("InConstructor", r"'tests.commands.failing_policies:InConstructor': making it raised RuntimeError: no such "
         r"model \(failing_policies.py, line \d+\)"),
        ("InAct", r"policy InAct: act raised KeyError: 'missing' \(failing_policies.py, line \d+\)"),
    ],
)  # fmt: skip
def test_what_a_policy_of_ones_own_raises_is_told_with_its_line(name, error):
    scenario = load_scenario("hetero4").with_options(jobs=5)
    factory = policy_factory(f"tests.commands.failing_policies:{name}", dispatch=False)
    with pytest.raises(GnnSchedError, match=error):
        run_policy(factory, scenario, scenario_table(scenario), dispatch=False, seed=0, episodes=1)


def test_a_module_that_fails_when_imported_is_told(tmp_path, monkeypatch):
    (tmp_path / "failing_module.py").write_text("x = 1\nraise RuntimeError('broken')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=r"importing it raised RuntimeError: broken \(failing_module.py, line 2\)"):
        policy_factory("failing_module:Policy", dispatch=False)
