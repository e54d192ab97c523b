"""Show which predictor a fleet should use: completion times with the time of predicting charged, over loads.

python scripts/studies/decision_cost.py --graphs MUTAG.npz PROTEINS.npz --episodes 20
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gnnsched_cli.command import OutFile, run_command
from gnnsched_cli.policy_names import register_policies
from gnnsched_env.evaluation import (
    Attempts,
    Record,
    Runs,
    paired_ratio,
    policy_factory,
    run_policy,
    run_unbounded,
    with_graphs,
    write_json,
)
from gnnsched_env.predictors import make_predictor
from gnnsched_env.predictors.prediction_times import prediction_times
from gnnsched_env.scenario import Scenario, load_scenario, scenario_classes, scenario_table
from gnnsched_env.tables import LatencyTable, distinct_pairs

SAMPLE = 60  # classes that the predictors are timed on


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Time each predictor on the scenario's jobs, charge that time, and compare completion times."""

    graphs: tuple[Path, ...] = ()
    """Graph files, which make one mix of jobs; by default, the scenario's own workload."""
    scenario: str = "hetero4"
    predictors: tuple[str, ...] = (
        "exact",
        "closed_form",
        "gradient_boosting",
        "closed_form_metadata",
        "gradient_boosting_metadata",
    )
    policy: str = "min_min"
    load: tuple[float, ...] = (0.5, 0.8, 0.95)
    job_ms: float = 1.0
    """Milliseconds that the median job lasts under its best choice; the number of inferences per job follows."""
    slower: tuple[float, ...] = (1.0, 10.0)
    """Factors on the measured times of predicting: 10 stands for a host that is ten times slower."""
    episodes: int = 30
    jobs: int = 1000
    seed: int = 0
    json: OutFile | None = None
    """JSON file to write the records to."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/decision_cost.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Time, evaluate, write and print; raise an error at the end for the predictors that failed."""
    register_policies()
    base = with_graphs(load_scenario(arguments.scenario), arguments.graphs).with_options(jobs=arguments.jobs)
    repeats = _repeats(scenario_table(base), base, arguments.job_ms)
    base = base.with_options(repeats=repeats)
    print(
        f"{base.fleet.name}, Queue-v0, {arguments.policy}; a job is {repeats} inferences (median {arguments.job_ms} ms)"
    )
    print("C: mean completion time over that of clairvoyant SJF, which pays nothing for knowing.\n")
    print(
        "| predictor | us a job | workers | cached | " + " | ".join(f"C at {load:g}" for load in arguments.load) + " |"
    )
    print("|---|---|---|---|" + "---|" * len(arguments.load))
    references = {load: _reference(arguments, base.with_options(load=load)) for load in arguments.load}
    records: list[Record] = []
    attempts = Attempts()
    for name in arguments.predictors:
        with attempts.of(name):
            for own, row in _predictor_records(arguments, replace(base, predictor=name), references):
                records += own
                if arguments.json is not None:  # before anything is printed, and before the next one may fail
                    write_json(arguments.json, {"repeats": repeats, "records": records})
                print(row, flush=True)
    attempts.end(played=bool(records))


def _predictor_records(
    arguments: Arguments, scenario: Scenario, references: Mapping[float, np.ndarray]
) -> Iterator[tuple[list[Record], str]]:
    """Yield the records, one for each load, and the row of each way to charge the scenario's predictor."""
    microseconds = _time(scenario)
    for slower, workers, cached in _configurations(arguments):
        decision = {"latency_us": slower * microseconds, "workers": workers, "cached": cached}
        shown, records = [], []
        for load, reference in references.items():
            charged = scenario.with_options(decision=decision, load=load)
            ratio = paired_ratio(_run(arguments, charged).per_episode("completion"), reference)
            shown.append(f"{ratio.value:.3f} ± {(ratio.high - ratio.low) / 2:.3f}")
            figures = {"load": load, "ratio": [ratio.value, ratio.low, ratio.high]}
            records.append({"predictor": scenario.predictor, **figures, **decision})
        cells = (scenario.predictor, f"{slower * microseconds:.0f}", workers, "yes" if cached else "no", *shown)
        yield records, f"| {' | '.join(map(str, cells))} |"


def _configurations(arguments: Arguments) -> list[tuple[float, int, bool]]:
    """Return (factor on the time, workers, cached): each alone, then what helps a slow one."""
    plain = [(slower, 1, False) for slower in arguments.slower]
    return [*plain, (max(arguments.slower), 4, False), (max(arguments.slower), 1, True)]


def _repeats(table: LatencyTable, scenario: Scenario, job_ms: float) -> int:
    """Return the inferences that make the median job last so long."""
    seconds = float(np.median(table.true_cycles.min(axis=1))) / scenario.fleet.clock_hz
    return max(1, round(1e-3 * job_ms / seconds))


def _time(scenario: Scenario) -> float:
    """Return microseconds a job: the median over classes of the workload, drawn evenly."""
    classes = scenario_classes(scenario.workload)
    pairs = distinct_pairs(scenario.fleet).pairs
    chosen = np.linspace(0, len(classes) - 1, min(SAMPLE, len(classes))).round().astype(int)
    return prediction_times(make_predictor(scenario.predictor, pairs), classes.subset(chosen.tolist()), pairs).one


def _reference(arguments: Arguments, scenario: Scenario) -> np.ndarray:
    """Return the mean completion time of each episode under clairvoyant SJF, float64 [episodes]."""
    table = scenario_table(scenario).clairvoyant()
    sjf = policy_factory("sjf", dispatch=False)
    runs = run_unbounded(sjf, scenario, table, seed=arguments.seed, episodes=arguments.episodes)
    return runs.per_episode("completion")


def _run(arguments: Arguments, scenario: Scenario) -> Runs:
    table = scenario_table(scenario)
    policy = policy_factory(arguments.policy, dispatch=False)
    return run_policy(policy, scenario, table, dispatch=False, seed=arguments.seed, episodes=arguments.episodes)


if __name__ == "__main__":
    sys.exit(main())
