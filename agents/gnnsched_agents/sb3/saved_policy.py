"""Load models of Stable-Baselines3 as policies of this package: `sb3:model.zip`.

For each of the three algorithms, the greedy policy takes the legal row with the highest score: DQN adds the same value
of the lane to all rows. So the scorer's weights are enough, and they play like any trained policy, without torch.

The library's own `save` writes the file. Only two kinds of its entries are read: tensors, by torch's weights-only
reader, which executes no code, and the plain values in its JSON. The pickles in it are never opened.
"""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnsched_baselines.learned.pair_network import QUEUE, Network, made_for, network_of
from gnnsched_baselines.learned.trained_policy import TrainedPolicy
from gnnsched_env.common.errors import ConfigError, FileFormatError, needs_extra
from gnnsched_env.common.files import file_path, open_zip, reading
from gnnsched_env.common.policy import BoolArray, FloatArray, IntArray, Knowledge, Routing
from gnnsched_env.envs import Layout
from gnnsched_env.evaluation.policies import Found
from gnnsched_env.tables import LatencyTable

if TYPE_CHECKING:
    from gnnsched_agents.pair_modules import PooledScorer

PREFIX = "sb3:"
CARD = "gnnsched"  # a model's attribute that describes its inputs; plain JSON in its file
PLAIN, WEIGHTS, OPTIMIZER = "data", "policy.pth", "policy.optimizer.pth"  # entries of the library's zip
MARK = "made_for"  # a scorer's entry where it reads the observation "pairs"
SCORERS = ("scorer.", "q_net.scorer.")  # prefixes of the scorer's weights in the policy: actor-critic, and DQN
MOST_BYTES = 1 << 28  # largest size of an unpacked entry


class Sb3Policy(TrainedPolicy):
    """Take the legal action that a model of Stable-Baselines3 scores highest; for Queue-v0, with any `dataflow`."""

    name = "sb3"

    def __init__(self, layout: Layout, table: LatencyTable | None, path: str | Path) -> None:
        """Load the model; `table` (of a job) holds the workload's predicted latencies.

        Raise FileFormatError if the file is no model that `gnnsched train` saved, and ConfigError if the environment
        is not Queue-v0, the table is missing, or the extra `agents` is not installed.
        """
        network, self.about = read_network(Path(path))
        super().__init__(layout, table=table, network=network)


class PairModelPolicy:
    """Take the action that a model with `PairActorCriticPolicy` or `PairValuePolicy` takes, exploring nothing."""

    name = "sb3"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"dispatch", "queue"})
    observation = "pairs"
    waiting = "free"  # of a file's own class, what its model was trained under

    def __init__(self, layout: Layout, *, scorer: "PooledScorer", values: bool) -> None:
        """Play what `read_scorer` returned."""
        from gnnsched_agents.pair_modules import PairRowsPolicy

        self._policy = PairRowsPolicy(scorer, values=values)

    def act(self, observation: FloatArray, mask: BoolArray) -> IntArray:
        """Return an action for each lane, int64 [L], from rows float32 [L, actions, features]."""
        return self._policy.act(observation, mask)


def find_model(path: str) -> Found:
    """Return the class of the policy "sb3:PATH" and the options that make it; the file is checked at once.

    Raise ConfigError if no file is named, and FileFormatError as `Sb3Policy` does.
    """
    if not path:
        raise ConfigError(f"policy {PREFIX!r}: must be {PREFIX}FILE.zip")
    file = Path(path)
    if file.suffix != ".npz" and (found := read_scorer(file)) is not None:
        scorer, values = found
        kind = type(PairModelPolicy.__name__, (PairModelPolicy,), {"waiting": scorer.waiting})
        return kind, {"scorer": scorer, "values": values}
    read_network(file)
    return Sb3Policy, {"path": path}


def read_scorer(path: Path) -> tuple["PooledScorer", bool] | None:
    """Return the scorer of a model on the observation "pairs", and whether its scores are values; None for another one.

    Raise FileFormatError if it is damaged or reads other features than this version's.
    """
    with needs_extra(f"{PREFIX}{path}", "agents"):
        from gnnsched_agents.pair_modules import PooledScorer

    weights = read_tensors(path, WEIGHTS)
    prefix = next((prefix for prefix in SCORERS if f"{prefix}{MARK}" in weights), None)
    if prefix is None:
        return None
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    with reading(str(path), f"the scorer in {WEIGHTS}"):
        scorer = PooledScorer(len(own["row.bias"]))
        scorer.load_state_dict(own)
    return scorer, prefix == SCORERS[1]


def card_of(algorithm: str) -> dict[str, Any]:
    """Return the value of the attribute CARD for a model of an algorithm; this module reads it again."""
    return {"algorithm": algorithm, **made_for()}


def read_network(path: Path) -> tuple[Network, dict[str, Any]]:
    """Return the scorer's weights and the card of a model.

    Raise FileFormatError if `gnnsched train` did not save the file, or it is damaged or made for other observations.
    """
    if path.suffix == ".npz":
        raise FileFormatError(f"{path}: must be a .zip file of a model; use agent:{path} for this file of weights")
    card = read_plain(path)[CARD]
    if (environment := card.get("environment")) != QUEUE.environment:
        raise FileFormatError(f"{path}: model is for environment {environment!r}, must be for {QUEUE.environment!r}")
    weights = read_tensors(path, WEIGHTS)
    for prefix in SCORERS:
        names = {name.removeprefix(prefix): name for name in weights if name.startswith(prefix)}
        if names:
            return network_of(str(path), {name: weights[entry] for name, entry in names.items()}, card), card
    raise FileFormatError(f"{path}: {WEIGHTS} must hold the weights of a scorer; none are found")


def read_plain(path: Path) -> dict[str, Any]:
    """Return a model's JSON values, including its CARD; raise FileFormatError if there is no CARD."""
    try:
        values = json.loads(_entry(path, PLAIN))
    except (ValueError, RecursionError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{path}: {PLAIN} must be JSON ({error})") from None
    if not isinstance(values, dict) or not isinstance(values.get(CARD), dict):
        raise FileFormatError(
            f"{path}: must be a model that `gnnsched train` saved, or one with PairActorCriticPolicy or "
            f"PairValuePolicy; {PLAIN} lacks {CARD!r}"
        )
    return values


def read_tensors(path: Path, entry: str) -> dict[str, Any]:
    """Return the state that torch saved as an entry, on the CPU; no code in it is executed.

    Raise FileFormatError if it is damaged or holds anything but tensors and plain values.
    """
    content = _entry(path, entry)
    with needs_extra(f"{PREFIX}{path}", "agents"):
        import torch
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return dict(state)
    except Exception:  # torch raises many kinds for damaged files, and advises reading them in an unsafe way
        raise FileFormatError(f"{path}: {entry} must hold tensors, but is damaged or holds something else") from None


def _entry(path: Path, name: str) -> bytes:
    """Return an entry of the zip."""
    with reading(str(path), "the zip file of a model"), open_zip(file_path(path, "a model")) as file:
        if name not in file.namelist():
            raise FileFormatError(f"{path}: must be a model of Stable-Baselines3; it has no entry {name}")
        size = file.getinfo(name).file_size
        if size > MOST_BYTES:
            raise FileFormatError(f"{path}: {name} may have {MOST_BYTES:,} bytes, has {size:,}")
        with reading(str(path), f"the entry {name}"):
            return file.read(name)
