"""Show which predictor a fleet should use: completion times with the time of predicting charged, over loads.

python -m scripts.decision_cost --graphs ../shared/graphs/*.npz
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from gnnsched_env.errors import GnnSchedError
from gnnsched_env.evaluation import Record, write_json
from gnnsched_env.latency import make_predictor
from gnnsched_env.latency.timing import prediction_times
from gnnsched_env.scenario import Scenario, load_scenario, scenario_classes, scenario_table
from gnnsched_env.tables import LatencyTable, distinct_pairs
from scripts.evaluate import compare, policy_factories, with_graphs

SAMPLE = 60  # classes that the predictors are timed on


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Time each predictor on the scenario's jobs, charge that time, and compare completion times."""

    graphs: tuple[Path, ...] = ()
    """Graph files, one mix; none: the embedded classes."""
    scenario: str = "hetero4"
    predictors: tuple[str, ...] = (
        "exact",
        "closed_form",
        "closed_form_metadata",
        "gradient_boosting",
        "gradient_boosting_metadata",
    )
    policy: str = "min_min"
    load: tuple[float, ...] = (0.5, 0.8, 0.95)
    job_ms: float = 1.0
    """How long the median job should last under its best choice; `repeats` follows."""
    workers: tuple[int, ...] = (1, 4)
    slower: tuple[float, ...] = (1.0, 10.0)
    """Factors on the measured times: 10 for a slower host."""
    episodes: int = 30
    jobs: int = 1000
    seed: int = 0
    json: Path | None = None


def main() -> None:
    """Run the command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    try:
        run(arguments)
    except (GnnSchedError, OSError) as error:
        sys.exit(f"error: {error}")


def run(arguments: Arguments) -> None:
    """Time, evaluate and print."""
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
    records = []
    for name in arguments.predictors:
        scenario = replace(base, predictor=name)
        microseconds = _time(scenario)
        for slower in arguments.slower:
            charged = slower * microseconds
            for workers, cached in [*((k, False) for k in arguments.workers), (1, True)]:
                decision = {"latency_us": charged, "workers": workers, "cached": cached}
                row = [
                    _evaluate(arguments, scenario.with_options(decision=decision, load=load)) for load in arguments.load
                ]
                records += [{"predictor": name, **record} for record in row]
                shown = " | ".join(_ratio(record) for record in row)
                print(f"| {name} | {charged:.0f} | {workers} | {'yes' if cached else 'no'} | {shown} |", flush=True)
    if arguments.json is not None:
        write_json(arguments.json, {"repeats": repeats, "records": records})


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


def _evaluate(arguments: Arguments, scenario: Scenario) -> Record:
    (record,) = compare(
        scenario,
        scenario_table(scenario),
        policy_factories((arguments.policy,), dispatch=False),
        dispatch=False,
        seed=arguments.seed,
        episodes=arguments.episodes,
        graphs=[path.stem for path in arguments.graphs],
    )
    return record


def _ratio(record: Record) -> str:
    value, low, high = record["ratio_to_sjf_clairvoyant"]["completion"]
    return f"{value:.3f} ± {(high - low) / 2:.3f}" + ("" if record["stable"] else " (unstable)")


if __name__ == "__main__":
    main()
