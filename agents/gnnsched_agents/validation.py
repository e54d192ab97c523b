"""Validation: scores a policy on workloads that are used neither for training nor for published results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from gnnsched_agents.worlds import OWN, Workloads, World, make_world, world_scenario
from gnnsched_baselines import make_policy
from gnnsched_baselines.learned.pair_network import DISPATCH, Network
from gnnsched_env.common.checks import Integer, ListOf, Number, Text, check_fields
from gnnsched_env.common.policy import IntArray
from gnnsched_env.evaluation import PolicyFactory, policy_factory, run_policy
from gnnsched_env.scenario import Scenario, scenario_table
from gnnsched_env.scenario.options import LOAD_LIMIT, MOST_JOBS
from gnnsched_env.scenario.varied import FIRST_TRAINING_SEED
from gnnsched_env.workload.job_classes import SYNTHETIC_SEED

Case = tuple[int, float]  # a validation case: the seed of its classes, and its load
Means = dict[Case, NDArray[np.float64]]  # the mean completion of each episode, cycles

_SEEDS = Integer(SYNTHETIC_SEED + 1, FIRST_TRAINING_SEED - 1)
EPISODE_SEED = 0  # seed of the first validation episode; trainings play another split


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Settings of the validation that chooses the model."""

    workloads: Annotated[tuple[int, ...], ListOf(_SEEDS, 1)] = (
        101,
        102,
        103,
    )
    """Seeds of the sets of synthetic classes; 0 is reserved for results, 1000 and above for training."""
    loads: Annotated[tuple[float, ...], ListOf(Number(above=0, below=LOAD_LIMIT), 1)] = (0.5, 0.8, 0.95)
    """Loads at which to validate."""
    jobs: Annotated[int, Integer(1, MOST_JOBS)] = 1000
    """Number of arrivals per episode."""
    episodes: Annotated[int, Integer(1, MOST_JOBS)] = 32
    """Number of episodes for each workload and load."""
    references: Annotated[tuple[str, ...], ListOf(Text())] = ()
    """Policies to compare with: a case's reference is its best one; none: the heuristic that trainings start from."""

    def __post_init__(self) -> None:
        check_fields(self, "validation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Ratios of a policy's mean completion to a reference's, on the same episodes.

    `ratio` is the geometric mean over all workloads and loads; the model with the smallest is chosen. `by_load`: the
    same over the workloads of each load. `cases`: the single ratios. `sjf_ratio`: like `ratio`, with `sjf` in Queue-v0
    as reference. `error`: half of a 95 % interval of log(ratio), treating the episodes as independent.
    """

    ratio: float
    sjf_ratio: float
    error: float
    by_load: Mapping[float, float]
    cases: Mapping[Case, float]

    def figures(self) -> dict[str, float]:
        """Return all but the single cases as numbers by name, for logs and cards."""
        loads = {f"ratio_at_{load:g}": ratio for load, ratio in self.by_load.items()}
        return {"ratio": self.ratio, "error": self.error, "sjf_ratio": self.sjf_ratio, **loads}


class Validation:
    """Scores policies on validation workloads, always on the same episodes; the references are played once.

    They are those of the config, by default the heuristic that trainings for the environment start from
    (`pair_network.Inputs`), and `sjf`.
    """

    def __init__(self, config: ValidationConfig, workloads: Workloads) -> None:
        alike = workloads.mixes == OWN  # whatever the seed
        self.config = replace(config, workloads=config.workloads[:1]) if alike else config
        self.workloads = replace(workloads, jobs=config.jobs)
        self.references = config.references or (workloads.inputs.heuristic,)

    @property
    def reference(self) -> str:
        """Return what ratios are over, in words."""
        return self.references[0] if len(self.references) == 1 else "the best heuristic"

    @property
    def _dispatch(self) -> bool:
        return self.workloads.inputs is DISPATCH

    def score(self, network: Network) -> Score:
        """Score the policy that takes the action of the network's highest score."""
        return self.score_means(self.play(lambda world: world.actor(network)))

    def score_policy(self, factory: PolicyFactory) -> Score:
        """Score any policy on the environment's observations, the dataflow being the predicted best."""
        return self.score_means(self.run(factory, dispatch=self._dispatch))

    def score_means(self, means: Means) -> Score:
        """Score a policy by its mean completions on the validation episodes (the result of `play` or `run`)."""
        logs = {case: _log_ratio(mean, self.reference_means[case]) for case, mean in means.items()}
        cases = {case: float(np.exp(log)) for case, (log, _) in logs.items()}
        sjf = [_log_ratio(mean, self.sjf_means[case])[0] for case, mean in means.items()]
        by_load = {
            load: _geometric_mean([cases[case] for case in cases if case[1] == load]) for load in self.config.loads
        }
        return Score(
            ratio=_geometric_mean(list(cases.values())),
            sjf_ratio=float(np.exp(np.mean(sjf))),
            error=float(1.96 * np.sqrt(np.sum([variance for _, variance in logs.values()])) / len(logs)),
            by_load=by_load,
            cases=cases,
        )

    def play(self, player: Callable[[World], Callable[[], IntArray]]) -> Means:
        """Return the mean completions of a policy that reads the simulation itself."""
        return {case: world.play(player(world), EPISODE_SEED) for case, world in self._worlds.items()}

    def run(self, factory: PolicyFactory, *, dispatch: bool) -> Means:
        """Return the mean completions of a policy that reads observations, in Dispatch-v0 or Queue-v0."""
        shape = {"jobs": self.config.jobs, "window": self.workloads.window, "dataflow": "agent"}
        means = {}
        for seed, load in self._worlds:
            scenario = self._scenarios[seed].with_options(load=load, **shape)
            runs = run_policy(
                factory,
                scenario,
                scenario_table(scenario),
                dispatch=dispatch,
                seed=EPISODE_SEED,
                episodes=self.config.episodes,
                split="validation",
            )
            means[seed, load] = runs.per_episode("completion")
        return means

    def play_references(self) -> None:
        """Play the reference policies, unless that was already done."""
        _ = (self.reference_means, self.sjf_means)

    @cached_property
    def heuristic_means(self) -> Means:
        """The mean completions of the heuristic."""
        return self.play(lambda world: world.actor(None))

    @cached_property
    def reference_means(self) -> Means:
        """The mean completions of the best of the references, case by case."""
        played = [self._reference(name) for name in self.references]
        return {case: min((means[case] for means in played), key=lambda own: float(own.mean())) for case in played[0]}

    @cached_property
    def sjf_means(self) -> Means:
        """The mean completions of `sjf` in Queue-v0 (on the same jobs, predictions and window)."""
        return self.run(lambda layout, table: make_policy("sjf", layout, table=table), dispatch=False)

    def _reference(self, name: str) -> Means:
        if name == self.workloads.inputs.heuristic:
            return self.heuristic_means
        if name == "sjf" and not self._dispatch:
            return self.sjf_means
        return self.run(policy_factory(name, dispatch=self._dispatch), dispatch=self._dispatch)

    @cached_property
    def _scenarios(self) -> dict[int, Scenario]:
        """Those of each set of classes: of the scenarios to train for in turn."""
        return {
            seed: world_scenario(self.workloads.of_turn(number), seed, split="validation")
            for number, seed in enumerate(self.config.workloads)
        }

    @cached_property
    def _worlds(self) -> dict[Case, World]:
        return {
            (seed, load): make_world(self.workloads, scenario, load, self.config.episodes, split="validation")
            for seed, scenario in self._scenarios.items()
            for load in self.config.loads
        }


def _log_ratio(means: NDArray[np.float64], reference: NDArray[np.float64]) -> tuple[float, float]:
    """Return log(mean / mean of the reference) over paired episodes, and its variance (delta method)."""
    ratio = means.mean() / reference.mean()
    residuals = (means - ratio * reference) / means.mean()
    variance = residuals.var(ddof=1) / len(means) if len(means) > 1 else 0.0
    return float(np.log(ratio)), float(variance)


def _geometric_mean(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))
