"""Observations put together by hand, and episodes played to the end."""

import numpy as np

from gnnsched_env.envs import ACCELERATOR_FIELDS, SLOT_FIELDS, SYSTEM_FIELDS, EnvBatch, Layout, encode_cycles
from gnnsched_env.sim import SimulationSettings, WindowOrder, fleet_capacity
from gnnsched_env.sim.belief import belief_of
from tests import toys


def layout(owners, *, dispatch=False, window=4, static=None, means=None, choose_dataflow=True, names=None):
    """Return a layout; `owners` is the accelerator of each choice."""
    return Layout(
        window=1 if dispatch else window,
        choice_accelerators=tuple(owners),
        mean_log_cycles=toys.static_means(list(owners), static) if means is None else means,
        choice_names=names or tuple(f"a{owner}/d{k}" for k, owner in enumerate(owners)),
        dispatch=dispatch,
        choose_dataflow=choose_dataflow,
    )


def situation(layout, latencies, *, remaining=None, busy=None, queued=None, waited=None, may_wait=True):
    """Return (observation, mask) of one lane in which jobs of these predicted cycles [jobs][choices] wait.

    An accelerator is busy if it is said to be, or has cycles remaining.
    """
    count, jobs = layout.num_accelerators, len(latencies)
    remaining = np.zeros(count, int) if remaining is None else np.asarray(remaining)
    busy = remaining > 0 if busy is None else np.asarray(busy, bool)
    slots = np.zeros((layout.window, len(SLOT_FIELDS)), np.float32)
    slots[:jobs, SLOT_FIELDS.index("present")] = 1
    slots[:jobs, SLOT_FIELDS.index("waited")] = encode_cycles(
        np.arange(jobs, 0, -1) if waited is None else np.asarray(waited)
    )
    codes = np.zeros((layout.window, layout.num_choices), np.float32)
    codes[:jobs] = encode_cycles(np.asarray(latencies))
    accelerators = np.zeros((count, len(ACCELERATOR_FIELDS)), np.float32)
    accelerators[:, ACCELERATOR_FIELDS.index("busy")] = busy
    accelerators[:, ACCELERATOR_FIELDS.index("remaining")] = encode_cycles(remaining)
    queued = np.zeros(count, int) if queued is None else np.asarray(queued)
    accelerators[:, ACCELERATOR_FIELDS.index("queued")] = queued / (queued + layout.window)
    observation = {
        "slots": slots.reshape(1, -1),
        "latencies": codes.reshape(1, -1),
        "accelerators": accelerators.reshape(1, -1),
        "system": np.zeros((1, len(SYSTEM_FIELDS)), np.float32),
    }
    return observation, legal_actions(layout, jobs, busy, may_wait)


def legal_actions(layout, jobs, busy, may_wait):
    """Return the mask of one lane."""
    if layout.dispatch:
        return np.ones((1, layout.num_actions), bool)
    mask = np.zeros((1, layout.num_actions), bool)
    for slot in range(jobs):
        for column, owner in enumerate(layout.column_accelerators):
            mask[0, slot * layout.columns + column] = not busy[owner]
    mask[0, layout.wait_action] = may_wait
    return mask


def batch(
    table,
    *,
    dispatch,
    lanes=3,
    jobs=25,
    window=4,
    load=0.9,
    choose_dataflow=True,
    shortest_first=False,
    settings=None,
):
    """Return a batch of environments over a table, reset with seeds 0, 1, ...; `settings` are further ones by name."""
    rate = load * fleet_capacity(table.true_cycles, table.weights, table.choice_accelerators).rate
    chosen = SimulationSettings(
        mean_gap=1 / rate,
        unit=table.mean_shortest_predicted,
        jobs=jobs,
        window=1 if dispatch else window,
        dispatch=dispatch,
        window_order=WindowOrder.SHORTEST if shortest_first else WindowOrder.ARRIVAL,
        choose_dataflow=choose_dataflow,
        **(settings or {}),
    )
    environments = EnvBatch(table, chosen, lanes=lanes)
    environments.reset(range(lanes))
    return environments


def decide(policy, environments):
    """Return a policy's actions, int64 [lanes]; where it takes a belief it is told it first."""
    if hasattr(policy, "observe_belief"):
        policy.observe_belief(belief_of(environments.simulation))
    return policy.act(environments.observation, environments.mask)


def play(policy, environments):
    """Play all lanes to their ends; return int64 [steps, lanes], the actions."""
    taken = []
    while not environments.ended.all():
        actions = decide(policy, environments)
        taken.append(actions)
        environments.step(actions)
    return np.array(taken)


def mean_completion(environments):
    """Return the mean completion time of all jobs of all lanes, cycles."""
    jobs = environments.simulation.jobs
    return float((jobs["finish"] - jobs["arrival"]).mean())
