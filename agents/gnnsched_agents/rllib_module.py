"""The pair networks as an RLModule of RLlib, for PPO and its kin on the observation "pairs"."""

from typing import Any

from gnnsched_env.common.errors import needs_extra

with needs_extra("PairRLModule", "adapters"):
    from ray.rllib.core.columns import Columns
    from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
    from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
    from torch import Tensor

    from gnnsched_agents.pair_modules import PairActorCritic, check_space


class PairRLModule(TorchRLModule, ValueFunctionAPI):
    """Logits of actions, ILLEGAL where one is, and values, from rows of features.

    `model_config` may hold `width`, the units of each layer. `networks.scorer` is what `PairRowsPolicy` plays. Raise
    ConfigError if the observation space is another.
    """

    def setup(self) -> None:
        """Make the networks."""
        waiting = check_space("PairRLModule", self.observation_space, self.action_space)
        width = (self.model_config or {}).get("width", 32)  # RLlib's own settings are beside it
        self.networks = PairActorCritic(width, waiting)

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {Columns.ACTION_DIST_INPUTS: self.networks.logits(batch[Columns.OBS])}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Tensor:
        """Return the estimated returns [B]."""
        values: Tensor = self.networks.values(batch[Columns.OBS])
        return values.squeeze(-1)
