"""Trainable agents, and the adapters that train agents of Stable-Baselines3.

`Sb3VecEnv` is the native batch in the shape that Stable-Baselines3 asks for. `PairActorCriticPolicy` (MaskablePPO, PPO,
A2C) and `PairValuePolicy` (`PairDqn`, a DQN that explores legal actions) are its policies on the observation "pairs".
`PairActorCritic` is their networks as one module, for other libraries; `PairRowsPolicy` plays a trained one in
evaluations, and `CurveCallback` measures a model while it learns. `PairVecEnv` is a batch observed as rows of features
that stand on `assignment`'s plan. They are imported when they are first asked for, because they need the extra
`agents`. Importing the package registers models of Stable-Baselines3 as policies, by the name `sb3:FILE.zip`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gnnsched_env.common.errors import needs_extra
from gnnsched_env.common.policy import Knowledge
from gnnsched_env.evaluation.policies import Family, Found, register_family

if TYPE_CHECKING:
    from gnnsched_agents.pair_modules import PairActorCritic, PairRowsPolicy
    from gnnsched_agents.sb3.curve_callback import CurveCallback
    from gnnsched_agents.sb3.dqn import PairDqn
    from gnnsched_agents.sb3.pair_env import PairVecEnv
    from gnnsched_agents.sb3.pair_policy import PairActorCriticPolicy, PairValuePolicy
    from gnnsched_agents.sb3.vec_env import Sb3VecEnv

__all__ = [
    "CurveCallback",
    "PairActorCritic",
    "PairActorCriticPolicy",
    "PairDqn",
    "PairRowsPolicy",
    "PairValuePolicy",
    "PairVecEnv",
    "Sb3VecEnv",
]
_HOMES = {
    "CurveCallback": "sb3.curve_callback",
    "PairActorCritic": "pair_modules",
    "PairActorCriticPolicy": "sb3.pair_policy",
    "PairDqn": "sb3.dqn",
    "PairRowsPolicy": "pair_modules",
    "PairValuePolicy": "sb3.pair_policy",
    "PairVecEnv": "sb3.pair_env",
    "Sb3VecEnv": "sb3.vec_env",
}


def __getattr__(name: str) -> Any:
    """Return an adapter; raise ConfigError, which names the extra, if its library is not installed."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs_extra(name, "agents"):
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def _find_model(path: str) -> Found:
    from gnnsched_agents.sb3.saved_policy import find_model

    return find_model(path)


register_family(
    Family(
        prefix="sb3:",
        forms=("sb3:FILE.zip",),
        meaning="A model of Stable-Baselines3 with a policy of this package (needs the extra `agents`).",
        knowledge=Knowledge.PREDICTED,
        environments=frozenset({"dispatch", "queue"}),
        find=_find_model,
    )
)
