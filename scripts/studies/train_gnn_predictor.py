"""Train the GNN predictor on synthetic graphs, validated on held-out synthetic families; a killed training resumes.

python -m scripts.train_gnn_predictor --out out/gnn.npz --checkpoint out/gnn.ckpt
"""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from gnnsched_env.common.errors import GnnSchedError
from gnnsched_env.predictors.gnn import TrainConfig, train_gnn


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train the GNN predictor."""

    out: Path
    """Where to write the predictor (.npz)."""
    checkpoint: Path | None = None
    """Where to keep what a killed training resumes from."""
    device: str = "auto"
    """A torch device; auto is a GPU when there is one."""
    training: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)


def main(arguments: list[str] | None = None) -> int:
    """Parse, train, save; return the exit status."""
    console = Console(stderr=True)
    began = time.perf_counter()
    try:
        given = tyro.cli(
            Arguments,
            args=arguments,
            prog="python -m scripts.studies.train_gnn_predictor",
            description=__doc__,
            config=(tyro.conf.EnumChoicesFromValues,),
        )
        predictor = train_gnn(
            given.training,
            checkpoint=given.checkpoint,
            device=given.device,
            progress=None,
            report=lambda line: console.print(line, highlight=False),
        )
        predictor.save(given.out)
    except (GnnSchedError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    seconds = time.perf_counter() - began
    print(f"{given.out}: {given.out.stat().st_size / 1024:.0f} KiB, trained in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
