"""Random scenarios at the bounds of what a scenario may say, each with one to three oddities; drawn from a seed."""

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.envs.construction import make_batch
from gnnsched_env.hardware import Fleet
from gnnsched_env.scenario import PredictionError, Scenario
from gnnsched_env.scenario.options import LEAST_LOAD, MOST_WEIGHT
from gnnsched_env.scenario.resolve import mean_service
from gnnsched_env.scenario.traces.trace_writing import write_trace
from gnnsched_env.sim import MOST_WORKERS
from gnnsched_env.sim.records import JOB_LIMIT
from gnnsched_env.tables import LatencyTable
from tests.soak.scenarios import (
    MICROSECOND_HZ,
    Drawn,
    random_arrivals,
    random_fleet,
    random_options,
    random_table,
)

MOST_ACCELERATORS = 60
CHANGES_A_JOB = 50  # failures and repairs: more would be all that is played
HARDEST_LOAD = 1.499
TRACES = tempfile.TemporaryDirectory(prefix="gnnsched-soak-")  # removed at the end


@dataclass
class Plan:
    """A scenario that is being put together: each oddity changes a part of it."""

    rng: np.random.Generator
    dispatch: bool
    fleet: Fleet
    table: LatencyTable
    options: dict = field(default_factory=dict)
    load: float = 0.9


def one_accelerator(plan):
    plan.fleet = replace(plan.fleet, accelerators=plan.fleet.accelerators[:1])


def many_accelerators(plan):
    count = int(plan.rng.integers(11, MOST_ACCELERATORS + 1))
    some = plan.rng.choice(len(plan.fleet.accelerators), count)
    copies = (replace(plan.fleet.accelerators[k], name=f"number{n}") for n, k in enumerate(some))
    plan.fleet = replace(plan.fleet, accelerators=tuple(copies))


def one_job(plan):
    plan.options["jobs"] = 1


def narrow_window(plan):
    if not plan.dispatch:
        plan.options["window"] = 1


def far_latencies(plan):
    """Let latencies under one table differ by a factor of 10^6, and some of one class too."""
    shape = plan.table.true_cycles.shape
    true = 10 ** plan.rng.integers(0, 7, (shape[0], 1)) * np.where(plan.rng.random(shape) < 0.1, 10**6, 1)
    plan.table = replace(plan.table, true_cycles=true, predicted_cycles=true)
    plan.options["repeats"] = 1


def longest_latencies(plan):
    """Let latencies reach the end of the scale."""
    true = JOB_LIMIT - plan.rng.integers(1, 4, plan.table.true_cycles.shape)
    plan.table = replace(plan.table, true_cycles=true, predicted_cycles=true)
    plan.options["repeats"] = 1


def everything_at_once(plan):
    arrivals = random_arrivals(plan.rng, len(plan.table.group_names))
    plan.options["arrivals"] = arrivals | {"process": "bursty", "burst_rate": 1e3, "deadlines": [0.0, 2.0]}
    plan.options["failures"] = {"up": 1.0, "down": float(plan.rng.choice([0.01, 5.0]))}
    plan.options["reconfiguration"] = int(plan.rng.choice([1, 10**6]))
    plan.options["reward"] = dict.fromkeys(("completion", "weighted", "tardiness", "energy"), 1.0)


def equal_times(plan):
    """Replay a trace of which many jobs, or all, come at the same time."""
    jobs = int(plan.rng.integers(1, 200))
    times = np.sort(plan.rng.choice([0.0, 1e-6, 1e-3, 1.0], jobs)) * plan.rng.choice([0.0, 1.0])
    longest = int(max(plan.table.true_cycles.max(), plan.table.predicted_cycles.max()))
    repeats = plan.rng.choice([1, 1, min(3, (JOB_LIMIT - 1) // longest)], jobs)
    deadlines = np.where(plan.rng.random(jobs) < 0.5, np.inf, plan.rng.choice([0.0, 1e-5, 1.0], jobs))
    path = Path(TRACES.name, f"{plan.rng.integers(1 << 62)}.csv")
    classes = [plan.table.class_names[c] for c in plan.rng.integers(0, plan.table.num_classes, jobs)]
    weights = plan.rng.choice([1.0, 0.5, 3.0], jobs)
    write_trace(path, times, classes, repeats=repeats, deadlines_s=deadlines, weights=weights)
    plan.options["arrivals"] = {"trace": str(path)}
    plan.options.update(jobs=None, repeats=1)


def odd_load(plan):
    plan.load = float(plan.rng.choice([LEAST_LOAD, 0.99, HARDEST_LOAD]))


def slow_decisions(plan):
    service = min(mean_service(plan.table), 1e6)
    plan.options["decision"] = {
        "latency_us": service * float(plan.rng.choice([0.1, 3.0, 100.0])),
        "workers": int(plan.rng.choice([1, 2, 7, MOST_WORKERS])),
        "cached": bool(plan.rng.random() < 0.5),
    }


def wrong_predictions(plan):
    plan.options["repeats"] = 1  # what is predicted reaches the end of the scale
    bias = float(plan.rng.choice([1e-3, 1.0, 1e3]))
    plan.options["prediction_error"] = PredictionError(noise=5.0, bias=bias, seed=int(plan.rng.integers(1 << 30)))


def far_weights(plan):
    """Let weights differ by a factor of 10^6, or as much as is allowed."""
    heavy = float(plan.rng.choice([1e3, MOST_WEIGHT]))
    priorities = [[1.0 / heavy, 1.0], [heavy, float(plan.rng.choice([1.0, 0.01]))]]
    given = plan.options.get("arrivals", {})
    if "trace" not in given:
        plan.options["arrivals"] = given | {"priorities": priorities}
    plan.options["reward"] = {"completion": 0.0, "weighted": 1.0}


def latest_times(plan):
    """Let jobs come as far apart as the simulator's horizon allows."""
    plan.load = LEAST_LOAD
    plan.options["decision"] = {}


ODDITIES = (
    one_accelerator,
    many_accelerators,
    one_job,
    narrow_window,
    longest_latencies,
    far_latencies,
    everything_at_once,
    equal_times,
    odd_load,
    slow_decisions,
    wrong_predictions,
    far_weights,
    latest_times,
)
OF_THE_FLEET = (one_accelerator, many_accelerators)  # the table follows from them


def draw_odd(seed, lanes):
    """Return an odd scenario's batch of `lanes` environments; the same for the same seed."""
    rng = np.random.default_rng([seed, 3])
    count = int(rng.integers(1, 4))
    first = seed // 2 % len(ODDITIES)  # of each kind equally many
    chosen = {first, *rng.choice(len(ODDITIES), count - 1, replace=False).tolist()}
    return made_of([ODDITIES[k] for k in sorted(chosen)], rng, lanes)


def made_of(oddities, rng, lanes):
    """Return the batch of a random scenario that has some of the oddities, in their order."""
    plan = Plan(rng=rng, dispatch=bool(rng.random() < 0.4), fleet=random_fleet(rng), table=None)
    for odd in oddities:
        if odd in OF_THE_FLEET:
            odd(plan)
    plan.table = random_table(rng, plan.fleet)
    plan.options = random_options(rng, plan.table, dispatch=plan.dispatch)
    plan.load = plan.options["load"]
    if rng.random() < 0.7:
        plan.options["failures"] = {}
    for odd in oddities:
        if odd not in OF_THE_FLEET:
            odd(plan)
    name = "+".join(odd.__name__ for odd in oddities)
    scenario = Scenario(name=name, fleet=replace(plan.fleet, clock_hz=MICROSECOND_HZ), table=plan.table)
    made = accepted(scenario, plan, lanes)
    return Drawn(batch=made.batch, scenario=made.scenario, dispatch=plan.dispatch, options=plan.options, odd=True)


def accepted(scenario, plan, lanes):
    """Return what is made of a scenario under the smallest load, from the plan's on, at which its times are allowed."""
    load = plan.load
    while True:
        options = plan.options | {"load": load, "failures": bearable(plan, scenario, load)}
        try:
            made = make_batch(scenario, dispatch=plan.dispatch, lanes=lanes, options=options)
        except ConfigError as error:
            if "may take 2^62 cycles" not in str(error) or load > 1.0:
                raise
            load *= 2.0
        else:
            plan.options = options
            return made


def bearable(plan, scenario, load):
    """Return the failures of a plan, made rarer where they would be too many for each job or stop all jobs."""
    given = dict(plan.options.get("failures") or {})
    if not given.get("up"):
        return {}
    repeats = plan.options.get("repeats") or 1
    service = mean_service(scenario.table) * repeats
    longest = float(scenario.table.true_cycles.max()) * repeats / service
    gap = 1.0 / load  # at most, in mean service times
    rare = 2 * len(scenario.fleet.accelerators) * gap / CHANGES_A_JOB
    if plan.options.get("arrivals", {}).get("trace"):  # repeats differ, and times are its own
        service, longest = mean_service(scenario.table), 3.0 * longest
        rare = 1e6 / service
    return {"up": max(given["up"], 0.5 * longest, rare), "down": given.get("down", 20.0)}
