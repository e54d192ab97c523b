"""Evaluation records: one per (fleet, env, load, policy), as JSON."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.common.stats import paired_ratio
from gnnsched_env.evaluation.attempts import Attempts
from gnnsched_env.evaluation.declarations import declarations_of
from gnnsched_env.evaluation.runs import PolicyFactory, Runs, checked_seeds, run_policy, run_unbounded
from gnnsched_env.scenario import Scenario, table_rate
from gnnsched_env.scenario.resolve import scenario_trace
from gnnsched_env.scenario.scenario import SECTIONS
from gnnsched_env.sim import policy_capacity, summarise
from gnnsched_env.tables import LatencyTable
from gnnsched_env.version import __version__

Record = dict[str, Any]
# The sections of a scenario that a record holds; what it says of the others stands in fields of its own.
CONDITIONS = tuple(name for name in SECTIONS if name not in ("workload", "environment", "decision"))
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
    versus: str | None = None,
    progress: bool | None = False,
) -> list[Record]:
    """Run every policy on the same episodes of one scenario at its load; return one record for each, best first.

    All ratios refer to the policy that `shortest_job_first` makes, run clairvoyantly in Queue-v0 with an unbounded
    window: it meets the same arrivals and failures, but no prediction errors of the predictor or the scenario. The
    other reference is the best of `uninformed`, whose results are recorded only if they are among `policies` too. The
    scenario's decision cost is charged to the policies that use predictions, but not to the clairvoyant reference, so
    that ratios show it. `versus` names one of `policies` as a further reference. `progress` shows a bar; None shows it
    if stderr is a terminal.

    A policy that fails does not stop the others: at the end, PoliciesFailed is raised with all errors and the others'
    records, which hold None for ratios over a reference that failed.
    """
    if versus is not None and versus not in policies:
        raise ConfigError(f"evaluation: versus must be one of the policies {', '.join(policies)}, got {versus!r}")
    seed, episodes = checked_seeds("evaluation", seed, episodes)
    clairvoyant = table.clairvoyant()
    every = {**uninformed, **policies}
    seeds: Any = {"seed": seed, "episodes": episodes}
    with progress_bar("evaluating", (1 + len(every)) * episodes, shown=progress, unit="episodes") as advance:
        advance(0, "clairvoyant sjf")
        reference = run_unbounded(shortest_job_first, scenario, clairvoyant, **seeds, advance=advance)
        runs: dict[str, Runs] = {}
        attempts = Attempts()
        for number, (name, factory) in enumerate(every.items(), 1):
            advance(0, f"{name} ({number}/{len(every)})")
            with attempts.of(name):
                runs[name] = run_policy(factory, scenario, table, dispatch=dispatch, **seeds, advance=advance)
    best = min((runs[name] for name in uninformed if name in runs), key=_mean_completion, default=None)
    other = None if versus is None else runs.get(versus)
    records = [
        {
            "policy": name,
            **_circumstances(runs[name], scenario, table),
            "graphs": list(graphs),
            **_summary(runs[name]),
            "ratio_to_best_uninformed": _ratios(runs[name], best),
            "ratio_to_sjf_clairvoyant": _ratios(runs[name], reference),
            **({} if versus is None else {"versus": versus, "ratio_to_versus": _ratios(runs[name], other)}),
        }
        for name in policies
        if name in runs
    ]
    records.sort(key=lambda record: float(record["mean_completion"]))
    attempts.end(records, played=bool(runs))
    return records


def provenance(scenario: Scenario, tables: Sequence[LatencyTable], arguments: Mapping[str, Any]) -> Record:
    """Return the provenance of the records: versions, scenario, tables (one per mix of graphs), arguments."""
    return {
        "gnnsched_env": __version__,
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "scenario": scenario.name,
        "fleet": scenario.fleet.to_dict(),
        "predictor": scenario.predictor,
        "repeats": scenario.workload.repeats,
        **{name: asdict(getattr(scenario, name)) for name in SECTIONS},
        "tables": [dict(table.provenance) for table in tables],
        "arguments": dict(arguments),
    }


def _mean_completion(run: Runs) -> float:
    return float(run.per_episode("completion").mean())


def _circumstances(run: Runs, scenario: Scenario, table: LatencyTable) -> Record:
    """Return the record's fields for policy, fleet, load and conditions."""
    load = _load(scenario, table, run)
    cost = asdict(scenario.decision) | {"skip_below": run.settings.skip_below}
    return {
        "knowledge": str(run.knowledge),
        "fleet": scenario.fleet.name,
        "env": "dispatch" if run.settings.dispatch else "queue",
        "load": load,
        **_stability(run, table, load),
        "episodes": len(run.metrics.makespan),
        "jobs": run.settings.jobs,
        "repeats": run.settings.repeats,
        "decision": cost if run.settings.decision else None,
        **{name: _unless_default(getattr(scenario, name)) for name in CONDITIONS},
    }


def _unless_default(section: Any) -> Record | None:
    """Return a scenario's section as JSON values, or None if all its values are defaults."""
    if section == type(section)():
        return None
    section_json: Record = json.loads(json.dumps(asdict(section)))
    return section_json


def _load(scenario: Scenario, table: LatencyTable, run: Runs) -> float | None:
    """Return the arrival rate over the fleet's largest sustainable rate: the scenario's, or that of its trace.

    None for a trace whose jobs come together: it has no rate.
    """
    trace = scenario_trace(scenario)
    if trace is None:
        return scenario.environment.load
    if trace.rate_hz is None:
        return None
    return run.settings.repeats / (run.settings.mean_gap * table_rate(table))


def _stability(run: Runs, table: LatencyTable, load: float | None) -> Record:
    """Return the largest load that the policy and its predictor can sustain, and whether this load is below it.

    For an unknown load the second value is None.

    A fleet with failures serves only the share of the time in which it is up. A predictor whose time is charged, not
    cached, and that cannot be skipped predicts at most `workers` jobs in the cycles of one prediction. Both are average
    rates over time and mix.
    """
    says = declarations_of(run.policy, table.num_choices)
    rate = policy_capacity(table, routing=says.routing, choices=says.choices)
    up, down = run.settings.mean_up, run.settings.mean_down
    if up:
        rate *= up / (up + down)
    if run.settings.decision and not run.settings.cached and not run.settings.skip_below:
        rate = min(rate, run.settings.repeats * run.settings.workers / run.settings.decision)
    capacity = rate / table_rate(table)
    return {"capacity": capacity, "stable": None if load is None else load < capacity}


def _summary(run: Runs) -> Record:
    p50, p95, p99 = np.percentile(run.pooled("completion"), [50, 95, 99])
    return {
        **summarise(run.metrics),
        "p50_completion": float(p50),
        "p95_completion": float(p95),
        "p99_completion": float(p99),
        "throughput_per_mcycle": float((run.settings.jobs * 1e6 / run.pooled("makespan")).mean()),
    }


def _ratios(run: Runs, other: Runs | None) -> Record | None:
    if other is None:
        return None
    return {
        name: paired_ratio(run.per_episode(name), other.per_episode(name)).as_list()
        for name in ("completion", "execution")
    }
