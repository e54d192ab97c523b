"""A GNN that reads a job's adjacency and predicts its cycles under any dataflow; needs the extra `gnn`."""

from gnnsched_env.common.errors import needs_extra

with needs_extra("predictor 'gnn'", "gnn"):
    import torch as _torch  # noqa: F401
    import torch_geometric as _torch_geometric  # type: ignore[import-untyped]  # noqa: F401

from gnnsched_env.predictors.gnn.gnn_predictor import GnnPredictor, shipped_gnn
from gnnsched_env.predictors.gnn.gnn_training import TrainConfig, train_gnn
from gnnsched_env.predictors.gnn.latency_networks import Architecture, ModelConfig, Target

__all__ = ["Architecture", "GnnPredictor", "ModelConfig", "Target", "TrainConfig", "shipped_gnn", "train_gnn"]
