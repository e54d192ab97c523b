"""The weights that a training starts from: those of a shipped agent, or of a file."""

from pathlib import Path

import numpy as np

from gnnsched_agents.worlds import OWN, Workloads, make_world, training_scenario
from gnnsched_baselines import make_policy
from gnnsched_baselines.learned.pair_network import Network, initial_network
from gnnsched_baselines.learned.trained_policy import load_agent
from gnnsched_env.common.checks import require


def first_weights(method: str, agent: Path, workloads: Workloads) -> Network:
    """Return the network of a shipped agent, by name, or of an .npz file, by path.

    Of a portfolio it is the first one's; where the workload is the scenario's own, the one that plays there. Raise the
    errors of `load_agent`, and ConfigError for weights of another environment than that of the workloads.
    """
    network, card = load_agent(str(agent))
    rule = f"weights for the environment {workloads.environment}, which is trained for"
    require(method, "weights", str(agent), "" if card["environment"] == workloads.environment else rule)
    if workloads.mixes != OWN:
        return network
    world = make_world(workloads, training_scenario(workloads, 0), workloads.loads[0], 1, dataflow="predicted_best")
    policy = make_policy(f"agent:{agent}", world.layout, table=world.simulation.table)
    chosen: Network = policy.network  # type: ignore[attr-defined]  # as all agents have
    return chosen


def widened(network: Network, width: int, rng: np.random.Generator) -> Network:
    """Return the network with so many units in each layer, or as it is if it has as many; it decides as before.

    What the new units read is random (He et al. 2015). What old units and scores read of new ones is 0.
    """
    old = len(network.b1)
    if width <= old:
        return network
    drawn = initial_network(width, rng)
    w2, u2 = drawn.w2.copy(), drawn.u2.copy()
    for matrix, before in ((w2, network.w2), (u2, network.u2)):
        matrix[:, :old] = 0.0
        matrix[:old, :old] = before
    arrays = {"b1": network.b1, "b2": network.b2, "w3": network.w3}
    padded = {name: np.concatenate([own, np.zeros(width - old, np.float32)]) for name, own in arrays.items()}
    return Network(
        w1=np.concatenate([network.w1, drawn.w1[:, old:]], axis=1), w2=w2, u2=u2, skip=network.skip, **padded
    )
