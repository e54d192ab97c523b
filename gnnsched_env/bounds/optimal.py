"""Proved optima of small instances by OR-tools' CP-SAT: `optimum`. Needs the extra `bounds`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gnnsched_env.bounds.annealing import improve
from gnnsched_env.bounds.instance import CycleArray, Instance, Plan
from gnnsched_env.bounds.lagrangian import lower_bound, start_windows
from gnnsched_env.common.checks import Integer, Number
from gnnsched_env.common.errors import ConfigError, needs_extra

MOST_WORKERS = 64
TRIES = 10  # settings of the local search that runs first


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Optimum:
    """The best schedule found, its `total` completion time, and a proved lower `bound` on any (cycles)."""

    plan: Plan
    total: int
    bound: int

    @property
    def proved(self) -> bool:
        """Return whether the schedule is proved to be optimal."""
        return self.total == self.bound


def optimum(
    instance: Instance, plan: Plan | None = None, *, seconds: float = 60.0, workers: int = 1, seed: int = 0
) -> Optimum:
    """Return an optimal schedule if it can be proved in time, else the best one found with its proved bound.

    The plan (`earliest_finish` by default) is improved by local search and bounded by `lower_bound`. If the two
    differ, CP-SAT searches between them for `seconds` on `workers` threads. Its model has an optional interval for each
    job on each accelerator where it can start in time (`start_windows`), forbids overlap on an accelerator, minimises
    the sum of the ends, and takes the schedule as a hint. Its unit is the cycle, so nothing is rounded. With one worker
    the search is repeatable, as far as time allows. Raise ConfigError if OR-tools is not installed.
    """
    model_kit = import_solver()
    seconds = Number(above=0, finite=False).check("optimum", "seconds", seconds)
    workers = Integer(1, MOST_WORKERS).check("optimum", "workers", workers)
    seed = Integer(0).check("optimum", "seed", seed)
    best = improve(instance, plan, tries=TRIES, seed=seed)
    proved = lower_bound(instance, best)
    total, bound = best.total(instance), proved.total
    if bound < total:
        earliest, latest = start_windows(instance, proved, total)
        model, starts, present = _model(model_kit, instance, best, (bound, total), earliest, latest)
        solver = model_kit.CpSolver()
        solver.parameters.max_time_in_seconds = float(seconds)
        solver.parameters.num_workers = workers
        solver.parameters.use_lns = False  # the rest of the seconds is for the proof
        solver.parameters.linearization_level = 2
        solver.parameters.random_seed = seed % (1 << 31)
        status = solver.solve(model)
        released = int(instance.release.sum())
        if status in (model_kit.OPTIMAL, model_kit.FEASIBLE):
            best = _solution(solver, instance, starts, present)
            total = best.total(instance)
        elif status != model_kit.UNKNOWN:  # cannot be infeasible: the hint is a solution
            raise ConfigError(f"optimum: CP-SAT answered {solver.status_name(status)} for {instance.name!r}")
        if status == model_kit.OPTIMAL:
            bound = total
        elif np.isfinite(solver.best_objective_bound):
            bound = max(bound, round(solver.best_objective_bound) - released)
    return Optimum(plan=best, total=total, bound=bound)


def import_solver() -> Any:
    """Return OR-tools' CP-SAT module; raise ConfigError, which names the extra, if it is not installed."""
    with needs_extra("proving an optimum", "bounds"):
        from ortools.sat.python import cp_model
    return cp_model


def _model(
    kit: Any,
    instance: Instance,
    plan: Plan,
    limits: tuple[int, int],
    earliest: CycleArray,
    latest: CycleArray,
) -> tuple[Any, list[Any], list[dict[int, Any]]]:
    """Return the model, each job's start, and for each job by accelerator whether it runs there."""
    model = kit.CpModel()
    starts: list[Any] = []
    present: list[dict[int, Any]] = []
    on: list[list[Any]] = [[] for _ in range(instance.num_accelerators)]
    terms = []
    for job in range(instance.num_jobs):
        possible = np.flatnonzero(earliest[job] <= latest[job]).tolist()
        first, last = int(earliest[job, possible].min()), int(latest[job, possible].max())
        start = model.new_int_var(first, last, f"start_{job}")
        here = {a: model.new_bool_var(f"job_{job}_on_{a}") for a in possible}
        model.add_exactly_one(here.values())
        for a, literal in here.items():
            cycles = int(instance.latency[job, a])
            on[a].append(model.new_optional_fixed_size_interval_var(start, cycles, literal, f"run_{job}_on_{a}"))
            model.add(start >= int(earliest[job, a])).only_enforce_if(literal)
            model.add(start <= int(latest[job, a])).only_enforce_if(literal)
            terms.append(cycles * literal)
            model.add_hint(literal, int(plan.accelerators[job] == a))
        model.add_hint(start, int(plan.starts[job]))
        starts.append(start)
        present.append(here)
    for runs in on:
        model.add_no_overlap(runs)
    ends = sum(starts) + sum(terms)
    released = int(instance.release.sum())
    model.add_linear_constraint(ends, limits[0] + released, limits[1] + released)
    model.minimize(ends)
    return model, starts, present


def _solution(solver: Any, instance: Instance, starts: list[Any], present: list[dict[int, Any]]) -> Plan:
    accelerators = [next(a for a, literal in here.items() if solver.value(literal)) for here in present]
    plan = Plan(
        accelerators=np.array(accelerators, np.int64), starts=np.array([solver.value(s) for s in starts], np.int64)
    )
    packed = plan.packed(instance)
    packed.check(instance)
    return packed
