"""Rank compiler configurations of TpuGraphs programs: train a ranker, score it, write the competition's submission.

Examples:
    gnnsched forecast standin --out tpugraphs
    gnnsched forecast train --data tpugraphs --collection layout:xla:random --model sage --out out/sage
    gnnsched forecast score --data tpugraphs --collection layout:xla:random --ranker out/sage/ranker.npz
    gnnsched forecast predict --data tpugraphs --collection layout:xla:random --ranker out/sage/ranker.npz \\
        --out submission.csv
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from gnnsched_cli.forecast_options import DEFAULT, Predict, Score, Standin, Train
from gnnsched_cli.interrupts import INTERRUPTED
from gnnsched_env.forecast.models.model_list import model_named


def options(words: Sequence[str]) -> tuple[Any, Any]:
    """Return what tyro parses, the model that is named giving the defaults of training, and no instance."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--model", default=DEFAULT)
    name = first.parse_known_args(words)[0].model
    default = Train(data=tyro.MISSING, out=tyro.MISSING, model=name, training=model_named(name))
    kind = (
        Annotated[Standin, tyro.conf.subcommand("standin")]
        | Annotated[Train, tyro.conf.subcommand("train", default=default)]
        | Annotated[Score, tyro.conf.subcommand("score")]
        | Annotated[Predict, tyro.conf.subcommand("predict")]
    )
    return kind, tyro.MISSING_NONPROP


def run(given: Standin | Train | Score | Predict) -> int:
    """Do what was asked for; return the exit status: 130 when stopped before the end."""
    if isinstance(given, Standin):
        from gnnsched_cli import forecast_standin

        forecast_standin.make(given)
        return 0
    from gnnsched_cli import forecast_runs

    try:
        if isinstance(given, Train):
            return forecast_runs.train(given)
        return forecast_runs.score(given) if isinstance(given, Score) else forecast_runs.predict(given)
    except KeyboardInterrupt:
        print("stopped; a training goes on with the same command from its last checkpoint, if any", file=sys.stderr)
        return INTERRUPTED
