"""Registers the environments with Gymnasium when the package is imported."""

import gymnasium

DISPATCH_ID = "gnnsched/Dispatch-v0"
QUEUE_ID = "gnnsched/Queue-v0"


def register_envs() -> None:
    """Register both environments (again does no harm).

    The environments check their own calls, so Gymnasium's order and type checkers, which would double a step's time,
    are left off.
    """
    entry_points = {
        DISPATCH_ID: "gnnsched_env.envs.scheduling:DispatchEnv",
        QUEUE_ID: "gnnsched_env.envs.scheduling:QueueEnv",
    }
    for name, entry_point in entry_points.items():
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=entry_point, order_enforce=False, disable_env_checker=True)
