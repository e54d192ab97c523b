"""Environments over a small random table, so that no test needs the shipped one."""

import numpy as np

from gnnsched_env.envs import DispatchEnv, QueueEnv
from gnnsched_env.hardware import load_fleet
from gnnsched_env.scenario import Scenario
from gnnsched_env.tables import LatencyTable
from tests import toys

ENVIRONMENTS = {"dispatch": DispatchEnv, "queue": QueueEnv}


def hetero_scenario(seed=0, noise=0.2):
    """Return hetero4 under a random table."""
    return Scenario(name="hetero4", fleet=load_fleet("hetero4"), table=hetero_table(seed=seed, noise=noise))


def hetero_table(seed=0, noise=0.2):
    """Return a random table whose choices are hetero4's."""
    fleet = load_fleet("hetero4")
    owners = fleet.choice_accelerators
    random = toys.random_table(np.random.default_rng(seed), classes=20, choices=9, accelerators=4, noise=noise)
    return LatencyTable(
        true_cycles=random.true_cycles,
        predicted_cycles=random.predicted_cycles,
        weights=random.weights,
        choice_names=tuple(choice.name for choice in fleet.choices),
        choice_accelerators=owners,
        accelerator_names=tuple(accelerator.name for accelerator in fleet.accelerators),
        mean_log_cycles=toys.static_means(owners.tolist()),
        class_names=random.class_names,
        class_groups=random.class_groups,
        group_names=random.group_names,
        energy_pj=random.true_cycles * 1.5,
    )
