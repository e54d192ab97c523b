"""Random scenarios: everything that a scenario can say, drawn from a seed."""

from dataclasses import dataclass

import numpy as np

from gnnsched_env.envs.construction import make_batch
from gnnsched_env.envs.env_batch import EnvBatch
from gnnsched_env.hardware import Fleet, load_fleet
from gnnsched_env.scenario import PredictionError, Scenario
from gnnsched_env.scenario.resolve import mean_service, perturbed
from gnnsched_env.tables import LatencyTable
from tests import toys

MICROSECOND_HZ = 10**6  # a clock at which a microsecond is a cycle


@dataclass(frozen=True)
class Drawn:
    """A batch of environments and the options that it was made from."""

    batch: EnvBatch
    scenario: Scenario
    dispatch: bool
    options: dict
    odd: bool = False


PRESETS = ("big_little", "flexible4", "hetero4")  # by name: a new preset must not change every scenario


def random_fleet(rng):
    """Return the first accelerators of a preset fleet."""
    preset = load_fleet(str(rng.choice(PRESETS)))
    count = int(rng.integers(1, len(preset.accelerators) + 1))
    return Fleet(name="random", accelerators=preset.accelerators[:count], clock_hz=MICROSECOND_HZ)


def random_table(rng, fleet):
    """Return a table of a fleet's choices: latencies of a cycle or two, or of many, in one to three groups."""
    owners = fleet.choice_accelerators
    classes, groups = int(rng.integers(1, 16)), int(rng.integers(1, 4))
    size = np.exp(rng.normal(rng.choice([0.5, 6.0, 12.0]), 1.0, (classes, 1)))
    true = np.maximum(1, np.rint(size * np.exp(rng.normal(0, 0.7, (classes, len(owners)))))).astype(np.int64)
    predicted = np.maximum(1, np.rint(true * np.exp(rng.normal(0, rng.choice([0.0, 0.3]), true.shape))))
    return LatencyTable(
        true_cycles=true,
        predicted_cycles=predicted,
        weights=rng.uniform(0.1, 1.0, classes),
        choice_names=tuple(choice.name for choice in fleet.choices),
        choice_accelerators=owners,
        accelerator_names=tuple(accelerator.name for accelerator in fleet.accelerators),
        mean_log_cycles=toys.static_means(owners.tolist()),
        class_names=tuple(f"class{c}" for c in range(classes)),
        class_groups=np.arange(classes) % min(groups, classes),
        group_names=tuple(f"group{g}" for g in range(min(groups, classes))),
        energy_pj=rng.uniform(1.0, 1e6, true.shape),
    )


def random_arrivals(rng, groups):
    """Return the options of the section `arrivals`."""
    return {
        "process": str(rng.choice(["poisson", "bursty", "diurnal"])),
        "burst_rate": float(rng.uniform(1.1, 30.0)),
        "burst_share": float(rng.uniform(0.05, 0.6)),
        "burst_jobs": float(rng.uniform(1.0, 30.0)),
        "period_jobs": float(rng.uniform(3.0, 100.0)),
        "amplitude": float(rng.choice([0.5, 1.0])),
        "drift": float(rng.choice([0.0, 0.5, 1.0])) if groups > 1 else 0.0,
        "drift_jobs": int(rng.integers(1, 200)),
        "deadlines": [None, [0.0, 0.0], [0.5, 8.0]][rng.integers(3)],
        "priorities": [[], [[1.0, 4.0], [10.0, 1.0]], [[0.3, 1.0], [1.0, 1.0], [2.5, 0.2]]][rng.integers(3)],
    }


def random_reward(rng):
    """Return the options of the section `reward`, not all zero."""
    reward = {name: float(rng.choice([0.0, 1.0, 0.4])) for name in ("completion", "weighted", "tardiness", "energy")}
    return reward if any(reward.values()) else {"completion": 1.0}


def random_failures(rng, table, error):
    """Return the options of the section `failures`: half of the fleets never fail."""
    if rng.random() < 0.5:
        return {}
    longest = max(table.true_cycles.max(), perturbed(table, error).predicted_cycles.max()) / mean_service(table)
    return {"up": float(longest * rng.choice([0.5, 1.0, 8.0])), "down": float(rng.choice([0.05, 1.0, 20.0]))}


def random_decision(rng, table):
    """Return the options of the section `decision`: nothing, or up to a few times a job."""
    cost = float(rng.choice([0.0, 0.0, 1.0, 0.5 * mean_service(table), 2.0 * mean_service(table)]))
    cached = bool(rng.random() < 0.5)
    lookup = float(rng.choice([0.0, 0.3])) * cost if cached else 0.0
    return {"latency_us": cost, "workers": int(rng.integers(1, 4)), "cached": cached, "lookup_us": lookup}


def random_options(rng, table, *, dispatch):
    """Return the options of `gymnasium.make` for a random scenario."""
    noise = float(rng.choice([0.0, 0.0, 0.5]))
    bias = float(rng.choice([1.0, 0.3, 3.0])) if noise else 1.0
    error = PredictionError(noise=noise, bias=bias, seed=int(rng.integers(1 << 30)))
    options = {
        "load": float(rng.choice([0.05, 0.5, 0.9, 1.45])),
        "jobs": int(np.exp(rng.uniform(0.0, np.log(300.0)))),
        "dataflow": str(rng.choice(["agent", "predicted_best"])),
        "shaping": str(rng.choice(["none", "drain"])),
        "returns": str(rng.choice(["mean", "total"])),
        "observation": str(rng.choice(["dict", "dict", "flat", "pairs", "pairs_flat"])),
        "repeats": int(rng.choice([1, 1, 7])),
        "arrivals": random_arrivals(rng, len(table.group_names)),
        "failures": random_failures(rng, table, error),
        "prediction_error": error,
        "decision": random_decision(rng, table),
        "reward": random_reward(rng),
        "reconfiguration": int(rng.choice([0, 1, 70])),
    }
    if not dispatch:
        options["window"] = int(rng.integers(1, 8))
        options["window_order"] = str(rng.choice(["arrival", "shortest"]))
        options["waiting"] = str(rng.choice(["free", "free", "needed", "by_choice"]))
    return options


def draw(seed, lanes):
    """Return a random scenario's batch of `lanes` environments; the same for the same seed."""
    rng = np.random.default_rng([seed, 1])
    fleet = random_fleet(rng)
    table = random_table(rng, fleet)
    dispatch = bool(rng.random() < 0.4)
    options = random_options(rng, table, dispatch=dispatch)
    scenario = Scenario(name="random", fleet=fleet, table=table)
    made = make_batch(scenario, dispatch=dispatch, lanes=lanes, options=options)
    return Drawn(batch=made.batch, scenario=made.scenario, dispatch=dispatch, options=options)
