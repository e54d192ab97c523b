"""Trainable agents, and the adapters that train agents of Stable-Baselines3.

`Sb3VecEnv` (the native batch in the shape that Stable-Baselines3 asks for) and `PairVecEnv` (the same, observed as rows
of features) are imported when they are first asked for, because they need the extra `agents`.
"""

from typing import TYPE_CHECKING, Any

from gnnsched_env.common.errors import needs_extra

if TYPE_CHECKING:
    from gnnsched_agents.sb3.pair_env import PairVecEnv
    from gnnsched_agents.sb3.vec_env import Sb3VecEnv

__all__ = ["PairVecEnv", "Sb3VecEnv"]


def __getattr__(name: str) -> Any:
    """Return an adapter; raise ConfigError, which names the extra, if its library is not installed."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs_extra(name, "agents"):
        from gnnsched_agents.sb3.pair_env import PairVecEnv
        from gnnsched_agents.sb3.vec_env import Sb3VecEnv
    return {"PairVecEnv": PairVecEnv, "Sb3VecEnv": Sb3VecEnv}[name]
