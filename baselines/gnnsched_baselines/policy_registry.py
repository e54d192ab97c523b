"""Policies by name: the heuristics of this package, trained policies, and a user's own as `module:Class`."""

import importlib
import inspect
from typing import Any

from gnnsched_baselines.assignment import Assignment
from gnnsched_baselines.earliest_finish_wait import EarliestFinishWait
from gnnsched_baselines.fifo import FirstInFirstOut
from gnnsched_baselines.index import Index
from gnnsched_baselines.learned.lookahead import Lookahead
from gnnsched_baselines.learned.trained_policy import AGENT, LOOKAHEAD, TrainedPolicy, load_agent
from gnnsched_baselines.least_loaded import LeastLoaded
from gnnsched_baselines.max_min import MaxMin
from gnnsched_baselines.min_min import MinMin
from gnnsched_baselines.predictor_greedy import PredictorGreedy
from gnnsched_baselines.random import Random
from gnnsched_baselines.rollout import Rollout
from gnnsched_baselines.round_robin import RoundRobin
from gnnsched_baselines.sjf import ShortestJobFirst
from gnnsched_baselines.static import Static
from gnnsched_baselines.static_best import StaticBest
from gnnsched_baselines.sufferage import Sufferage
from gnnsched_env.common.errors import ConfigError, did_you_mean
from gnnsched_env.common.policy import Knowledge, Policy
from gnnsched_env.envs import Layout
from gnnsched_env.tables import LatencyTable

SB3 = "sb3:"  # prefix of models that `gnnsched_agents.sb3.saved_policy` loads as policies
# Policies that decide from the observation alone, in microseconds.
POLICIES: dict[str, type[Any]] = {
    kind.name: kind
    for kind in (
        Random,
        RoundRobin,
        FirstInFirstOut,
        Static,
        StaticBest,
        LeastLoaded,
        PredictorGreedy,
        ShortestJobFirst,
        MinMin,
        MaxMin,
        Sufferage,
        EarliestFinishWait,
        Index,
        Assignment,
    )
}
# Policies that need observe_belief(belief) before each decision, which takes milliseconds.
PLANNERS: dict[str, type[Any]] = {Rollout.name: Rollout}


def make_policy(name: str, layout: Layout, *, table: LatencyTable | None = None, **options: Any) -> Policy:
    """Return the named policy for environments of a layout.

    `name` is a key of POLICIES or PLANNERS; "agent:NAME", a shipped trained policy, or "agent:FILE.npz", one of your
    own ("lookahead:..." adds lookahead to it, and needs `observe_belief` calls); or `module:Class`, whose constructor
    is called with the layout, or without arguments if it takes none. `table` goes to policies that have a parameter of
    that name, `options` to all. Raise ConfigError if the name is unknown, the policy does not support the environment,
    or the options do not fit; raise FileFormatError if weights are invalid.
    """
    if not isinstance(name, str):
        raise ConfigError(f"policy: name must be a string, got {name!r}")
    kind, options = _find(name, options)
    environment = "dispatch" if layout.dispatch else "queue"
    made_for = getattr(kind, "environments", None)
    if made_for is not None and environment not in made_for:
        raise ConfigError(f"policy {name!r} is made for {' and '.join(sorted(made_for))}, not for {environment}")
    policy = _construct(name, kind, layout, table, options)
    if not callable(getattr(policy, "act", None)):
        raise ConfigError(f"policy {name!r}: {type(policy).__name__} must have a method act(observation, mask)")
    if not isinstance(knowledge := getattr(policy, "knowledge", None), Knowledge):
        raise ConfigError(f"policy {name!r}: knowledge must be a gnnsched_env.policy.Knowledge, got {knowledge!r}")
    made: Policy = policy
    return made


def _find(name: str, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the class of a policy, and the options including those that its name implies."""
    for prefix, kind in ((AGENT, TrainedPolicy), (LOOKAHEAD, Lookahead)):
        if name.startswith(prefix):
            _refuse_zip(name, prefix)
            return kind, {"network": load_agent(name.removeprefix(prefix))[0], **options}
    if name.startswith(SB3):
        raise ConfigError(
            f"policy {name!r}: models of Stable-Baselines3 are made policies by "
            "gnnsched_agents.sb3.saved_policy.agent_factory, not by make_policy"
        )
    return (_outside_policy(name) if ":" in name else _heuristic(name)), options


def _refuse_zip(name: str, prefix: str) -> None:
    """Raise ConfigError if a Stable-Baselines3 model is given in place of a weights file."""
    if (path := name.removeprefix(prefix)).endswith(".zip"):
        way = "" if prefix == AGENT else ", which plays it without looking ahead"
        raise ConfigError(f"policy {name!r}: must name an .npz file; use {SB3}{path} for this file{way}")


def _heuristic(name: str) -> type[Any]:
    heuristics = POLICIES | PLANNERS
    if name in heuristics:
        return heuristics[name]
    hint = did_you_mean(name, heuristics)
    trained = "agent:NAME, agent:FILE.npz, lookahead:NAME, lookahead:FILE.npz"
    expected = f"one of {', '.join(heuristics)}, {trained}, module:Class, or, in the scripts, {SB3}FILE.zip"
    raise ConfigError(f"unknown policy {name!r}{hint} ({expected})")


def _outside_policy(name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    try:
        found = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"policy {name!r}: must be module:Class of something importable ({error})") from error
    if not inspect.isclass(found):
        raise ConfigError(f"policy {name!r}: must name a class, got {found!r}")
    return found


def _construct(name: str, kind: Any, layout: Layout, table: LatencyTable | None, options: dict[str, Any]) -> Any:
    signature = inspect.signature(kind)
    takes_layout = any(
        parameter.kind not in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD)
        for parameter in signature.parameters.values()
    )
    positional = (layout,) if takes_layout else ()
    if "table" in signature.parameters:
        options = {"table": table, **options}
    try:
        signature.bind(*positional, **options)
    except TypeError as error:
        raise ConfigError(f"policy {name!r}: cannot be made from {signature} ({error})") from None
    return kind(*positional, **options)
