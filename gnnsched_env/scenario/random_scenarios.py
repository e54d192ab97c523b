"""Scenarios that differ in everything: fleet, workload, load, arrivals, failures, errors of predictions.

An agent that trains on them can be given to any fleet; those that it never saw are there to test it on.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer, OneOf
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import Accelerator, Dataflow, Fleet, Layer, bind, list_dataflows, load_dataflow
from gnnsched_env.predictors import ClosedFormPredictor
from gnnsched_env.scenario.options import MOST_JOBS, Arrivals, Failures, PredictionError
from gnnsched_env.scenario.scenario import Scenario
from gnnsched_env.sim import Split
from gnnsched_env.tables import ERROR_LEVELS, LatencyTable, Pair, choice_keys, pair_cycles
from gnnsched_env.tables.kinds import counted
from gnnsched_env.workload import JobClasses, synthetic_classes

MOST_ACCELERATORS, MOST_KINDS = 64, 4
PES = tuple(64 << doubled for doubled in range(7))  # 64 to 4,096
WIDE = Layer(in_features=4_096, combination_features=4_096, out_features=4_096, self_loops=True)
FEW_DATAFLOWS = 4  # most dataflows of an accelerator that does not run all
LOADS = (0.3, 1.0)
TAIL = (1.0, 3.0)  # deviation of the families' sizes in a heavy-tailed mix, factors of two
PREDICTOR = "closed_form"  # needs no training, whatever the pairs
# Chances of what not every scenario has.
SAME_PES, ALL_DATAFLOWS, EVEN_SHARES, HEAVY_TAIL = 0.4, 0.3, 0.35, 0.4
BURSTS, DAYS, DRIFTS, FAILS, ERRS, KNOWN_ERRORS = 0.25, 0.1, 0.3, 0.2, 0.5, 0.5
# Sets of synthetic classes of each split: the first one's seed, and their number. Seeds are those that trainings and
# validations of one fleet use too, and none is the embedded workload's.
CLASS_SETS = {"train": (1_000, 16), "validation": (110, 8), "test": (200, 16)}
MEANS_SEED, MEANS_CLASSES = 999, 32  # the classes over which `mean_log_cycles` are taken

IntArray = NDArray[np.int64]


def random_scenarios(
    count: int = 30, *, seed: int = 0, split: str = "test", classes: int = 128
) -> tuple[Scenario, ...]:
    """Return `count` scenarios, each with a fleet, a workload and conditions of its own; equal arguments, equal ones.

    A fleet has 1 to 64 accelerators, small fleets as often as large ones (the number is log-uniform), of at most four
    kinds, each with 64 to 4,096 PEs and some or all of the preset dataflows that it can run. The workload is a table of
    `classes` synthetic classes with the closed form's predictions. Families differ in their shares, in what suits them,
    and in two of five scenarios also in size, by far, so that few jobs are most of the work. Loads are 0.3 to 1.0.
    Arrivals are Poisson, bursty or diurnal, their mix may drift, accelerators may fail, and predictions may have errors
    of up to 30 % on top. A `split` ("train", "validation", "test") shares neither scenarios nor classes nor episodes
    with another. Scenario n does not depend on `count`. Raise ConfigError for a bad argument.
    """
    count = Integer(1, MOST_JOBS).check("random_scenarios", "count", count)
    return tuple(random_scenario(number, seed=seed, split=split, classes=classes) for number in range(count))


def random_scenario(number: int, *, seed: int = 0, split: str = "test", classes: int = 128) -> Scenario:
    """Return scenario `number` of `random_scenarios`."""
    number = Integer(0).check("random_scenarios", "number", number)
    seed = Integer(0).check("random_scenarios", "seed", seed)
    split = OneOf(tuple(CLASS_SETS)).check("random_scenarios", "split", split)
    classes = Integer(4, MOST_JOBS).check("random_scenarios", "classes", classes)
    first, sets = CLASS_SETS[split]
    fleet, kinds, rng = _fleet(number, seed, split)
    labels = _labels(first + int(rng.integers(sets)), classes)
    table = _varied(labels, fleet, kinds, rng)
    arrivals = _arrivals(rng)
    failures = _failures(table, rng)
    error = PredictionError(noise=float(rng.uniform(0.02, 0.3)), seed=int(rng.integers(1 << 31)))
    scenario = Scenario(
        name=fleet.name,
        fleet=fleet,
        predictor=PREDICTOR,
        table=table,
        arrivals=arrivals,
        failures=failures,
        prediction_error=error if rng.random() < ERRS else PredictionError(),
    )
    return scenario.with_options(load=float(rng.uniform(*LOADS)), split=split)


def fleets_within(split: str, count: int, accelerators: tuple[int, int], kinds: tuple[int, int]) -> list[int]:
    """Return the numbers of a split's first `count` or more scenarios (seed 0) whose fleets are within two ranges.

    The ranges are of accelerators and of their kinds, from least to most.
    """
    found, numbers = _within(split, accelerators, kinds)
    while len(found) < count:
        number = next(numbers)
        fleet, of, _ = _fleet(number, 0, split)
        size, different = len(fleet.accelerators), int(of.max()) + 1
        if accelerators[0] <= size <= accelerators[1] and kinds[0] <= different <= kinds[1]:
            found.append(number)
    return found


@cache
def _within(split: str, accelerators: tuple[int, int], kinds: tuple[int, int]) -> tuple[list[int], Iterator[int]]:
    """Return the scenarios found to be within the ranges, and the numbers that were not looked at."""
    return [], itertools.count()


def _fleet(number: int, seed: int, split: str) -> tuple[Fleet, IntArray, np.random.Generator]:
    """Return a scenario's fleet, the kinds of its accelerators, and what draws the rest."""
    rng = np.random.default_rng((int(Split[split.upper()]), seed, number))
    fleet, kinds = random_fleet(f"{split}-{seed}-{number}", rng)
    return fleet, kinds, rng


def random_fleet(name: str, rng: np.random.Generator) -> tuple[Fleet, IntArray]:
    """Return a fleet, and the number of the kind of each of its accelerators, int64 [A]."""
    size = int(np.exp(rng.uniform(0.0, np.log(MOST_ACCELERATORS + 1.0))))
    kinds = int(rng.integers(1, min(MOST_KINDS, size) + 1))
    shares = rng.dirichlet(np.ones(kinds))
    counts = 1 + rng.multinomial(size - kinds, shares)
    same = int(rng.choice(PES))
    pes = [same] * kinds if rng.random() < SAME_PES else rng.choice(PES, kinds).tolist()
    flows = [_dataflows(int(own), rng) for own in pes]
    accelerators = tuple(
        Accelerator(name=f"{ascii_lowercase[kind]}{i}", pes=int(pes[kind]), dataflows=flows[kind])
        for kind in range(kinds)
        for i in range(int(counts[kind]))
    )
    hardware = counted((pes[kind], flows[kind]) for kind in range(kinds))
    return Fleet(name=name, accelerators=accelerators), np.repeat(hardware, counts)


def _dataflows(pes: int, rng: np.random.Generator) -> tuple[Dataflow, ...]:
    known = [flow for flow in map(load_dataflow, list_dataflows()) if _fits(flow, pes)]
    few = rng.permutation(len(known))[: int(rng.integers(1, FEW_DATAFLOWS + 1))]
    return tuple(known) if rng.random() < ALL_DATAFLOWS else tuple(known[i] for i in sorted(few.tolist()))


@cache
def _fits(dataflow: Dataflow, pes: int) -> bool:
    """Return whether an accelerator of so many PEs can run the dataflow on layers of any width."""
    try:
        bind(dataflow, WIDE, Accelerator(name="any", pes=pes, dataflows=(dataflow,)))
    except ConfigError:
        return False
    return True


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """A set of classes, and its cycles under each pair that was asked for: true and predicted, int64 [C] each."""

    classes: JobClasses
    columns: dict[str, tuple[IntArray, IntArray]]

    def of(self, fleet: Fleet) -> tuple[IntArray, IntArray]:
        """Return true and predicted cycles, int64 [C, K] each, under a fleet's choices."""
        keys = choice_keys(fleet)
        pairs: dict[str, Pair] = {
            key: (choice.accelerator, choice.dataflow)
            for key, choice in zip(keys, fleet.choices, strict=True)
            if key not in self.columns
        }
        if pairs:
            true = pair_cycles(self.classes, tuple(pairs.values()), workers=1)
            predicted = ClosedFormPredictor().predict(self.classes, tuple(pairs.values()))
            self.columns.update(zip(pairs, zip(true.T, predicted.T, strict=True), strict=True))
        true_columns, predicted_columns = zip(*(self.columns[key] for key in keys), strict=True)
        return np.stack(true_columns, axis=1), np.stack(predicted_columns, axis=1)


@lru_cache(maxsize=128)
def _labels(seed: int, classes: int) -> _Labels:
    return _Labels(synthetic_classes(classes, seed=seed), {})


def _varied(labels: _Labels, fleet: Fleet, kinds: IntArray, rng: np.random.Generator) -> LatencyTable:
    """Return a table with random shares of the families, and latencies scaled by family and kind of accelerator."""
    classes = labels.classes
    families, groups = len(classes.group_names), classes.groups
    alike = int(kinds.max()) == 0
    skew = rng.uniform(0.0, 1.0)
    factors = np.exp2((0.0 if alike else skew) * rng.standard_normal((families, int(kinds.max()) + 1)))
    sizes = np.exp2(rng.uniform(*TAIL) * rng.standard_normal(families))
    factors *= sizes[:, np.newaxis] if rng.random() < HEAVY_TAIL else 1.0
    shares = rng.dirichlet(np.ones(families))
    shares = np.full(families, 1.0 / families) if rng.random() < EVEN_SHARES else shares
    own = factors[groups][:, kinds[fleet.choice_accelerators]]
    true, predicted = (np.maximum(1, np.rint(cycles * own)).astype(np.int64) for cycles in labels.of(fleet))
    table = _table(classes, fleet, true, predicted)
    return replace(
        table,
        weights=(shares / np.bincount(groups, minlength=families))[groups],
        log_errors=table.log_errors if rng.random() < KNOWN_ERRORS else None,
    )


def closed_form_table(classes: JobClasses, fleet: Fleet) -> LatencyTable:
    """Return the latencies of classes on a fleet as random scenarios have them: predicted by the closed form.

    Nothing is trained for pairs that no shipped predictor covers, as `build_table` does. The table has `log_errors`.
    """
    return _table(classes, fleet, *_Labels(classes, {}).of(fleet))


def _table(classes: JobClasses, fleet: Fleet, true: IntArray, predicted: IntArray) -> LatencyTable:
    """Return a table of true and predicted cycles; means and errors are those of a set of classes of its own."""
    other_true, other_predicted = _labels(MEANS_SEED, MEANS_CLASSES).of(fleet)
    return LatencyTable(
        true_cycles=true,
        predicted_cycles=predicted,
        weights=classes.weights,
        choice_names=tuple(choice.name for choice in fleet.choices),
        choice_accelerators=fleet.choice_accelerators,
        accelerator_names=tuple(accelerator.name for accelerator in fleet.accelerators),
        mean_log_cycles=np.log(other_true).mean(axis=0),
        class_names=classes.names,
        class_groups=classes.groups,
        group_names=classes.group_names,
        provenance={"predictor": PREDICTOR, "classes": classes.digest(), "fleet": fleet.digest()},
        pair_keys=choice_keys(fleet),
        log_errors=np.quantile(np.log(other_true / other_predicted), ERROR_LEVELS, axis=0),
    )


def _arrivals(rng: np.random.Generator) -> Arrivals:
    kind, drifts = rng.random(), rng.random() < DRIFTS
    return Arrivals(
        process="bursty" if kind < BURSTS else "diurnal" if kind < BURSTS + DAYS else "poisson",
        burst_rate=float(rng.uniform(2.0, 8.0)),
        burst_share=float(rng.uniform(0.1, 0.3)),
        burst_jobs=float(np.exp(rng.uniform(np.log(20.0), np.log(200.0)))),
        drift=float(rng.uniform(0.3, 1.0)) if drifts else 0.0,
    )


def longest_services(table: LatencyTable) -> float:
    """Return the longest latency of a table's jobs, in mean service times."""
    return float(table.true_cycles.max() / (table.weights @ table.true_cycles.min(axis=1)))


def _failures(table: LatencyTable, rng: np.random.Generator) -> Failures:
    """Return failures that take at most a tenth of the time, never more often than the longest latency."""
    up = max(longest_services(table), float(np.exp(rng.uniform(np.log(50.0), np.log(500.0)))))
    down = up * float(rng.uniform(0.02, 0.1))
    return Failures(up=up, down=down) if rng.random() < FAILS else Failures()
