"""A training of milliseconds, and the file that describes it."""

from gnnsched_agents.methods.registry import EvolutionConfig
from gnnsched_agents.training_config import TrainConfig
from gnnsched_agents.validation import ValidationConfig
from gnnsched_agents.worlds import Workloads

TINY = TrainConfig(
    name="tiny",
    method=EvolutionConfig(width=3, prior=0.1, pairs=2, worlds=1, lanes=2, sigma=0.1, learning_rate=0.1),
    workloads=Workloads(sets=2, classes=12, jobs=25, window=8),
    validation=ValidationConfig(workloads=(101,), loads=(0.7, 0.9), jobs=25, episodes=3),
    minutes=None,
    iterations=7,
    validate_every=2,
)
TINY_TOML = """
base = "queue_hetero4_es"
iterations = 7
validate_every = 2
[method]
width = 3
pairs = 2
worlds = 1
lanes = 2
prior = 0.1
sigma = 0.1
learning_rate = 0.1
[workloads]
sets = 2
classes = 12
jobs = 25
window = 8
[validation]
workloads = [101]
loads = [0.7, 0.9]
jobs = 25
episodes = 3
"""
