"""The Gymnasium environments over the fleet simulator, and the encoding of their observations."""

from gnnsched_env.envs.env_batch import EnvBatch
from gnnsched_env.envs.observation_units import (
    View,
    by_column,
    decode_counts,
    decode_cycles,
    encode_cycles,
    pair_view,
    unflatten,
)
from gnnsched_env.envs.single_env import DispatchEnv, QueueEnv, SchedulingEnv
from gnnsched_env.envs.spaces import ACCELERATOR_FIELDS, PAIR_FIELDS, SLOT_FIELDS, SYSTEM_FIELDS, Layout
from gnnsched_env.envs.vector_env import DispatchVectorEnv, QueueVectorEnv, SchedulingVectorEnv
from gnnsched_env.registration import DISPATCH_ID, QUEUE_ID, register_envs

__all__ = [
    "ACCELERATOR_FIELDS",
    "DISPATCH_ID",
    "PAIR_FIELDS",
    "QUEUE_ID",
    "SLOT_FIELDS",
    "SYSTEM_FIELDS",
    "DispatchEnv",
    "DispatchVectorEnv",
    "EnvBatch",
    "Layout",
    "QueueEnv",
    "QueueVectorEnv",
    "SchedulingEnv",
    "SchedulingVectorEnv",
    "View",
    "by_column",
    "decode_counts",
    "decode_cycles",
    "encode_cycles",
    "pair_view",
    "register_envs",
    "unflatten",
]
