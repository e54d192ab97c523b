"""How far policies are from the proved optima of the small instances that ship with the package."""

from collections.abc import Mapping, Sequence

import numpy as np

from gnnsched_env.bounds import KnownOptimum
from gnnsched_env.evaluation.attempts import Attempts
from gnnsched_env.evaluation.optimality.distances import Limits, Record, distance, draw_instances
from gnnsched_env.evaluation.runs import PolicyFactory, Runs, run_policy
from gnnsched_env.scenario import load_scenario, scenario_table


def known_records(
    known: Sequence[KnownOptimum],
    factories: Mapping[str, PolicyFactory],
    *,
    window: int | None = None,
    attempts: Attempts,
) -> dict[str, list[Record]]:
    """Play known instances in Queue-v0 under all policies; return for each fleet a record a policy, the nearest first.

    Records are those of `distance`, with "policy", "knowledge", "fleet", "env" and "mean_completion" (cycles); `window`
    is how many waiting jobs a policy sees. A policy that fails has no records: its error is kept in `attempts`. Raise
    ConfigError where a scenario's jobs are not an instance's any more.
    """
    played = {}
    for name, factory in factories.items():
        with attempts.of(name):
            played[name] = [play_known(entry, factory, window=window) for entry in known]
    records: dict[str, list[Record]] = {}
    for fleet in sorted({entry.scenario for entry in known}):
        chosen = [number for number, entry in enumerate(known) if entry.scenario == fleet]
        limits = known_limits([known[number] for number in chosen])
        jobs = sum(known[number].instance.num_jobs for number in chosen)
        rows = []
        for name, runs in played.items():
            totals = np.array([runs[number].metrics.completion.sum(dtype=np.float64) for number in chosen])
            row = {"policy": name, "knowledge": str(runs[0].knowledge), **distance(totals, limits)}
            rows.append({**row, "fleet": fleet, "env": "queue", "mean_completion": float(totals.sum() / jobs)})
        records[fleet] = sorted(rows, key=lambda row: float(row["mean_completion"]))
    return records


def play_known(entry: KnownOptimum, factory: PolicyFactory, *, window: int | None = None) -> Runs:
    """Play one known instance; raise ConfigError where the scenario's jobs are not the instance's any more."""
    scenario = load_scenario(entry.scenario).with_options(load=entry.load, jobs=entry.instance.num_jobs, window=window)
    table = scenario_table(scenario)
    (drawn,) = draw_instances(scenario, table, seed=entry.seed, episodes=1)
    entry.check_jobs(drawn)
    return run_policy(factory, scenario, table, dispatch=False, seed=entry.seed, episodes=1)


def known_limits(known: Sequence[KnownOptimum]) -> Limits:
    """Return proved optima as limits."""
    totals = np.array([entry.total for entry in known], np.int64)
    return Limits(
        instances=tuple(entry.instance for entry in known),
        plans=tuple(entry.plan for entry in known),
        bound=totals,
        offline=totals,
    )
