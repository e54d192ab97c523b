"""The sections of a scenario: which jobs arrive and when, what deciding costs, what fails, what is charged.

An option is declared once, as a field with its type, default, rule and help. Arguments of `gymnasium.make`, keys of a
scenario's TOML file, options of command lines (if the rule names one), checks and entries of records follow from it.
`settings` of a section returns what the simulator needs of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, ClassVar, Literal

from gnnsched_env.common.checks import FilePath, Flag, Integer, ListOf, Number, OneOf, Parsed, check_fields, listed
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import MODEL_KINDS
from gnnsched_env.sim import MOST_WORKERS, Split, Waiting, WindowOrder
from gnnsched_env.sim.arrivals import ChosenProcess
from gnnsched_env.sim.rewards import TERMS, Prices, in_cycles
from gnnsched_env.tables import LatencyTable
from gnnsched_env.tables.table import MOST_COVERAGE

LOAD_LIMIT = 1.5
LEAST_LOAD = 1e-9
MOST_JOBS = 10_000_000  # an episode's jobs are kept in memory
MOST_REPEATS = 1_000_000_000
LONGEST_DECISION_US = 1e9
DEFAULT_JOBS = 1_000
LATEST = 1e9  # of a deadline, mean service times
LEAST_WEIGHT = 1e-6  # of a job: sums of weights further apart than these lose the lighter ones
MOST_WEIGHT = 1e6
WEIGHTS = f"from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The units in which options are given, for one scenario and its latency table (of one inference).

    `mean_gap`: cycles between arrivals; `unit`: cycles of a mean job's best as predicted, `service` as it is;
    `jobs`: those of an episode where no number is given; `dispatch`: a decision at each arrival.
    """

    table: LatencyTable
    repeats: int
    clock_hz: int
    mean_gap: float
    unit: float
    service: float
    jobs: int
    dispatch: bool

    def cycles(self, microseconds: float) -> int:
        """Return the nearest number of cycles; what costs anything costs at least one."""
        return max(int(microseconds > 0), round(microseconds * self.clock_hz / 1e6))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortForm:
    """How a section can be given in short, as in `failures=(200, 20)`.

    `what` names the short form in errors. `read` returns the fields that a value stands for, None if it is no such
    form. `kind` is its type on command lines, None if it has no option there, and `help` the option's help.
    """

    what: str
    read: Callable[[Any], Mapping[str, Any] | None]
    kind: Any = None
    help: str = ""


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


def _trace_or_process(given: Any) -> Mapping[str, Any] | None:
    if not isinstance(given, str):
        return None
    return {"trace" if given.endswith(".csv") else "process": given}


def _up_and_down(given: Any) -> Mapping[str, Any] | None:
    return {"up": given[0], "down": given[1]} if isinstance(given, list | tuple) and len(given) == 2 else None


def _noise_and_bias(given: Any) -> Mapping[str, Any] | None:
    if isinstance(given, list | tuple) and len(given) in (1, 2):
        return dict(zip(("noise", "bias"), given, strict=False))
    return {"noise": given} if isinstance(given, Real) and not isinstance(given, bool) else None


def _one_price(given: Any) -> Mapping[str, Any] | None:
    if not isinstance(given, str):
        return None
    OneOf(tuple(TERMS)).check("reward", "reward", given)
    return {name: float(name == given) for name in TERMS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Which jobs arrive: those of graph files, or the embedded synthetic classes, and the model that each job runs.

    Each file is equally likely; a graph set gives `classes_per_file` batches, their sizes spread evenly over
    `batch_sizes`; a file of one graph is one class.
    """

    graphs: Annotated[
        tuple[str, ...],
        ListOf(FilePath(), help="Graph files (.npz), all equally likely; without any, the embedded synthetic classes."),
    ] = ()
    model: Annotated[str, OneOf(tuple(MODEL_KINDS), help="GNN that each job runs.")] = "gcn"
    hidden: Annotated[tuple[int, ...], ListOf(Integer(1), help="Widths of the GNN's hidden layers.")] = (16,)
    batch_sizes: Annotated[
        tuple[int, ...],
        ListOf(Integer(1), fewest=1, help="Graphs in the batch of a job, equally likely, if a file is a graph set."),
    ] = (1, 4, 16, 64)
    classes_per_file: Annotated[int, Integer(1, help="Batches drawn from each graph set.")] = 120
    seed: Annotated[int, Integer(0, help="Seed that draws the batches, or the synthetic classes.")] = 0
    repeats: Annotated[int, Integer(1, MOST_REPEATS, help="Inferences in each job.", option="repeats")] = 1

    def __post_init__(self) -> None:
        check_fields(self, "workload")
        Integer(len(self.batch_sizes)).check("workload", "classes_per_file", self.classes_per_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCost:
    """What it costs to predict a job's latencies: it comes to the scheduler only when that is done.

    A cost above 0 is at least one cycle. Jobs take the next free worker in order of arrival and come to the scheduler
    in that order too, so a lookup, which needs no worker, waits for the predictions of earlier jobs. With `skip_below`
    the one worker takes up a job and sees how many jobs wait to start: if they are fewer, it does not predict the job.
    """

    latency_us: Annotated[
        float,
        Number(
            least=0.0,
            most=LONGEST_DECISION_US,
            help="Microseconds that predicting a job takes, charged to policies that use predictions.",
            option="decision-us",
        ),
    ] = 0.0
    workers: Annotated[
        int, Integer(1, MOST_WORKERS, help="Predictions that may run at once.", option="decision-workers")
    ] = 1
    cached: Annotated[
        bool, Flag(help="Predict each class of jobs once in an episode, and then look it up.", option="decision-cached")
    ] = False
    lookup_us: Annotated[
        float,
        Number(
            least=0.0,
            most=LONGEST_DECISION_US,
            help="Microseconds that a lookup of a cached prediction takes.",
            option="lookup-us",
        ),
    ] = 0.0
    skip_below: Annotated[
        int,
        Integer(
            0,
            MOST_JOBS,
            help="Waiting jobs below which the next job is not predicted: it comes at once, as one of average latency.",
            option="skip-below",
        ),
    ] = 0

    def __post_init__(self) -> None:
        check_fields(self, "decision")
        if self.skip_below and (self.latency_us == 0.0 or self.workers > 1 or self.cached):
            raise ConfigError(
                "decision: skip_below must be 0 unless predicting takes time (latency_us above 0), of one worker and "
                f"not cached, got {self.skip_below!r}"
            )
        if self.lookup_us > self.latency_us:
            raise ConfigError(
                f"decision: lookup_us must be at most latency_us ({self.latency_us:g}), got {self.lookup_us!r}"
            )
        if self.lookup_us > 0 and not self.cached:
            raise ConfigError(f"decision: lookup_us must be 0 unless cached is true, got {self.lookup_us!r}")

    def settings(self, units: Units) -> dict[str, Any]:
        """Return the simulator's settings that follow from the section, by name."""
        return {
            "decision": units.cycles(self.latency_us),
            "workers": self.workers,
            "cached": self.cached,
            "lookup": units.cycles(self.lookup_us),
            "skip_below": self.skip_below,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentOptions:
    """What an episode is and what the agent sees of it."""

    load: Annotated[
        float,
        Number(
            least=LEAST_LOAD,
            below=LOAD_LIMIT,
            help="Arrival rate, as a share of the fleet's largest sustainable rate.",
            option="load",
        ),
    ] = 0.8
    jobs: Annotated[
        int | None,
        Integer(
            1, MOST_JOBS, help="Jobs in an episode; without a number 1,000, or all jobs of a trace.", option="jobs"
        ),
    ] = None
    window: Annotated[
        int, Integer(1, MOST_JOBS, help="Waiting jobs that a policy sees in Queue-v0.", option="window")
    ] = 32
    window_order: Annotated[
        str,
        OneOf(
            ("arrival", "shortest"),
            help="Waiting jobs that the window shows: the oldest, or those of smallest predicted latency.",
        ),
    ] = "arrival"
    dataflow: Annotated[
        str,
        OneOf(
            ("agent", "predicted_best"),
            help="Who chooses a job's dataflow: the action, or the predictions on the accelerator.",
        ),
    ] = "agent"
    waiting: Annotated[
        str,
        OneOf(
            tuple(waiting.name.lower() for waiting in Waiting),
            help="How agents wait in Queue-v0: by an action, only if nothing can start, or by a busy accelerator.",
        ),
    ] = "free"
    observation: Annotated[
        str,
        OneOf(
            ("dict", "flat", "pairs", "pairs_flat"),
            help="What an agent is shown: a dict of arrays, these joined (flat), a row of features for each action "
            "(pairs), or these rows joined (pairs_flat).",
        ),
    ] = "dict"
    intervals: Annotated[
        float,
        Number(
            least=0.0,
            most=MOST_COVERAGE,
            help="Coverage of the intervals of latencies that observations show beside predictions; 0 shows none.",
            option="intervals",
        ),
    ] = 0.0
    split: Annotated[
        str,
        OneOf(
            tuple(split.name.lower() for split in Split),
            help="Which episodes seeds stand for: those to train on, to validate on, or that evaluations score.",
        ),
    ] = "train"
    returns: Annotated[
        str,
        OneOf(
            ("mean", "total"),
            help="What the undiscounted return of an episode is minus: its jobs' mean cost, or their total cost.",
        ),
    ] = "mean"
    shaping: Annotated[
        str,
        OneOf(
            ("none", "drain"),
            help="Potential that shapes the reward: none, or the believed cost of draining the system.",
        ),
    ] = "none"

    def __post_init__(self) -> None:
        check_fields(self, "environment")
        if self.intervals and self.observation.startswith("pairs"):
            raise ConfigError(
                f"environment: intervals must be 0 with observation {self.observation!r}, whose rows do not show them, "
                f"got {self.intervals!r}"
            )

    def settings(self, units: Units) -> dict[str, Any]:
        """Return the simulator's settings that follow from the section, by name."""
        return {
            "jobs": self.jobs or units.jobs,
            "window": 1 if units.dispatch else self.window,
            "window_order": WindowOrder[self.window_order.upper()],
            "choose_dataflow": self.dataflow == "agent",
            "shaped": self.shaping == "drain",
            "split": Split[self.split.upper()],
            "waiting": Waiting[self.waiting.upper()],
        }


@dataclass(frozen=True, kw_only=True)
class Arrivals(ChosenProcess):
    """When jobs arrive, how their mix changes, and their deadlines and weights; the mean rate is that of the load.

    A drifting mix swings the shares of the workload's groups (files, families) one after the other. Deadlines and
    priorities may be any sequences, numpy arrays too. A trace (docs/reference/traces.md) brings times, jobs, deadlines
    and weights, so the load and the other fields do not apply.
    """

    short_form: ClassVar = ShortForm(what="a process, or the path of a trace", read=_trace_or_process)

    drift: Annotated[
        float,
        Number(least=0.0, most=1.0, help="How far the mix of jobs swings, from 0 (it does not) to 1.", option="drift"),
    ] = 0.0
    drift_jobs: Annotated[
        int, Integer(1, MOST_JOBS, help="Jobs in which a drifting mix comes back to where it was.")
    ] = 1_000
    deadlines: Annotated[
        tuple[float, float] | None,
        Parsed(
            f"[least, most], mean service times, 0 <= least <= most <= {LATEST:g}",
            _deadlines,
            help="Range of the time from a job's arrival until it is due, in mean service times; by default never.",
        ),
    ] = None
    priorities: Annotated[
        tuple[tuple[float, float], ...],
        ListOf(
            Parsed(f"[weight, share] pairs, both {WEIGHTS}", _priority),
            help="Pairs of a weight and the share of the jobs that have it; by default every job weighs 1.",
        ),
    ] = ()
    trace: Annotated[
        str | None,
        FilePath(
            help="CSV file of jobs to replay; it gives their arrival times, classes, deadlines and weights.",
            option="trace",
        ),
    ] = None

    def __post_init__(self) -> None:
        check_fields(self, "arrivals")

    def settings(self, units: Units) -> dict[str, Any]:
        """Return the simulator's settings that follow from the section where there is no trace, by name."""
        modulation, phases = self.phases(units.mean_gap)
        slack = self.deadlines and (self.deadlines[0] * units.service, self.deadlines[1] * units.service)
        return {
            "modulation": modulation,
            "phases": phases,
            "drift": self.drift,
            "mix_jobs": self.drift_jobs,
            "priorities": self.priorities,
            "slack": slack,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Accelerators fail and are repaired, each by itself, after exponentially distributed times.

    The job that runs on a failing accelerator goes back to its queue and starts again from nothing.
    """

    short_form: ClassVar = ShortForm(
        what="two numbers, up and down",
        read=_up_and_down,
        kind=tuple[float, float],
        help="Mean times until an accelerator fails (0: never) and until it is repaired, in mean service times.",
    )

    up: Annotated[
        float,
        Number(
            least=0.0, most=1e9, help="Mean time until an accelerator fails, in mean service times; with 0 none does."
        ),
    ] = 0.0
    down: Annotated[
        float,
        Number(above=0.0, most=1e9, help="Mean time until a failed accelerator is repaired, in mean service times."),
    ] = 20.0

    def __post_init__(self) -> None:
        check_fields(self, "failures")

    def settings(self, units: Units) -> dict[str, Any]:
        """Return the simulator's settings that follow from the section, by name."""
        return {"mean_up": self.up * units.service, "mean_down": self.down * units.service if self.up else 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionError:
    """Errors of predictions that come on top of the predictor's own.

    A predicted latency is multiplied by `bias` x exp(`noise` x z), z standard normal, one draw for each class and
    choice.
    """

    short_form: ClassVar = ShortForm(
        what="one or two numbers, noise and bias",
        read=_noise_and_bias,
        kind=tuple[float, ...],
        help="Log-normal noise on predicted latencies, optionally followed by their bias, a factor.",
    )

    noise: Annotated[
        float,
        Number(least=0.0, most=5.0, help="Standard deviation of the logarithm of the factor on predicted latencies."),
    ] = 0.0
    bias: Annotated[float, Number(above=0.0, most=1e3, help="Median of the factor on predicted latencies.")] = 1.0
    seed: Annotated[int, Integer(0, help="Seed that draws the factors on predicted latencies.")] = 0

    def __post_init__(self) -> None:
        check_fields(self, "prediction_error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward(Prices):
    """Prices of what the reward charges, in units of a mean job's best latency: it is minus the weighted sum."""

    short_form: ClassVar = ShortForm(
        what="the name of a price, which alone is charged",
        read=_one_price,
        kind=Literal[tuple(TERMS)],
        help="Term that the reward charges alone; heuristics do not look at the reward.",
    )

    def __post_init__(self) -> None:
        check_fields(self, "reward")
        if not any(getattr(self, name) for name in TERMS):
            raise ConfigError(f"reward: one of {', '.join(TERMS)} must be above 0, got only zeros")

    def settings(self, units: Units) -> dict[str, Any]:
        """Return the simulator's settings that follow from the section, by name."""
        return {**in_cycles(self, unit=units.unit, table=units.table, repeats=units.repeats)}
