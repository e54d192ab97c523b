"""Models of Stable-Baselines3 as policies of this package: `sb3:model.zip`.

Whichever of the three algorithms trained it, the greedy policy takes the legal row that the scorer likes best: what
DQN's value of the lane adds is the same for all rows. So the scorer's weights are all that is needed, and they play as
any trained policy does, without torch. Nothing in the file is executed.
"""

from collections.abc import Callable
from pathlib import Path

from gnnsched_agents.methods.sb3_files import read_network
from gnnsched_baselines.learned.trained_policy import TrainedPolicy
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import Policy
from gnnsched_env.envs import Layout
from gnnsched_env.tables import LatencyTable

PREFIX = "sb3:"


class Sb3Policy(TrainedPolicy):
    """Take the legal action that a model of `agents.sb3` likes best; for Queue-v0, under either `dataflow`."""

    name = "sb3"

    def __init__(self, layout: Layout, table: LatencyTable | None, path: str | Path) -> None:
        """Load the model; `table` (of a job) tells the workload's predicted latencies.

        Raise FileFormatError where the file is no model that `agents.sb3` saved, ConfigError where the environment is
        not Queue-v0 or the table is missing.
        """
        network, self.about = read_network(Path(path))
        super().__init__(layout, table=table, network=network)


def agent_factory(name: str) -> Callable[[Layout, LatencyTable], Policy]:
    """Return what makes the policy of "sb3:FILE.zip" for a layout and a table; a bad file is refused at once.

    Raise ConfigError where the name names no file, FileFormatError as `Sb3Policy`.
    """
    path = name.removeprefix(PREFIX)
    if not name.startswith(PREFIX) or not path:
        raise ConfigError(f"policy {name!r}: must be {PREFIX}FILE.zip")
    read_network(Path(path))
    return lambda layout, table: Sb3Policy(layout, table, path)
