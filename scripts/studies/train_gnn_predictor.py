"""Train the GNN predictor on synthetic graphs, validated on held-out synthetic families; a killed training resumes.

python scripts/studies/train_gnn_predictor.py --out out/gnn.npz --checkpoint out/gnn.ckpt
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import tyro
from rich.console import Console

from gnnsched_cli.command import OutFile, run_command
from gnnsched_env.predictors.gnn import TrainConfig, train_gnn


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train the GNN predictor."""

    out: OutFile
    """Where to write the predictor (.npz)."""
    checkpoint: OutFile | None = None
    """Where to keep what a killed training resumes from."""
    device: str = "auto"
    """A torch device; auto is a GPU when there is one."""
    training: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/train_gnn_predictor.py", Arguments, run, __doc__, words)


def run(given: Arguments) -> None:
    """Train and save."""
    console = Console(stderr=True)
    began = time.perf_counter()
    predictor = train_gnn(
        given.training,
        checkpoint=given.checkpoint,
        device=given.device,
        progress=None,
        report=lambda line: console.print(line, highlight=False),
    )
    predictor.save(given.out)
    seconds = time.perf_counter() - began
    print(f"{given.out}: {given.out.stat().st_size / 1024:.0f} KiB, trained in {seconds:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
