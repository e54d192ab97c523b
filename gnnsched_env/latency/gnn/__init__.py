"""A GNN that reads a job's adjacency and predicts its cycles under any dataflow; needs the extra `gnn`."""

from gnnsched_env.errors import ConfigError

try:
    import torch as _torch  # noqa: F401
    import torch_geometric as _torch_geometric  # type: ignore[import-untyped]  # noqa: F401
except ModuleNotFoundError as error:
    raise ConfigError(
        f"predictor 'gnn' needs the extra `gnn` (pip install 'gnnsched-env[gnn]'): {error.name} is not installed"
    ) from error

from gnnsched_env.latency.gnn.model import Architecture, ModelConfig, Target
from gnnsched_env.latency.gnn.predictor import GnnPredictor, shipped_gnn
from gnnsched_env.latency.gnn.train import TrainConfig, train_gnn

__all__ = ["Architecture", "GnnPredictor", "ModelConfig", "Target", "TrainConfig", "shipped_gnn", "train_gnn"]
