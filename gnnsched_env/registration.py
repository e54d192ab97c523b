"""Registers the environments with Gymnasium when the package is imported."""

import gymnasium

DISPATCH_ID = "gnnsched/Dispatch-v0"
QUEUE_ID = "gnnsched/Queue-v0"


def register_envs() -> None:
    """Register both environments (again does no harm); `gymnasium.make_vec` makes the native batch of them.

    The environments check their own calls, so Gymnasium's order and type checkers, which would double a step's time,
    are left off.
    """
    for name, kind in {DISPATCH_ID: "Dispatch", QUEUE_ID: "Queue"}.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                name,
                entry_point=f"gnnsched_env.envs.single_env:{kind}Env",
                vector_entry_point=f"gnnsched_env.envs.vector_env:{kind}VectorEnv",
                order_enforce=False,
                disable_env_checker=True,
            )
