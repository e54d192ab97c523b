"""The sections of a scenario: which jobs come and when, what deciding costs, what fails, what is charged."""

from dataclasses import dataclass
from numbers import Real
from pathlib import Path

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import MODEL_KINDS
from gnnsched_env.scenario.section_checks import (
    LEAST_WEIGHT,
    MOST_WEIGHT,
    WEIGHTS,
    listed,
    require_integer,
    require_number,
    require_one_of,
)
from gnnsched_env.sim import MOST_WORKERS

LOAD_LIMIT = 1.5
MOST_JOBS = 10_000_000  # an episode's jobs are kept in memory
MOST_REPEATS = 1_000_000_000
LONGEST_DECISION_US = 1e9
DEFAULT_JOBS = 1_000
LATEST = 1e9  # of a deadline, mean service times
PROCESSES = ("poisson", "bursty", "diurnal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Which jobs come: graph files (none: the embedded synthetic classes), and the model that each job runs.

    Each file is equally likely; a graph set gives `classes_per_file` batches, their sizes spread evenly over
    `batch_sizes` and their graphs drawn with `seed`; a file of one graph is one class. `hidden` are the widths between
    a graph's input features and its classes. A job is `repeats` inferences of its class: its latencies are those of one
    inference times `repeats`.
    """

    graphs: tuple[str, ...] = ()
    model: str = "gcn"
    hidden: tuple[int, ...] = (16,)
    batch_sizes: tuple[int, ...] = (1, 4, 16, 64)
    classes_per_file: int = 120
    seed: int = 0
    repeats: int = 1

    def __post_init__(self) -> None:
        for name in ("graphs", "hidden", "batch_sizes"):
            value = listed(getattr(self, name))
            if not isinstance(value, list):
                raise ConfigError(f"workload: {name} must be a list, got {value!r}")
            object.__setattr__(self, name, tuple(value))
        if not all(isinstance(path, str | Path) for path in self.graphs):
            raise ConfigError(f"workload: graphs must be a list of paths, got {self.graphs!r}")
        object.__setattr__(self, "graphs", tuple(str(path) for path in self.graphs))
        require_one_of("workload", "model", self.model, MODEL_KINDS)
        for name in ("hidden", "batch_sizes"):
            for value in getattr(self, name):
                require_integer("workload", f"entries of {name}", value, 1)
        if not self.batch_sizes:
            raise ConfigError("workload: batch_sizes must not be empty")
        require_integer("workload", "classes_per_file", self.classes_per_file, len(self.batch_sizes))
        require_integer("workload", "seed", self.seed, 0)
        require_integer("workload", "repeats", self.repeats, 1, MOST_REPEATS)
        object.__setattr__(self, "repeats", int(self.repeats))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCost:
    """What it costs to predict a job's latencies: it comes to the scheduler only when that is done.

    `latency_us`: microseconds to predict one job; 0 charges nothing, anything above 0 at least one cycle. `workers`:
    predictions under way at once; jobs take the next free worker in order of arrival. `cached`: a class is predicted
    once an episode; its later jobs look the prediction up in `lookup_us`, which needs no worker. Jobs come to the
    scheduler in order of arrival, so a lookup waits for the predictions of earlier jobs.
    """

    latency_us: float = 0.0
    workers: int = 1
    cached: bool = False
    lookup_us: float = 0.0

    def __post_init__(self) -> None:
        for name in ("latency_us", "lookup_us"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= LONGEST_DECISION_US:
                raise ConfigError(f"decision: {name} must be a number from 0 to {LONGEST_DECISION_US:g}, got {value!r}")
            object.__setattr__(self, name, float(value))
        require_integer("decision", "workers", self.workers, 1, MOST_WORKERS)
        object.__setattr__(self, "workers", int(self.workers))
        if not isinstance(self.cached, bool):
            raise ConfigError(f"decision: cached must be true or false, got {self.cached!r}")
        if self.lookup_us > self.latency_us:
            raise ConfigError(
                f"decision: lookup_us must be at most latency_us ({self.latency_us:g}), got {self.lookup_us!r}"
            )
        if self.lookup_us > 0 and not self.cached:
            raise ConfigError(f"decision: lookup_us must be 0 unless cached is true, got {self.lookup_us!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentOptions:
    """What an episode is and what the agent sees of it.

    `load`: arrival rate over the fleet's largest sustainable rate. `jobs`: arrivals an episode;
    None: 1,000, or all of a trace. `window`: waiting jobs
    shown (Queue-v0). `window_order`: "arrival" shows the oldest, "shortest" those of smallest predicted latency.
    `dataflow`: "agent" lets the action choose it, "predicted_best" takes the predicted best of the accelerator.
    `shaping`: "none", or "drain" for a potential that telescopes.
    """

    load: float = 0.8
    jobs: int | None = None
    window: int = 32
    window_order: str = "arrival"
    dataflow: str = "agent"
    shaping: str = "none"

    def __post_init__(self) -> None:
        if isinstance(self.load, bool) or not isinstance(self.load, Real) or not 0 < self.load < LOAD_LIMIT:
            raise ConfigError(f"environment: load must be above 0 and below {LOAD_LIMIT}, got {self.load!r}")
        object.__setattr__(self, "load", float(self.load))
        for name in ("window",) if self.jobs is None else ("jobs", "window"):
            require_integer("environment", name, getattr(self, name), 1, MOST_JOBS)
            object.__setattr__(self, name, int(getattr(self, name)))
        require_one_of("environment", "window_order", self.window_order, ("arrival", "shortest"))
        require_one_of("environment", "dataflow", self.dataflow, ("agent", "predicted_best"))
        require_one_of("environment", "shaping", self.shaping, ("none", "drain"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """When jobs come, what is asked of them, and how their mix changes. On average the rate is that of the load.

    `process`: "poisson"; "bursty", a Poisson process whose rate switches between calm and burst (Markov-modulated:
    exponential lengths), bursts taking `burst_share` of the time at `burst_rate` times the calm rate, `burst_jobs`
    arrivals each on average; "diurnal", whose rate follows a sine of `amplitude` (share of the mean) with a period of
    `period_jobs` arrivals, starting at a random moment of it.
    `drift` in [0, 1]: how far the shares of the workload's groups (files, families) swing, one after the other, once
    round in `drift_jobs` jobs; 0 keeps the mix.
    `deadlines` (least, most): a job is due so many mean service times (mean best latencies) after its arrival, evenly
    distributed; none by default. `priorities`: (weight, share of the jobs) each, both from 1e-6 to 1e6; weight 1 by
    default. Both may be any sequences, numpy arrays too.
    `trace`: a CSV file of jobs to replay instead (docs/reference/traces.md): it brings times, jobs, deadlines and
    weights, so the load and the other fields do not apply.
    """

    process: str = "poisson"
    burst_rate: float = 5.0
    burst_share: float = 0.2
    burst_jobs: float = 100.0
    period_jobs: float = 1_000.0
    amplitude: float = 0.8
    drift: float = 0.0
    drift_jobs: int = 1_000
    deadlines: tuple[float, float] | None = None
    priorities: tuple[tuple[float, float], ...] = ()
    trace: str | None = None

    def __post_init__(self) -> None:
        require_one_of("arrivals", "process", self.process, PROCESSES)
        rate = require_number("arrivals", "burst_rate", self.burst_rate, 1.0, 1e6, above=True)
        object.__setattr__(self, "burst_rate", rate)
        for name in ("burst_jobs", "period_jobs"):
            object.__setattr__(self, name, require_number("arrivals", name, getattr(self, name), 1.0, 1e9))
        share = require_number("arrivals", "burst_share", self.burst_share, 0.0, 0.99, above=True)
        object.__setattr__(self, "burst_share", share)
        for name in ("amplitude", "drift"):
            object.__setattr__(self, name, require_number("arrivals", name, getattr(self, name), 0.0, 1.0))
        require_integer("arrivals", "drift_jobs", self.drift_jobs, 1, MOST_JOBS)
        self._check_deadlines()
        self._check_priorities()
        if self.trace is not None and not isinstance(self.trace, str | Path):
            raise ConfigError(f"arrivals: trace must be a file's path, got {self.trace!r}")
        object.__setattr__(self, "trace", None if self.trace is None else str(self.trace))

    def _check_deadlines(self) -> None:
        if self.deadlines is None:
            return
        given = _pair(self.deadlines)
        if given is None or not 0 <= given[0] <= given[1] <= LATEST:
            raise ConfigError(
                "arrivals: deadlines must be [least, most], mean service times, "
                f"0 <= least <= most <= {LATEST:g}, got {self.deadlines!r}"
            )
        object.__setattr__(self, "deadlines", given)

    def _check_priorities(self) -> None:
        given = listed(self.priorities)
        found = []
        for entry in given if isinstance(given, list) else [given]:
            pair = _pair(entry)
            if pair is None or not all(LEAST_WEIGHT <= value <= MOST_WEIGHT for value in pair):
                raise ConfigError(f"arrivals: priorities must be [weight, share] pairs, both {WEIGHTS}, got {entry!r}")
            found.append(pair)
        object.__setattr__(self, "priorities", tuple(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Accelerators fail and are repaired, each by itself, after exponentially distributed times.

    `up` and `down`: the mean times, in mean service times (mean best latencies); `up` = 0: nothing fails. The job that
    runs on a failing accelerator goes back to its queue and starts again from nothing.
    """

    up: float = 0.0
    down: float = 20.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "up", require_number("failures", "up", self.up, 0.0, 1e9))
        object.__setattr__(self, "down", require_number("failures", "down", self.down, 0.0, 1e9, above=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionError:
    """How wrong predictions are made, on top of the predictor's own error.

    A predicted latency is multiplied by `bias` x exp(`noise` x z), z standard normal, one draw for each class and
    choice with `seed`.
    """

    noise: float = 0.0
    bias: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise", require_number("prediction_error", "noise", self.noise, 0.0, 5.0))
        object.__setattr__(self, "bias", require_number("prediction_error", "bias", self.bias, 0.0, 1e3, above=True))
        require_integer("prediction_error", "seed", self.seed, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What is charged, each in units of a mean job's best: the reward is minus the weighted sum.

    `completion`: jobs in the system, integrated over time; `weighted`: their weights instead; `tardiness`: the time by
    which jobs finish after their deadline, charged when they finish; `energy`: the energy of runs, charged when they
    start (a failure gives back what was not used), in units of the workload's mean least energy.
    """

    completion: float = 1.0
    weighted: float = 0.0
    tardiness: float = 0.0
    energy: float = 0.0

    def __post_init__(self) -> None:
        names = ("completion", "weighted", "tardiness", "energy")
        for name in names:
            object.__setattr__(self, name, require_number("reward", name, getattr(self, name), 0.0, 1e6))
        if not any(getattr(self, name) for name in names):
            raise ConfigError("reward: one of completion, weighted, tardiness, energy must be above 0, got only zeros")


def _pair(value: object) -> tuple[float, float] | None:
    """Return two numbers as floats; None for anything else."""
    given = listed(value)
    if not isinstance(given, list) or len(given) != 2:
        return None
    if not all(isinstance(entry, Real) and not isinstance(entry, bool) for entry in given):
        return None
    return float(given[0]), float(given[1])
