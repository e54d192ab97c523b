"""Gymnasium environments for scheduling GNN inference on heterogeneous dataflow accelerators.

Importing the package registers `gnnsched/Dispatch-v0` and `gnnsched/Queue-v0`; it loads neither torch nor scikit-learn.
"""

from gnnsched_env.common.errors import (
    ConfigError,
    FileFormatError,
    GnnSchedError,
    GraphError,
    InvalidAction,
    PoliciesFailed,
    ResetNeeded,
    TableError,
)
from gnnsched_env.common.policy import Knowledge, Policy
from gnnsched_env.registration import register_envs
from gnnsched_env.version import __version__

__all__ = [
    "ConfigError",
    "FileFormatError",
    "GnnSchedError",
    "GraphError",
    "InvalidAction",
    "Knowledge",
    "PoliciesFailed",
    "Policy",
    "ResetNeeded",
    "TableError",
    "__version__",
]

register_envs()
