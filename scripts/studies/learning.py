"""Run the examples that train, seed by seed, and print the tables and draw the curves of docs/results/learning.md.

Example:
    python scripts/studies/learning.py --graphs ENZYMES.npz MUTAG.npz --picture docs/results/learning.png

A run that ended before is not run again: its curve is in the folder.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from gnnsched_cli.command import OutFile, OutFolder, run_command
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.common.processes import WorkerPool, run_script
from gnnsched_env.report.pyplot import import_pyplot, save_figure

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RECIPES = {  # the example's name: what it is called, and the library that it needs
    "ppo": ("PPO in one file", "torch"),
    "sb3_maskable_ppo": ("MaskablePPO", "sb3_contrib"),
    "sb3_a2c": ("A2C", "stable_baselines3"),
    "sb3_dqn": ("DQN", "stable_baselines3"),
    "sb3_mlp": ("MaskablePPO with MlpPolicy", "sb3_contrib"),
    "torchrl_ppo": ("TorchRL's PPO", "torchrl"),
    "rllib_ppo": ("RLlib's PPO", "ray"),
    "tianshou_ppo": ("Tianshou's PPO", "tianshou"),
}
REFERENCES = ("min_min", "assignment")  # drawn as lines


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train by the examples and compare their learning curves, over those seeds whose runs have ended."""

    recipes: tuple[str, ...] = ()
    """Names of examples; by default all whose libraries are installed."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds to train with."""
    steps: int | None = None
    """Number of decisions of each training; by default the example's own."""
    graphs: tuple[Path, ...] = ()
    """Graph files (.npz), one mix, to test on too."""
    folder: OutFolder = Path("out/learning")
    """Where curves and what examples print are kept."""
    processes: int = 1
    """Number of trainings at a time; each keeps one core busy."""
    picture: OutFile | None = None
    """PNG file for the curves."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); return the exit status."""
    return run_command("python scripts/studies/learning.py", Arguments, run, __doc__, words)


def run(arguments: Arguments) -> None:
    """Train what is missing, print the tables and draw the curves."""
    for name in arguments.recipes:
        if name not in RECIPES:
            raise ConfigError(f"learning: recipes must be of {', '.join(RECIPES)}, got {name!r}")
    chosen = arguments.recipes or tuple(name for name, (_, library) in RECIPES.items() if find_spec(library))
    missing = [
        (name, seed) for seed in arguments.seeds for name in chosen if not _ended(_file(arguments.folder, name, seed))
    ]
    with WorkerPool(arguments.processes) as pool:
        trainings = [pool.submit(train, arguments, name, seed) for name, seed in missing]
        for training in trainings:
            if training.exception() is None:  # an error is told when the others have ended too
                print(training.result(), flush=True)
    for training in trainings:
        training.result()
    curves = {name: _curves(arguments.folder, name, arguments.seeds) for name in chosen}
    if arguments.picture is not None:
        draw(curves, arguments.picture)
    print_tables(curves)


def train(arguments: Arguments, name: str, seed: int) -> str:
    """Run an example; return a line that says how it ended. Raise GnnSchedError, with its last line, if it failed."""
    file = _file(arguments.folder, name, seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    words = ["--seed", str(seed), "--curve", str(file.resolve())]
    words += ["--steps", str(arguments.steps)] if arguments.steps is not None else []
    words += ["--test-graphs", *(str(path.resolve()) for path in arguments.graphs)] if arguments.graphs else []
    with file.with_suffix(".log").open("w", encoding="utf-8") as log:
        failed = run_script(EXAMPLES / f"{name}.py", words, stdout=log, stderr=subprocess.STDOUT, cwd=file.parent)
    if failed:
        last = file.with_suffix(".log").read_text(encoding="utf-8").strip().splitlines()[-1:]
        raise GnnSchedError(f"learning: {name} with seed {seed} failed: {' '.join(last)} ({file.with_suffix('.log')})")
    point = json.loads(file.read_text(encoding="utf-8"))["points"][-1]
    ratios = ", ".join(f"{ratio:.3f} on {where}" for where, ratio in point["ratios"].items())
    return f"{name}, seed {seed}: {point['seconds']:.0f} s, {ratios}"


def print_tables(curves: dict[str, list[dict[str, Any]]]) -> None:
    """Print a table for each kind of test: the ratio of each seed at the end, and when all seeds were below 1."""
    places = next((list(runs[0]["points"][0]["ratios"]) for runs in curves.values() if runs), [])
    for place in places:
        print(f"\nMean completion over sjf's, {place}:\n")
        print("| trained by | decisions | seconds | every seed below 1 after | seeds at the end | mean |")
        print("|---|---|---|---|---|---|")
        for name, runs in curves.items():
            if not runs:
                continue
            last = [run["points"][-1] for run in runs]
            ends = [point["ratios"][place] for point in last]
            below = max((_below(run["points"], place) for run in runs), default=np.inf)
            when = f"{below:.0f} s" if np.isfinite(below) else "not"
            seconds = np.mean([point["seconds"] for point in last])
            shown = " ".join(f"{ratio:.3f}" for ratio in ends)
            what = RECIPES[name][0]
            print(
                f"| {what} | {last[0]['decisions']:,} | {seconds:.0f} | {when} | {shown} | {np.mean(ends):.3f} |",
            )
        rivals = next(runs[0].get("rivals", {}).get(place, {}) for runs in curves.values() if runs)
        print("\n" + ", ".join(f"`{rival}` {ratio:.3f}" for rival, ratio in rivals.items()))


def draw(curves: dict[str, list[dict[str, Any]]], picture: Path) -> None:
    """Draw the mean and the range over seeds of each recipe, by decisions, one panel for each kind of test."""
    pyplot = import_pyplot(picture)
    shown = {name: runs for name, runs in curves.items() if runs}
    first = next(iter(shown.values()))[0]
    places = list(first["points"][0]["ratios"])
    figure, axes = pyplot.subplots(1, len(places), figsize=(6 * len(places), 5), sharey=True, squeeze=False)
    for axis, place in zip(axes[0], places, strict=True):
        for name, runs in shown.items():
            count = min(len(run["points"]) for run in runs)
            decisions = [point["decisions"] for point in runs[0]["points"][:count]]
            ratios = np.array([[point["ratios"][place] for point in run["points"][:count]] for run in runs])
            (line,) = axis.plot(decisions, ratios.mean(axis=0), label=RECIPES[name][0], linewidth=1.6)
            axis.fill_between(
                decisions, ratios.min(axis=0), ratios.max(axis=0), color=line.get_color(), alpha=0.15, linewidth=0
            )
        rivals = first.get("rivals", {}).get(place, {})
        for name, style in zip(("sjf", *REFERENCES), ("-", "--", ":"), strict=True):
            if name in rivals:
                axis.axhline(rivals[name], color="black", linestyle=style, linewidth=1, label=name)
        axis.set(xscale="log", ylim=(0.55, 1.5), xlabel="decisions learnt from", title=f"tested on {place}")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("mean completion time over sjf's")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=9, loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    save_figure(figure, picture, dpi=120)


def _below(points: list[dict[str, Any]], place: str) -> float:
    """Return the seconds after which a curve stays below 1, infinite if it does not."""
    above = [number for number, point in enumerate(points) if point["ratios"][place] >= 1.0]
    first = above[-1] + 1 if above else 0
    return float(points[first]["seconds"]) if first < len(points) else np.inf


def _file(folder: Path, name: str, seed: int) -> Path:
    return folder / name / f"{seed}.json"


def _ended(file: Path) -> bool:
    """Return whether a run has ended: it then says how heuristics do."""
    return file.exists() and "rivals" in json.loads(file.read_text(encoding="utf-8"))


def _curves(folder: Path, name: str, seeds: Sequence[int]) -> list[dict[str, Any]]:
    files = [_file(folder, name, seed) for seed in seeds]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if _ended(file)]


if __name__ == "__main__":
    sys.exit(main())
