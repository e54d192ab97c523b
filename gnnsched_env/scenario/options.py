"""The sections of a scenario: which jobs come and when, what deciding costs, what fails, what is charged.

An option is declared once, as a field with its type, default, rule and help: what `gymnasium.make` takes, what a
scenario's TOML file holds, what is checked and what records tell follows from the fields.
"""

from dataclasses import dataclass, fields
from numbers import Real
from typing import Annotated

from gnnsched_env.common.checks import FilePath, Flag, Integer, ListOf, Number, OneOf, Parsed, check_fields, listed
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import MODEL_KINDS
from gnnsched_env.sim import MOST_WORKERS

LOAD_LIMIT = 1.5
MOST_JOBS = 10_000_000  # an episode's jobs are kept in memory
MOST_REPEATS = 1_000_000_000
LONGEST_DECISION_US = 1e9
DEFAULT_JOBS = 1_000
LATEST = 1e9  # of a deadline, mean service times
LEAST_WEIGHT = 1e-6  # of a job: sums of weights further apart than these lose the lighter ones
MOST_WEIGHT = 1e6
WEIGHTS = f"from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}"
PROCESSES = ("poisson", "bursty", "diurnal")


def _pair(value: object) -> tuple[float, float] | None:
    """Return two numbers as floats; None for anything else."""
    given = listed(value)
    if not isinstance(given, list) or len(given) != 2:
        return None
    if not all(isinstance(entry, Real) and not isinstance(entry, bool) for entry in given):
        return None
    return float(given[0]), float(given[1])


def _deadlines(value: object) -> tuple[float, float] | None:
    given = _pair(value)
    return given if given is not None and 0 <= given[0] <= given[1] <= LATEST else None


def _priority(value: object) -> tuple[float, float] | None:
    given = _pair(value)
    return given if given is not None and all(LEAST_WEIGHT <= entry <= MOST_WEIGHT for entry in given) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Which jobs come: those of graph files, or the embedded synthetic classes, and the model that each job runs.

    Each file is equally likely; a graph set gives `classes_per_file` batches, their sizes spread evenly over
    `batch_sizes`; a file of one graph is one class.
    """

    graphs: Annotated[
        tuple[str, ...], ListOf(FilePath(), help="Graph files (.npz), equally likely; none: synthetic classes.")
    ] = ()
    model: Annotated[str, OneOf(MODEL_KINDS, help="The GNN that each job runs.")] = "gcn"
    hidden: Annotated[
        tuple[int, ...], ListOf(Integer(1), help="Widths between a graph's input features and its classes.")
    ] = (16,)
    batch_sizes: Annotated[
        tuple[int, ...], ListOf(Integer(1), fewest=1, help="Graphs a job, equally likely, where a file is a set.")
    ] = (1, 4, 16, 64)
    classes_per_file: Annotated[int, Integer(1, help="Batches drawn from each graph set.")] = 120
    seed: Annotated[int, Integer(0, help="Seed of the batches, or of the synthetic classes.")] = 0
    repeats: Annotated[int, Integer(1, MOST_REPEATS, help="Inferences a job: its latencies are so many times one.")] = 1

    def __post_init__(self) -> None:
        check_fields(self, "workload")
        Integer(len(self.batch_sizes)).check("workload", "classes_per_file", self.classes_per_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCost:
    """What it costs to predict a job's latencies: it comes to the scheduler only when that is done.

    A cost above 0 is at least one cycle. Jobs take the next free worker in order of arrival and come to the scheduler
    in that order too, so a lookup, which needs no worker, waits for the predictions of earlier jobs.
    """

    latency_us: Annotated[
        float, Number(least=0.0, most=LONGEST_DECISION_US, help="Microseconds to predict a job; 0 charges nothing.")
    ] = 0.0
    workers: Annotated[int, Integer(1, MOST_WORKERS, help="Predictions that may be under way at once.")] = 1
    cached: Annotated[bool, Flag(help="Predict a class once an episode, then look it up.")] = False
    lookup_us: Annotated[float, Number(least=0.0, most=LONGEST_DECISION_US, help="Microseconds of a lookup.")] = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "decision")
        if self.lookup_us > self.latency_us:
            raise ConfigError(
                f"decision: lookup_us must be at most latency_us ({self.latency_us:g}), got {self.lookup_us!r}"
            )
        if self.lookup_us > 0 and not self.cached:
            raise ConfigError(f"decision: lookup_us must be 0 unless cached is true, got {self.lookup_us!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentOptions:
    """What an episode is and what the agent sees of it."""

    load: Annotated[
        float,
        Number(above=0.0, below=LOAD_LIMIT, help="Arrival rate, as a share of the fleet's largest sustainable rate."),
    ] = 0.8
    jobs: Annotated[int | None, Integer(1, MOST_JOBS, help="Jobs an episode; by default 1,000, or all of a trace.")] = (
        None
    )
    window: Annotated[int, Integer(1, MOST_JOBS, help="Waiting jobs that a policy sees in Queue-v0.")] = 32
    window_order: Annotated[
        str, OneOf(("arrival", "shortest"), help="Show the oldest jobs, or those of smallest predicted latency.")
    ] = "arrival"
    dataflow: Annotated[
        str,
        OneOf(("agent", "predicted_best"), help="Who chooses it: the action, or predictions on the accelerator."),
    ] = "agent"
    shaping: Annotated[
        str, OneOf(("none", "drain"), help="What the reward adds: nothing, or a potential that telescopes.")
    ] = "none"

    def __post_init__(self) -> None:
        check_fields(self, "environment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """When jobs come, what is asked of them, and how their mix changes. On average the rate is that of the load.

    `process`: "poisson"; "bursty", a Poisson process whose rate switches between calm and burst (Markov-modulated:
    exponential lengths); "diurnal", whose rate follows a sine, starting at a random moment of it.
    A drifting mix swings the shares of the workload's groups (files, families) one after the other. Deadlines and
    priorities may be any sequences, numpy arrays too. A trace (docs/reference/traces.md) brings times, jobs, deadlines
    and weights, so the load and the other fields do not apply.
    """

    process: Annotated[str, OneOf(PROCESSES, help="The process by which jobs arrive.")] = "poisson"
    burst_rate: Annotated[float, Number(above=1.0, most=1e6, help="Rate in a burst over the calm rate.")] = 5.0
    burst_share: Annotated[float, Number(above=0.0, most=0.99, help="Share of the time in bursts.")] = 0.2
    burst_jobs: Annotated[float, Number(least=1.0, most=1e9, help="Arrivals a burst, on average.")] = 100.0
    period_jobs: Annotated[float, Number(least=1.0, most=1e9, help="Arrivals a period, on average.")] = 1_000.0
    amplitude: Annotated[float, Number(least=0.0, most=1.0, help="Of the sine, as a share of the mean rate.")] = 0.8
    drift: Annotated[float, Number(least=0.0, most=1.0, help="How far the mix of jobs swings; 0 keeps it.")] = 0.0
    drift_jobs: Annotated[int, Integer(1, MOST_JOBS, help="Jobs in which a drifting mix goes once round.")] = 1_000
    deadlines: Annotated[
        tuple[float, float] | None,
        Parsed(
            f"[least, most], mean service times, 0 <= least <= most <= {LATEST:g}",
            _deadlines,
            help="Jobs are due so many mean service times after arrival, evenly distributed; by default never.",
        ),
    ] = None
    priorities: Annotated[
        tuple[tuple[float, float], ...],
        ListOf(
            Parsed(f"[weight, share] pairs, both {WEIGHTS}", _priority),
            help="Weights of jobs, and the share of the jobs that each has; by default every job weighs 1.",
        ),
    ] = ()
    trace: Annotated[
        str | None,
        FilePath(help="A CSV file of jobs to replay: it brings times, jobs, deadlines and weights."),
    ] = None

    def __post_init__(self) -> None:
        check_fields(self, "arrivals")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Accelerators fail and are repaired, each by itself, after exponentially distributed times.

    The job that runs on a failing accelerator goes back to its queue and starts again from nothing.
    """

    up: Annotated[
        float,
        Number(least=0.0, most=1e9, help="Mean time until an accelerator fails, in mean service times; 0: none does."),
    ] = 0.0
    down: Annotated[
        float, Number(above=0.0, most=1e9, help="Mean time until it is repaired, in mean service times.")
    ] = 20.0

    def __post_init__(self) -> None:
        check_fields(self, "failures")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionError:
    """How wrong predictions are made, on top of the predictor's own error.

    A predicted latency is multiplied by `bias` x exp(`noise` x z), z standard normal, one draw for each class and
    choice.
    """

    noise: Annotated[float, Number(least=0.0, most=5.0, help="Standard deviation of the factor's logarithm.")] = 0.0
    bias: Annotated[float, Number(above=0.0, most=1e3, help="Median of the factor.")] = 1.0
    seed: Annotated[int, Integer(0, help="Seed of the draws.")] = 0

    def __post_init__(self) -> None:
        check_fields(self, "prediction_error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What is charged, each in units of a mean job's best: the reward is minus the weighted sum."""

    completion: Annotated[float, Number(least=0.0, most=1e6, help="Jobs in the system, integrated over time.")] = 1.0
    weighted: Annotated[float, Number(least=0.0, most=1e6, help="Their weights, integrated over time.")] = 0.0
    tardiness: Annotated[
        float, Number(least=0.0, most=1e6, help="Time by which jobs finish after their deadline, when they finish.")
    ] = 0.0
    energy: Annotated[
        float,
        Number(
            least=0.0,
            most=1e6,
            help="Energy of runs when they start, in units of the workload's mean least energy; a failure gives back "
            "what was not used.",
        ),
    ] = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "reward")
        names = [entry.name for entry in fields(self)]
        if not any(getattr(self, name) for name in names):
            raise ConfigError(f"reward: one of {', '.join(names)} must be above 0, got only zeros")
