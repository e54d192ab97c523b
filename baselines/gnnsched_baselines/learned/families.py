"""Trained policies by name: `agent:NAME` plays as it was trained, `lookahead:NAME` looks ahead."""

from collections.abc import Callable, Mapping
from typing import Any

from gnnsched_baselines.learned.dispatcher import TrainedDispatcher
from gnnsched_baselines.learned.lookahead import Lookahead
from gnnsched_baselines.learned.pair_network import DISPATCH, QUEUE
from gnnsched_baselines.learned.portfolio import Portfolio
from gnnsched_baselines.learned.trained_policy import TrainedPolicy, load_agent, shipped_agents
from gnnsched_baselines.learned.training_range import trained_ranges
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.evaluation.policies import Family, Found, register_family

AGENT, LOOKAHEAD = "agent:", "lookahead:"
MEMBERS = "members"  # a card's entry: the shipped agents that share a portfolio with the weights


def register() -> None:
    """Register both families."""
    meanings: dict[str, tuple[dict[str, type[Any]], str]] = {
        AGENT: (
            {QUEUE.environment: TrainedPolicy, DISPATCH.environment: TrainedDispatcher},
            "A trained policy: one that ships with the package, or a file of weights.",
        ),
        LOOKAHEAD: (
            {QUEUE.environment: Lookahead},
            "A trained policy that tries its best actions on sampled futures before each decision.",
        ),
    }
    for prefix, (kinds, meaning) in meanings.items():
        register_family(
            Family(
                prefix=prefix,
                forms=(f"{prefix}NAME", f"{prefix}FILE.npz"),
                meaning=meaning,
                knowledge=TrainedPolicy.knowledge,
                environments=frozenset(kinds),
                find=_finder(prefix, kinds),
                shipped=tuple(f"{prefix}{name}" for environment in kinds for name in shipped_agents(environment)),
            )
        )


def _finder(prefix: str, kinds: Mapping[str, type[Any]]) -> Callable[[str], Found]:
    """Return the function that finds a policy of a family, its weights loaded; `kinds` by their environment."""

    def find(path: str) -> Found:
        if path.endswith(".zip"):
            way = "" if prefix == AGENT else ", which plays it without looking ahead"
            raise ConfigError(f"policy {prefix + path!r}: must name an .npz file; use sb3:{path} for this file{way}")
        network, card = load_agent(path)
        environment = str(card["environment"])
        if environment not in kinds:
            rule = f"must be weights for {' or '.join(kinds)}"
            raise ConfigError(f"policy {prefix + path!r}: {rule}, got weights for {environment}")
        trained_ranges(card)  # before anything is played: what reports on it would end in an error
        if prefix == AGENT and MEMBERS in card:
            loaded = {name: load_agent(name) for name in _members(prefix + path, card[MEMBERS])}
            ranges = {name: trained_ranges(own) for name, (_, own) in loaded.items()}
            most = {name: int(own["kinds"][1]) for name, own in ranges.items() if "kinds" in own}
            networks = {path: network, **{name: own for name, (own, _) in loaded.items()}}
            return Portfolio, {"networks": networks, "kinds": most}
        return kinds[environment], {"network": network}

    return find


def _members(policy: str, members: Any) -> list[str]:
    """Return the shipped agents that a card names as members of its portfolio; raise ConfigError for anything else."""
    known = shipped_agents(QUEUE.environment)
    if not isinstance(members, list) or not members or not set(map(str, members)) <= set(known):
        rule = f"must be some of the shipped {', '.join(known)}"
        raise ConfigError(f"policy {policy!r}: the card's {MEMBERS} {rule}, got {members!r:.80}")
    return list(dict.fromkeys(map(str, members)))
