"""Record episodes of policies as a Minari data set (extra `data`).

Examples:
    gnnsched record --policies sjf assignment --episodes 20 --jobs 200 --out data/queue
    gnnsched record --policies agent:queue --observation pairs --window 16 --out data/pairs
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gnnsched_cli.command import OutFolder, counted, print_text
from gnnsched_cli.conditions import changes, with_options
from gnnsched_cli.policy_names import Policies, register_policies
from gnnsched_env.common.errors import ConfigError


@with_options()
@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Play policies and keep what they saw, did and got."""

    out: OutFolder
    """Folder to write the data set to; it must be empty or new."""
    scenario: str = "hetero4"
    """A preset or the path of a scenario's TOML file."""
    graphs: tuple[Path, ...] = ()
    """Graph files (.npz), one mix; none: the scenario's own workload."""
    env: Literal["queue", "dispatch"] = "queue"
    """Queue-v0 (a central queue) or Dispatch-v0 (a decision at each arrival)."""
    policies: Policies = ("sjf",)
    episodes: int = 10
    """Number of episodes of each policy; their seeds are --seed, --seed + 1, ..."""
    seed: int = 0
    """Seed of the first episode."""
    split: Literal["train", "validation", "test"] = "train"
    """Which episodes seeds stand for; evaluations score those of the split `test`."""
    observation: Literal["dict", "flat", "pairs", "pairs_flat"] = "dict"
    """What is recorded of an observation: arrays by name, or a row of features for each action."""


def run(arguments: Arguments) -> None:
    """Play and write."""
    from gnnsched_env.common.progress import progress_bar
    from gnnsched_env.evaluation import with_graphs
    from gnnsched_env.evaluation.minari_recording import record_dataset
    from gnnsched_env.evaluation.policies import policy_factories
    from gnnsched_env.scenario import load_scenario

    register_policies()
    dispatch = arguments.env == "dispatch"
    names = list(policy_factories(arguments.policies, dispatch=dispatch))
    if not names:
        raise ConfigError("--policies: needs at least one value")
    scenario = with_graphs(load_scenario(arguments.scenario), arguments.graphs).with_options(
        split=arguments.split, observation=arguments.observation, **changes(arguments)
    )
    with progress_bar("recording", len(names) * arguments.episodes, shown=None, unit="episodes") as advance:
        folder = record_dataset(
            arguments.out,
            scenario,
            names,
            dispatch=dispatch,
            episodes=arguments.episodes,
            seed=arguments.seed,
            advance=advance,
        )
    amount = counted(len(names) * arguments.episodes, "episode")
    print_text(f"{folder}: {amount} of {', '.join(names)}; open it with minari.MinariDataset({str(folder)!r})")
