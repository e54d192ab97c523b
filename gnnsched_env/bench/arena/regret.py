"""Where a policy lost most: what each of its decisions cost, had a better policy decided from there on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.envs.construction import scenario_batch
from gnnsched_env.envs.env_batch import EnvBatch
from gnnsched_env.evaluation.runs import PolicyFactory, decide
from gnnsched_env.scenario import Scenario
from gnnsched_env.sim import Simulation, SimulationSettings
from gnnsched_env.sim.totals import exact_sum
from gnnsched_env.tables import LatencyTable

MOST_LANES = 256  # states from which the better policy plays on at once
WAITED = "waited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A decision of a policy, and what it cost: `regret` cycles of completion time, summed over the episode's jobs.

    It was made at `time`, with `waiting` jobs in sight; `done` says what was done, `better` what the better policy does
    there. Regrets of an episode add up to what the policy takes more than the better one from the start, to the cycle.
    """

    number: int
    time: int
    waiting: int
    done: str
    better: str
    regret: int


def decisions_with_regret(
    scenario: Scenario,
    table: LatencyTable,
    settings: SimulationSettings,
    policy: PolicyFactory,
    better: PolicyFactory,
    seed: int,
) -> list[Decision]:
    """Play the episode of a seed under a policy, and return its decisions, each with its regret.

    The regret of a decision is the sum of completion times if `better` decides after it, less that if `better` decides
    from before it. Both are played to the end with what really happens then, which neither policy sees.
    """
    batch = scenario_batch(scenario, table, settings, capacity=settings.jobs)
    batch.reset([seed])
    chosen = policy(batch.layout, batch.table)
    states: list[tuple[NDArray[Any], ...]] = []
    made: list[tuple[int, int, int]] = []  # time, waiting jobs, action
    while not batch.ended[0]:
        states.append(_state(batch))
        action = int(decide(batch, chosen)[0])
        made.append((int(batch.simulation.lanes["time"][0]), int(batch.simulation.lanes["waiting"][0]), action))
        batch.step(np.array([action], np.int64))
    states.append(_state(batch))
    values, first = _values(scenario, table, settings, states, better)
    return [
        Decision(
            number=number,
            time=time,
            waiting=waiting,
            done=_named(batch, states[number], action),
            better=_named(batch, states[number], int(first[number])),
            regret=values[number + 1] - values[number],
        )
        for number, (time, waiting, action) in enumerate(made)
    ]


def _state(batch: EnvBatch) -> tuple[NDArray[Any], ...]:
    """Return copies of the arrays of a batch's only lane."""
    return tuple(array[0].copy() for array in _arrays(batch.simulation))


def _arrays(simulation: Simulation) -> tuple[NDArray[Any], ...]:
    """Return the arrays that decide what happens in each lane; runs that failures stopped are only remembered."""
    moving = (simulation.lanes, simulation.accelerators, simulation.jobs, simulation.queue)
    return (*moving, simulation.seeds, simulation.episodes)


def _values(
    scenario: Scenario,
    table: LatencyTable,
    settings: SimulationSettings,
    states: Sequence[tuple[NDArray[Any], ...]],
    better: PolicyFactory,
) -> tuple[list[int], list[int]]:
    """Return the sum of completion times if `better` decides from each state on, and its first action there."""
    values: list[int] = []
    actions: list[int] = []
    for start in range(0, len(states), MOST_LANES):
        block = states[start : start + MOST_LANES]
        lanes = scenario_batch(scenario, table, settings, lanes=len(block), capacity=settings.jobs)
        simulation = lanes.simulation
        lanes.reset([0] * len(block))
        for lane, state in enumerate(block):
            for array, kept in zip(_arrays(simulation), state, strict=True):
                array[lane] = kept
        batch = EnvBatch.around(simulation)
        policy = better(batch.layout, batch.table)
        actions += decide(batch, policy).tolist()
        while not batch.ended.all():
            batch.step(decide(batch, policy))
        jobs = simulation.jobs
        values += [exact_sum(row) for row in np.asarray(jobs["finish"] - jobs["arrival"])]
    return values, actions


def _named(batch: EnvBatch, state: tuple[NDArray[Any], ...], action: int) -> str:
    """Return an action in words: the job, by its number, and where it goes."""
    layout = batch.layout
    if action == layout.wait_action:
        return WAITED
    slot, column = divmod(action, len(layout.column_accelerators))
    lane, queue = state[0], state[3]
    job = int(queue[int(lane["head"]) + slot]["job"])
    names = layout.choice_names if layout.choose_dataflow else batch.table.accelerator_names
    return f"job {job} to {names[column]}"
