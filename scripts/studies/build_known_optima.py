"""Make the small instances with proved optima that ship with the package.

Example:
    python scripts/studies/build_known_optima.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from gnnsched_cli.command import OutFile, run_command
from gnnsched_env.bounds import KnownOptimum, optimum
from gnnsched_env.bounds.known import KNOWN_FILE, write_known_optima
from gnnsched_env.evaluation.optimality.distances import draw_instances
from gnnsched_env.scenario import list_scenarios, load_scenario, scenario_table

DEFAULT_FILE = Path(__file__).parents[2] / "gnnsched_env" / "bounds" / KNOWN_FILE


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Draw episodes of the embedded workload on every preset fleet and prove their optima."""

    file: OutFile = DEFAULT_FILE
    """Where to write them."""
    jobs: tuple[int, ...] = (8, 16, 24)
    """Jobs of an instance."""
    load: tuple[float, ...] = (0.8, 1.4)
    seeds: int = 2
    """Instances of each fleet, load and number of jobs: the first seeds that are proved in time."""
    seconds: float = 600.0
    """How long CP-SAT may try to prove one."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/build_known_optima.py", Arguments, build, __doc__, words)


def build(arguments: Arguments) -> None:
    """Prove and write."""
    entries: list[KnownOptimum] = []
    for name in list_scenarios():
        for load in arguments.load:
            for jobs in arguments.jobs:
                entries += proved(name, load, jobs, arguments)
    about = {
        "made_by": "python scripts/studies/build_known_optima.py",
        "workload": "the embedded synthetic classes, Queue-v0",
        "ortools": metadata.version("ortools"),
        "units": "cycles; accelerators and jobs count from 0",
    }
    write_known_optima(arguments.file, entries, about)
    print(f"{arguments.file}: {len(entries)} instances")


def proved(name: str, load: float, jobs: int, arguments: Arguments) -> list[KnownOptimum]:
    """Return the instances of one fleet, load and number of jobs."""
    scenario = load_scenario(name).with_options(load=load, jobs=jobs)
    table = scenario_table(scenario)
    found: list[KnownOptimum] = []
    seed = 0
    while len(found) < arguments.seeds:
        (instance,) = draw_instances(scenario, table, seed=seed, episodes=1)
        best = optimum(instance, seconds=arguments.seconds)
        print(
            f"{name} load {load:g} jobs {jobs} seed {seed}: {best.total:,} {'proved' if best.proved else 'not proved'}"
        )
        if best.proved:
            known = KnownOptimum(
                instance=instance, scenario=name, load=load, seed=seed, plan=best.plan, total=best.total
            )
            found.append(known)
        seed += 1
    return found


if __name__ == "__main__":
    raise SystemExit(main())
