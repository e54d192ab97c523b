"""Networks on the observation "pairs" for any torch library: one small scorer, shared by the rows of all actions.

They are indifferent to the order of the jobs, and their size depends neither on the window nor on the number of
accelerators. `PairActorCritic` is the two in one module, for TorchRL, RLlib and loops of one's own.
"""

from hashlib import blake2b
from typing import Any, Self, cast

import torch
from gymnasium import spaces
from torch import Tensor, nn

from gnnsched_agents.torch_network import Packing
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import BoolArray, FloatArray, IntArray, Knowledge
from gnnsched_env.envs import PAIR_FIELDS
from gnnsched_env.envs.spaces import PAIR
from gnnsched_env.sim import Waiting

ILLEGAL = -1e8  # finite, so that 0 x ILLEGAL is 0; as sb3-contrib's masked logits
FEATURES = PAIR_FIELDS[:-1]  # what the networks read of a legal row: all but the last one, `legal`
# few enough bytes for a float32, which RLlib makes of it
FEATURES_CODE = int.from_bytes(blake2b(",".join(FEATURES).encode(), digest_size=3).digest(), "little")
WAYS_TO_WAIT = tuple(waiting.name.lower() for waiting in Waiting)


class LegalRows:
    """The legal rows of a batch of observations float32 [L, actions, COLUMNS], packed.

    `rows` float32 [n, F]; `packing` over the lanes that have any rows (an ended episode has none); `alive` bool [L]
    marks these lanes.
    """

    def __init__(self, observation: Tensor) -> None:
        self.legal = observation[..., -1] > 0.5
        self.rows = observation[self.legal][:, :-1]
        sizes = self.legal.sum(dim=1)
        self.alive = sizes > 0
        self.packing = Packing.of(sizes[self.alive])

    def unpacked(self, scores: Tensor) -> Tensor:
        """Return [L, actions]: scores [n] in their actions' places, ILLEGAL elsewhere."""
        return scores.new_full(self.legal.shape, ILLEGAL).masked_scatter(self.legal, scores)

    def of_lanes(self, values: Tensor) -> Tensor:
        """Return [L]: values of the lanes that have rows, 0 for the others."""
        return values.new_zeros(len(self.alive)).masked_scatter(self.alive, values)


class PooledScorer(nn.Module):
    """Scores of rows: a layer on each row, a second one on that and on the mean over the lane's rows (initially 0).

    Its state also holds `made_for` int64 [2]: FEATURES_CODE, and the environments' `waiting` in its training.
    """

    made_for: Tensor

    def __init__(self, width: int, waiting: str = "free") -> None:
        super().__init__()
        self.waiting = waiting
        self.register_buffer("made_for", torch.tensor([FEATURES_CODE, WAYS_TO_WAIT.index(waiting)]))
        self.row = nn.Linear(len(FEATURES), width)
        self.second = nn.Linear(width, width)
        self.pooled = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, rows: Tensor, packing: Packing) -> Tensor:
        """Return [n]: the score of each of rows [n, features]."""
        hidden = self.row(rows).relu()
        second = self.second(hidden) + packing.spread(self.pooled(packing.mean(hidden)))
        return cast(Tensor, self.score(second.relu()).squeeze(-1))

    def _load_from_state_dict(self, *args: Any) -> None:
        """Load weights; raise ConfigError if they are for other features."""
        super()._load_from_state_dict(*args)
        features, waiting = self.made_for.tolist()
        if features != FEATURES_CODE:
            raise ConfigError("model: it was trained on other features of rows than this version's: train it anew")
        self.waiting = WAYS_TO_WAIT[waiting]


class PooledCritic(nn.Module):
    """Critic of a lane: a layer on each legal row, their mean, a second layer, and a linear part (initially 0)."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.row = nn.Linear(features, width)
        self.pooled = nn.Linear(width, width)
        self.value = nn.Linear(width, 1)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def forward(self, legal: LegalRows) -> Tensor:
        """Return [L]: the value of each lane; 0 where no action is left."""
        means = legal.packing.mean(self.row(legal.rows).relu())
        return legal.of_lanes(self.value(self.pooled(means).relu()).squeeze(-1))


class PairLogits(nn.Module):
    """A scorer on rows float32 [..., actions, features] with any leading dimensions."""

    def __init__(self, scorer: PooledScorer) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, rows: Tensor) -> Tensor:
        """Return the logits [..., actions], ILLEGAL where an action is."""
        legal = LegalRows(rows.reshape(-1, *rows.shape[-2:]))
        return legal.unpacked(self.scorer(legal.rows, legal.packing)).reshape(rows.shape[:-1])


class PairValues(nn.Module):
    """A critic on rows float32 [..., actions, features] with any leading dimensions."""

    def __init__(self, critic: PooledCritic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, rows: Tensor) -> Tensor:
        """Return the estimated returns [..., 1]; 0 where no action is left."""
        values: Tensor = self.critic(LegalRows(rows.reshape(-1, *rows.shape[-2:])))
        return values.reshape(*rows.shape[:-2], 1)


class PairActorCritic(nn.Module):
    """The networks of an actor-critic method: `logits` and `values` are modules on rows, as other libraries want them.

    `scorer` is what `PairRowsPolicy` plays.
    """

    def __init__(self, width: int = 32, waiting: str = "free") -> None:
        super().__init__()
        self.logits = PairLogits(PooledScorer(width, waiting))
        self.values = PairValues(PooledCritic(len(FEATURES), width))

    @property
    def scorer(self) -> PooledScorer:
        """The scorer of `logits`."""
        return self.logits.scorer

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [..., actions] and values [...]."""
        return self.logits(rows), self.values(rows).squeeze(-1)


class PairRowsPolicy:
    """A scorer as a policy that evaluations play.

    It takes the `likeliest` action, or that of the highest score where scores are `values`, as in DQN.
    """

    name = "sb3"
    knowledge = Knowledge.PREDICTED
    observation = "pairs"

    def __init__(self, scorer: PooledScorer, *, values: bool = False) -> None:
        self.scorer = scorer
        self.values = values
        self.waiting = scorer.waiting

    @classmethod
    def of(cls, model: Any) -> Self:
        """Return the present policy of a model of Stable-Baselines3 with `PairActorCriticPolicy` or `PairValuePolicy`.

        It goes on learning with the model. Raise ConfigError for a model with another policy.
        """
        values = getattr(model, "q_net", None)
        scorer = getattr(values or getattr(model, "policy", None), "scorer", None)
        if not isinstance(scorer, PooledScorer):
            raise ConfigError(
                "PairRowsPolicy.of: must be a model with PairActorCriticPolicy or PairValuePolicy, "
                f"got {type(model).__name__}"
            )
        return cls(scorer, values=values is not None)

    @torch.no_grad()
    def act(self, observation: FloatArray, mask: BoolArray) -> IntArray:
        """Return an action for each lane, int64 [L], from rows float32 [L, actions, features]."""
        given = torch.from_numpy(observation)
        legal = LegalRows(given)
        scores = legal.unpacked(self.scorer(legal.rows, legal.packing))
        chosen = scores.argmax(dim=-1) if self.values else likeliest(scores.softmax(dim=-1), given)
        actions: IntArray = chosen.numpy()
        return actions


def likeliest(probabilities: Tensor, rows: Tensor) -> Tensor:
    """Return int64 [L]: wait where that is more probable than all else together, else the most probable other action.

    Many jobs may share the probability of starting one, so that waiting is the most probable action far too often.
    """
    waits = rows[..., PAIR.wait] > 0.5
    waiting = (probabilities * waits).sum(dim=-1) > 0.5
    starting = probabilities.masked_fill(waits, -1.0).argmax(dim=-1)
    return torch.where(waiting, waits.to(torch.uint8).argmax(dim=-1), starting)


def check_space(where: str, observations: spaces.Space[Any], actions: spaces.Space[Any]) -> str:
    """Return the environments' `waiting` ("free" where a space does not say it).

    Raise ConfigError unless observations are rows of features, one for each action.
    """
    expected = (int(cast(spaces.Discrete, actions).n), len(PAIR_FIELDS))
    if observations.shape != expected:
        raise ConfigError(
            f"{where}: the observation must be 'pairs', of shape {expected}, got {observations}: make the environment "
            "with observation='pairs'"
        )
    return str(getattr(observations, "waiting", "free"))
