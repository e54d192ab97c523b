"""Models beside each other: each trained with several seeds, scored on the same files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.stats import Interval, crossed_interval
from gnnsched_env.forecast.data.folder_tree import Opened
from gnnsched_env.forecast.encoding.portions import Portion, whole
from gnnsched_env.forecast.encoding.samples import Prepared, prepare_all
from gnnsched_env.forecast.models.model_list import model_named
from gnnsched_env.forecast.models.network_settings import NetworkSettings
from gnnsched_env.forecast.models.ranker import RankerSettings, Session
from gnnsched_env.forecast.scoring.program_scores import score_sample
from gnnsched_env.forecast.training.fitting import fit

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelScores:
    """A model's scores (`GraphScore.competition`), float64 [seeds, files]; `seeds` are in the order of the rows."""

    model: str
    seeds: tuple[int, ...]
    scores: FloatArray

    @property
    def mean(self) -> Interval:
        """Return the mean over seeds and files with its interval."""
        return crossed_interval(self.scores)

    def above(self, other: "ModelScores") -> Interval:
        """Return by how much it is above another model on the same files and seeds, with the interval."""
        if self.seeds != other.seeds:
            raise ConfigError(f"comparison: {self.model} and {other.model} must have the same seeds")
        return crossed_interval(self.scores - other.scores)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Models in the order asked for, on `files` that have something to rank."""

    files: tuple[str, ...]
    models: tuple[ModelScores, ...]

    def record(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        before = [None, *self.models[:-1]]
        return {
            "files": list(self.files),
            "models": [
                {
                    "model": own.model,
                    "mean": own.mean.as_list(),
                    "above_the_one_before": None if last is None else own.above(last).as_list(),
                    "seeds": {str(seed): row.tolist() for seed, row in zip(own.seeds, own.scores, strict=True)},
                }
                for own, last in zip(self.models, before, strict=True)
            ],
        }


def configured(models: Sequence[str], seed: int, **changes: Any) -> list[tuple[str, RankerSettings]]:
    """Return (name, configuration) of models in MODELS with a seed; `changes` that are not None are of networks."""
    given = {name: value for name, value in changes.items() if value is not None}
    replace(NetworkSettings(), **given)  # refuses bad ones, whatever the models
    named = [(name, model_named(name)) for name in models]
    return [
        (name, replace(config, seed=seed, **(given if isinstance(config, NetworkSettings) else {})))
        for name, config in named
    ]


def compare(
    models: Sequence[str],
    seeds: Sequence[int],
    train: Opened,
    test: Opened,
    session: Session,
    *,
    told: Callable[[str], None] = lambda line: None,
    **changes: Any,
) -> Comparison:
    """Train each model with each seed on `train` and score it on `test`; the same call goes on where one was stopped.

    `session.folder` keeps a folder MODEL-SEED for each. `changes`: fields of NetworkSettings, for all networks.
    ConfigError where nothing, or one model or seed twice, is asked for, or no file of `test` has anything to rank.
    """
    for what, given in (("models", models), ("seeds", seeds)):
        if not given or len(set(given)) < len(given):
            raise ConfigError(f"comparison: {what} must be different ones, got {', '.join(map(str, given)) or 'none'}")
    every = {seed: dict(configured(models, seed, **changes)) for seed in seeds}
    if not any(len(np.unique(program.targets())) > 1 for program in test.programs):
        raise ConfigError(
            "comparison: no file to score has anything to rank; are they unlabelled, as real test files are?"
        )
    portions: dict[int | None, list[Portion]] = {}
    tests: dict[int | None, Prepared] = {}
    found: dict[tuple[str, int], FloatArray] = {}
    files: tuple[str, ...] = ()
    for seed in seeds:  # all models of a seed first: a stopped comparison has whole ones
        for model, config in every[seed].items():
            hops = config.hops
            if hops not in portions:
                known = prepare_all(train.programs, session.report, hops=hops)
                portions[hops] = [whole(sample) for sample in known.samples]
                tests[hops] = prepare_all(test.programs, session.report, hops=hops)
            folder = None if session.folder is None else session.folder / f"{model}-{seed}"
            fitted = fit(config, portions[hops], replace(session, folder=folder))
            pairs = zip(tests[hops].samples, tests[hops].programs, strict=True)
            scores = [score_sample(fitted.ranker, sample, program) for sample, program in pairs]
            scored = [one for one in scores if not one.reason]
            if not scored:
                raise ConfigError("comparison: no file to score has anything to rank")
            files = tuple(f"{one.collection}:{one.name}" for one in scored)
            found[model, seed] = np.array([one.competition for one in scored])
            told(f"{model}, seed {seed}: {found[model, seed].mean():.4f} over {len(scored)} files")
    return Comparison(
        files=files,
        models=tuple(
            ModelScores(model=model, seeds=tuple(seeds), scores=np.stack([found[model, seed] for seed in seeds]))
            for model in models
        ),
    )
