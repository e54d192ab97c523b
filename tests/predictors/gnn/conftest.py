"""The folder needs the extra `gnn`."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("torch_geometric")

import torch

torch.set_num_threads(1)  # the networks are small, and test processes many
