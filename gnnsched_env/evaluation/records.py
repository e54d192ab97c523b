"""One record per (fleet, env, load, policy), as JSON."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np

from gnnsched_env.evaluation.intervals import paired_ratio
from gnnsched_env.evaluation.runs import PolicyFactory, Runs, run_policy, run_unbounded
from gnnsched_env.files import write_whole
from gnnsched_env.policy import Routing
from gnnsched_env.scenario import Scenario, table_rate
from gnnsched_env.sim import policy_capacity
from gnnsched_env.tables import LatencyTable
from gnnsched_env.version import __version__

Record = dict[str, Any]
LIBRARIES = ("gymnasium", "numba", "numpy", "scikit-learn", "scipy")


def evaluate(
    scenario: Scenario,
    table: LatencyTable,
    policies: Mapping[str, PolicyFactory],
    *,
    shortest_job_first: PolicyFactory,
    uninformed: Mapping[str, PolicyFactory],
    dispatch: bool,
    seed: int,
    episodes: int,
    graphs: Sequence[str],
) -> list[Record]:
    """Run every policy on the same episodes of one scenario at its load; return a record each, best first.

    `shortest_job_first` makes the policy whose clairvoyant twin in Queue-v0, unbounded window, all ratios refer to;
    the best of `uninformed`, whose results are not recorded unless they are among `policies` too, is the other
    reference. The scenario's decision cost is charged to the policies that use predictions, and not to the clairvoyant
    reference, so that ratios show it.
    """
    clairvoyant = table.clairvoyant()
    reference = run_unbounded(shortest_job_first, scenario, clairvoyant, seed=seed, episodes=episodes)
    runs = {
        name: run_policy(factory, scenario, table, dispatch=dispatch, seed=seed, episodes=episodes)
        for name, factory in {**uninformed, **policies}.items()
    }
    best = min((runs[name] for name in uninformed), key=_mean_completion, default=None)
    records = []
    for name in policies:
        run = runs[name]
        record = {
            "policy": name,
            "knowledge": str(run.knowledge),
            "fleet": scenario.fleet.name,
            "env": "dispatch" if dispatch else "queue",
            "load": scenario.environment.load,
            **_stability(run, table, scenario.environment.load),
            "episodes": episodes,
            "jobs": scenario.environment.jobs,
            "repeats": scenario.workload.repeats,
            "decision": asdict(scenario.decision) if run.settings.decision else None,
            "graphs": list(graphs),
            **_summary(run),
            "ratio_to_best_uninformed": None if best is None else _ratios(run, best),
            "ratio_to_sjf_clairvoyant": _ratios(run, reference),
        }
        records.append(record)
    return sorted(records, key=lambda record: float(record["mean_completion"]))


def provenance(scenario: Scenario, tables: Sequence[LatencyTable], arguments: Mapping[str, Any]) -> Record:
    """Return what made the records: versions, scenario, tables (one a mix of graphs), arguments."""
    return {
        "gnnsched_env": __version__,
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "scenario": scenario.name,
        "fleet": scenario.fleet.to_dict(),
        "repeats": scenario.workload.repeats,
        "decision": asdict(scenario.decision),
        "tables": [dict(table.provenance) for table in tables],
        "arguments": dict(arguments),
    }


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write records and provenance; a killed write leaves no broken file."""
    text = json.dumps(content, indent=1) + "\n"
    write_whole(path, lambda file: file.write(text.encode()))


def _mean_completion(run: Runs) -> float:
    return float(run.per_episode("completion").mean())


def _stability(run: Runs, table: LatencyTable, load: float) -> Record:
    """Return the largest load that the policy and its predictor can sustain, and whether this load is below it.

    A predictor that is charged and not cached predicts at most `workers` jobs in the cycles that one takes.
    """
    routing = getattr(run.policy, "routing", Routing.FREE)
    rate = policy_capacity(table, routing=routing, choices=getattr(run.policy, "choices", None))
    if run.settings.decision and not run.settings.cached:
        rate = min(rate, run.settings.repeats * run.settings.workers / run.settings.decision)
    capacity = rate / table_rate(table)
    return {"capacity": capacity, "stable": load < capacity}


def _summary(run: Runs) -> Record:
    completion = run.pooled("completion")
    p50, p95, p99 = np.percentile(completion, [50, 95, 99])
    jobs = len(completion) / len(run.pooled("makespan"))
    return {
        "mean_completion": float(completion.mean()),
        "p50_completion": float(p50),
        "p95_completion": float(p95),
        "p99_completion": float(p99),
        "mean_execution": float(run.pooled("execution").mean()),
        "mean_slowdown": float(run.pooled("slowdown").mean()),
        "mean_predicting": float(run.pooled("predicting").mean()),
        "utilisation": float(run.pooled("utilisation").mean()),
        "throughput_per_mcycle": float((jobs * 1e6 / run.pooled("makespan")).mean()),
    }


def _ratios(run: Runs, other: Runs) -> Record:
    return {
        name: paired_ratio(run.per_episode(name), other.per_episode(name)).as_list()
        for name in ("completion", "execution")
    }
