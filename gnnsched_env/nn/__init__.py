"""Torch building blocks shared by the GNN predictor, the forecasts and the agents: layers, adjacency, checkpoints."""
