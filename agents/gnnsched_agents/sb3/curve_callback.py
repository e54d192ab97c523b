"""Measures a model of Stable-Baselines3 while it learns."""

from collections.abc import Callable
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from gnnsched_env.common.policy import Policy
from gnnsched_env.evaluation import LearningCurve


class CurveCallback(BaseCallback):
    """Measures the model by a `LearningCurve` wherever one is due, before the next decisions are collected."""

    def __init__(self, curve: LearningCurve, policy_of: Callable[[Any], Policy]) -> None:
        """Measure what `policy_of(model)` returns: the model as a policy that evaluations can play."""
        super().__init__()
        self.curve = curve
        self.policy_of = policy_of

    def _on_rollout_start(self) -> None:
        if self.curve.due(self.num_timesteps):
            self.curve.measure(self.policy_of(self.model), self.num_timesteps)

    def _on_step(self) -> bool:
        return True
