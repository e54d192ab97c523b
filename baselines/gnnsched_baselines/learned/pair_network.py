"""The network of a trained policy, its weights in a file, and its forward pass in plain numpy.

Each row of features goes through a first layer, the rows of a lane are averaged, and a second layer reads a row and
that average; a linear part stands beside both. The same weights serve any number of rows, and the order of the rows
changes no score (Zaheer et al. 2017, deep sets).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from gnnsched_baselines.learned.dispatch_features import DISPATCH_FEATURES
from gnnsched_baselines.learned.pair_features import COLUMN, FEATURES, NUM_FEATURES
from gnnsched_env.common import store
from gnnsched_env.common.checks import number_array
from gnnsched_env.common.errors import ConfigError, FileFormatError, did_you_mean
from gnnsched_env.common.policy import FloatArray
from gnnsched_env.envs.spaces import OBSERVATION_VERSION

MOST_WIDTH = 4096
BY_FEATURE = ("w1", "skip")  # arrays whose rows are features


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """Weights, all float32: F features, H units in each of two layers.

    A row x [F] of n in its lane: h = relu(x w1 + b1); g = the mean of h over the n rows; its score is
    relu(h w2 + g u2 + b2) . w3 + x . skip.
    """

    w1: FloatArray  # [F, H]
    b1: FloatArray  # [H]
    w2: FloatArray  # [H, H]
    u2: FloatArray  # [H, H]
    b2: FloatArray  # [H]
    w3: FloatArray  # [H]
    skip: FloatArray  # [F]

    def __post_init__(self) -> None:
        width = int(np.shape(self.b1)[0]) if np.ndim(self.b1) == 1 else 0
        if not 1 <= width <= MOST_WIDTH:
            raise ConfigError(f"network: b1 must have 1 to {MOST_WIDTH} units, got shape {list(np.shape(self.b1))}")
        for name, shape in shapes(width, self.num_features).items():
            value = number_array("network", name, getattr(self, name), np.float32)
            if value.shape != shape:
                raise ConfigError(f"network: {name} must be of shape {list(shape)}, got {list(value.shape)}")
            if not np.isfinite(value).all():
                raise ConfigError(f"network: {name} must hold finite numbers only")
            object.__setattr__(self, name, value)

    @property
    def num_features(self) -> int:
        """Return F."""
        return int(np.size(self.skip))

    @property
    def arrays(self) -> tuple[FloatArray, ...]:
        """Return the weights in the order of the fields, as the compiled network takes them."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @property
    def pools(self) -> bool:
        """Tell whether what plays pools latencies of equal hardware: if the weights read `alike`, which came with it.

        Weights from before see predictions as they are.
        """
        return bool(self.w1[COLUMN.alike].any() or self.skip[COLUMN.alike])

    @property
    def read(self) -> tuple[FloatArray, ...]:
        """Return `arrays` without the last features if their weights are all 0: what plays reads no more of a row.

        Weights from before a feature was added thus decide as they did, to the last bit.
        """
        used = np.flatnonzero(self.w1.any(axis=1) | (self.skip != 0))
        count = int(used[-1]) + 1 if len(used) else 1
        return tuple(
            np.ascontiguousarray(value[:count]) if field.name in BY_FEATURE else value
            for field, value in zip(fields(self), self.arrays, strict=True)
        )

    def scores(self, rows: FloatArray, starts: np.ndarray[Any, np.dtype[np.int64]]) -> FloatArray:
        """Return float32 [n]: the score of each row; `rows` float32 [n, F], lane i's from starts[i] to starts[i + 1].

        `starts` int64 [L + 1]; a lane may have no rows.
        """
        counts = np.diff(starts)
        hidden = np.maximum(rows @ self.w1 + self.b1, 0.0)
        sums = np.zeros((len(counts), len(self.b1)), np.float32)
        np.add.at(sums, np.repeat(np.arange(len(counts)), counts), hidden)
        pooled = sums / np.maximum(counts, 1)[:, np.newaxis].astype(np.float32)
        second = np.maximum(hidden @ self.w2 + np.repeat(pooled @ self.u2 + self.b2, counts, axis=0), 0.0)
        scores: FloatArray = (second @ self.w3 + rows @ self.skip).astype(np.float32)
        return scores


def shapes(width: int, features: int = NUM_FEATURES) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of a network of a width, which reads so many features."""
    layer, square = (features, width), (width, width)
    vector = (width,)
    return {"w1": layer, "b1": vector, "w2": square, "u2": square, "b2": vector, "w3": vector, "skip": (features,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What the networks of an environment read: a row of these features for each action that is scored.

    `heuristic` is the policy that trainings compare with, `prior` the feature that is 1 for its action, `slope` one
    that rises with what an action loses by the reckoning that a training starts from: in Queue-v0 the heuristic's, in
    Dispatch-v0 that of the delays which the job would cause (`dispatch_features`).
    """

    environment: str
    features: tuple[str, ...]
    heuristic: str
    prior: str
    slope: str

    def check(self, network: Network) -> None:
        """Raise ConfigError if a network cannot be of these features."""
        if network.num_features != len(self.features):
            rule = f"must read the {len(self.features)} features of {self.environment}"
            raise ConfigError(f"network: {rule}, got {network.num_features}")

    def zeros(self, width: int) -> Network:
        """Return the network whose weights are 0."""
        arrays: dict[str, Any] = {name: np.zeros(shape) for name, shape in shapes(width, len(self.features)).items()}
        return Network(**arrays)


QUEUE = Inputs(
    environment="queue",
    features=FEATURES,
    heuristic="assignment",
    prior="planned_action",
    slope="plan_change_share",
)
DISPATCH = Inputs(
    environment="dispatch",
    features=DISPATCH_FEATURES,
    heuristic="predictor_greedy",
    prior="greedy_action",
    slope="over_cheapest",
)
INPUTS = {inputs.environment: inputs for inputs in (QUEUE, DISPATCH)}


def initial_network(
    width: int, rng: np.random.Generator, *, prior: float = 2.0, slope: float = 0.0, inputs: Inputs = QUEUE
) -> Network:
    """Return a network that decides as the heuristic of its inputs does: only its linear part is not 0.

    `prior` is the weight of the feature of that name, minus `slope` that of the other, with which a network for
    Dispatch-v0 decides by that. The layers are random (He et al. 2015), except the last one, which is 0.
    """
    drawn: dict[str, Any] = {
        name: rng.normal(0.0, np.sqrt(2.0 / shape[0]), shape) if len(shape) == 2 else np.zeros(shape)
        for name, shape in shapes(width, len(inputs.features)).items()
    }
    drawn["skip"][inputs.features.index(inputs.slope)] = 0.0 - slope
    drawn["skip"][inputs.features.index(inputs.prior)] = prior
    return Network(**drawn)


def made_for(inputs: Inputs = QUEUE) -> dict[str, Any]:
    """Return the fields of a file that say which inputs its weights are for."""
    return {
        "environment": inputs.environment,
        "observation_version": OBSERVATION_VERSION,
        "features": list(inputs.features),
    }


def network_of(source: str, arrays: Mapping[str, Any], about: Mapping[str, Any]) -> Network:
    """Return the network of a file's arrays; `about` says what they were made for (`made_for`).

    Features are found by name: the file's rows of w1 and entries of skip go to the present columns of the same names,
    and columns that are not in the file get weight 0. Raise FileFormatError, naming the source, if the file reads an
    unknown feature, was made for other inputs, or lacks arrays or holds invalid ones.
    """
    known = {"environment": tuple(INPUTS), "observation_version": (OBSERVATION_VERSION,)}
    for name, values in known.items():
        if about.get(name) not in values:
            read = " and ".join(map(repr, values))
            raise FileFormatError(f"{source}: weights are for {name} {about.get(name)!r}, this version reads {read}")
    features = INPUTS[about["environment"]].features
    columns = _columns(source, about.get("features"), features)
    names = {field.name for field in fields(Network)}
    if missing := sorted(names - set(arrays)):
        raise FileFormatError(f"{source}: must hold {', '.join(sorted(names))}; {', '.join(missing)} not found")
    try:
        placed = {name: _placed(name, arrays[name], columns, len(features)) for name in BY_FEATURE}
        return Network(**{name: placed[name] if name in placed else arrays[name] for name in names})
    except (ConfigError, ValueError, TypeError, RuntimeError) as error:
        raise FileFormatError(f"{source}: {error}") from None


def _columns(source: str, features: Any, known: tuple[str, ...]) -> list[int]:
    """Return the column, among the features `known`, of each one that a file names."""
    if not isinstance(features, list) or not features or len({*map(str, features)}) < len(features):
        raise FileFormatError(f"{source}: features must be a list of names that differ, got {features!r:.80}")
    for name in features:
        if name not in known:
            hint = did_you_mean(name, known)
            raise FileFormatError(
                f"{source}: weights read the feature {name!r}, which this version does not have{hint}"
            )
    return [known.index(name) for name in features]


def _placed(name: str, value: Any, columns: list[int], features: int) -> FloatArray:
    """Expand an array [f, ...] of a file's features to all features [F, ...], with 0 for those not in the file."""
    given = number_array("network", name, value, np.float32)
    if given.shape[:1] != (len(columns),):
        raise ConfigError(
            f"network: {name} must have a row for each of {len(columns)} features, got {list(given.shape)}"
        )
    placed = np.zeros((features, *given.shape[1:]), np.float32)
    placed[columns] = given
    return placed


def save_network(path: Path, network: Network, card: Mapping[str, Any], inputs: Inputs = QUEUE) -> None:
    """Write weights of these inputs and their card (JSON values) to an .npz file without pickles.

    Raise ConfigError if the network does not read them.
    """
    inputs.check(network)
    arrays = {field.name: getattr(network, field.name) for field in fields(network)}
    store.save(path, store.WEIGHTS, {**made_for(inputs), **card}, arrays)


def load_network(path: Path) -> tuple[Network, dict[str, Any]]:
    """Return the network and the card of a weights file; no code in the file is executed.

    Raise FileFormatError if it is no weights file or is truncated, and for the reasons given at `network_of`.
    """
    stored = store.load(path, store.WEIGHTS)
    return network_of(stored.source, stored.arrays, stored.manifest), stored.manifest
