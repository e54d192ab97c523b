"""Trained policies by name: `agent:NAME` plays as it was trained, `lookahead:NAME` looks ahead."""

from collections.abc import Callable
from typing import Any

from gnnsched_baselines.learned.lookahead import Lookahead
from gnnsched_baselines.learned.trained_policy import TrainedPolicy, load_agent, shipped_agents
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.evaluation.policies import Family, Found, register_family

AGENT, LOOKAHEAD = "agent:", "lookahead:"


def register() -> None:
    """Register both families."""
    meanings = {
        AGENT: (TrainedPolicy, "A trained policy: one that ships with the package, or a file of weights."),
        LOOKAHEAD: (Lookahead, "A trained policy that tries its best actions on sampled futures before each decision."),
    }
    for prefix, (kind, meaning) in meanings.items():
        register_family(
            Family(
                prefix=prefix,
                forms=(f"{prefix}NAME", f"{prefix}FILE.npz"),
                meaning=meaning,
                knowledge=TrainedPolicy.knowledge,
                environments=TrainedPolicy.environments,
                find=_finder(prefix, kind),
                shipped=tuple(f"{prefix}{name}" for name in shipped_agents()),
            )
        )


def _finder(prefix: str, kind: type[Any]) -> Callable[[str], Found]:
    """Return the function that finds a policy of a family, its weights loaded."""

    def find(path: str) -> Found:
        if path.endswith(".zip"):
            way = "" if prefix == AGENT else ", which plays it without looking ahead"
            raise ConfigError(f"policy {prefix + path!r}: must name an .npz file; use sb3:{path} for this file{way}")
        return kind, {"network": load_agent(path)[0]}

    return find
