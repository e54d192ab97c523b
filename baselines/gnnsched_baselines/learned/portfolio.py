"""A portfolio of trained policies, of which the one plays that suits a workload best (algorithm selection, Rice 1976).

One network for all fleets is not the best on each. Which of several is the best on this one is found by playing, before
the first decision: all of them play the same episodes, drawn from what is known of the workload. After that, a decision
costs what it costs one network. What arrivals are like is not known: drawn ones are Poisson, at several loads.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gnnsched_baselines.decoding import given_table
from gnnsched_baselines.equal_hardware import hardware_of, pooled
from gnnsched_baselines.learned.pair_features import known_machines
from gnnsched_baselines.learned.pair_network import Network
from gnnsched_baselines.learned.player import Player
from gnnsched_baselines.learned.trained_policy import TrainedPolicy
from gnnsched_env.common import store
from gnnsched_env.common.disk_cache import cached, content_key
from gnnsched_env.common.kernel_cache import sources_folder
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout
from gnnsched_env.envs.env_batch import EnvBatch
from gnnsched_env.sim import SimulationSettings, Split, episode_metrics, fleet_capacity
from gnnsched_env.tables import ERROR_LEVELS, LatencyTable
from gnnsched_env.tables.kinds import counted
from gnnsched_env.tables.shrinkage import expected_cycles
from gnnsched_env.tables.table import CYCLE_LIMIT

LOADS = (0.5, 0.8, 0.95)
EPISODES, JOBS = 8, 500  # at each load
MORE_EPISODES, CLOSE = 24, 0.03  # of those whose costs are so close to the best
FIRST_SEED = 1 << 41  # of the episodes, which are no training's and nobody's results
SURE = 2.0  # standard errors by which another must be better than the first one, which knows more fleets
_found: dict[str, Mapping[str, NDArray[np.float64]]] = {}  # of this process, also where nothing can be kept on disk


class Portfolio:
    """Play as the network that is best in episodes drawn from the workload's table; `chosen` is its name.

    Nothing but the table's predictions and their known errors is read, and one network plays all lanes: no lane's
    decisions depend on another's.
    """

    name = "agent"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"queue"})
    choices = None

    def __init__(
        self, layout: Layout, *, table: LatencyTable | None, networks: Mapping[str, Network], kinds: Mapping[str, int]
    ) -> None:
        """Choose among `networks`, by their names, for environments of a layout; `table` is of a job.

        Those in `kinds` were trained for fleets of so many kinds of accelerators at most, and play no others.
        The first one plays unless another is better beyond doubt. Raise ConfigError as `TrainedPolicy` does.
        """
        table = given_table(self.name, table)
        first, *_ = networks
        self._policy = TrainedPolicy(layout, table=table, network=networks[first])  # before any work: it checks
        number = int(hardware_of(table).max()) + 1
        fitting = {name: network for name, network in networks.items() if number <= kinds.get(name, number)}
        networks = fitting if table.num_accelerators > 1 else {first: networks[first]}  # it plays `sjf` on a single one
        gains, errors = drawn_gains(table, networks, layout.window)
        sure = np.where(gains > SURE * errors, gains, 0.0)
        self.chosen = [*networks][int(sure.argmax())]
        if self.chosen != first:
            self._policy = TrainedPolicy(layout, table=table, network=networks[self.chosen])

    @property
    def network(self) -> Network:
        """Return the network that plays."""
        return self._policy.network

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        return self._policy.act(observation, mask)


def drawn_gains(
    table: LatencyTable, networks: Mapping[str, Network], window: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how much better than the first one the networks are, and the standard errors, float64 [n] each.

    A gain is the mean of log(first one's mean completion time / the network's) over drawn episodes at LOADS. All play
    `EPISODES` at each load; then those that are `CLOSE` to the best, and the first one, play others, and more of them,
    which alone count. Of those that do not, the gain is 0. The results are kept on disk for the next time.
    """

    def play() -> dict[str, NDArray[np.float64]]:
        known, all_networks = imagined(table), list(networks.values())
        costs = _costs(known, all_networks, window, EPISODES).mean(axis=1)
        close = [i for i, cost in enumerate(costs) if i == 0 or cost <= costs.min() + CLOSE]
        gains, errors = np.zeros((2, len(costs)))
        if len(close) > 1:
            again = _costs(known, [all_networks[i] for i in close], window, MORE_EPISODES)
            differences = again[0] - again
            gains[close] = differences.mean(axis=1)
            errors[close] = differences.std(axis=1, ddof=1) / np.sqrt(again.shape[1])
        return {"gains": gains, "errors": errors}

    weights = [
        store.digest({}, {field.name: getattr(network, field.name) for field in fields(network)})
        for network in networks.values()
    ]
    drawn = (LOADS, EPISODES, JOBS, MORE_EPISODES, CLOSE, FIRST_SEED)
    code = sources_folder(__name__)
    key = content_key(what="portfolio", table=table.digest(), weights=weights, window=window, drawn=drawn, code=code)
    if key not in _found:
        _found[key] = cached(key, ("gains", "errors"), play)
    return _found[key]["gains"], _found[key]["errors"]


def _costs(table: LatencyTable, networks: Sequence[Network], window: int, episodes: int) -> NDArray[np.float64]:
    """Return the logarithms of the networks' mean completion times in each of the drawn episodes, float64 [n, E]."""
    rate = fleet_capacity(table.true_cycles, table.weights, table.choice_accelerators).rate
    costs = np.empty((len(networks), len(LOADS), episodes))
    for at, load in enumerate(LOADS):
        mean_gap, unit = 1.0 / (load * rate), table.mean_shortest_predicted
        settings = SimulationSettings(mean_gap=mean_gap, unit=unit, jobs=JOBS, window=window, split=Split.TRAIN)
        batch = EnvBatch(table, settings, lanes=episodes)
        for i, network in enumerate(networks):
            batch.reset(range(FIRST_SEED + episodes, FIRST_SEED + 2 * episodes))
            batch.simulation.play(_player(batch, network))
            costs[i, at] = np.log(episode_metrics(batch.simulation).completion.mean(axis=1))
    return costs.reshape(len(networks), -1)


def _player(batch: EnvBatch, network: Network) -> Callable[[], IntArray]:
    """Return what decides for a batch's simulation as its observations say."""
    table = batch.simulation.table
    groups, machines = _known(table, pools=network.pools)
    known = (machines, float(table.mean_shortest_predicted), network.read)
    return Player(batch.simulation, batch.layout, *known, groups=groups, pools=network.pools).act


_known = lru_cache(maxsize=2)(known_machines)


def imagined(table: LatencyTable) -> LatencyTable:
    """Return a table in which what is expected is true, with predictions that err as those of the table are known to.

    Equal hardware takes equally long. Errors are drawn from the quantiles `log_errors`: for each class and choice, or,
    where predictions have no noise of their own, for each class and hardware. Their medians, what predictions are wrong
    by on the whole, are taken out of the truth, so that predictions are of the size of the table's.
    """
    hardware = np.array(counted(table.pair_keys or range(table.num_choices)), np.int64)
    expected = expected_cycles(table).astype(np.float64)
    if table.log_errors is not None:
        expected = expected * np.exp(np.median(table.log_errors, axis=0))
    true = np.clip(np.rint(pooled(expected, hardware)), 1, CYCLE_LIMIT - 1).astype(np.int64)
    if table.log_errors is None:
        return replace(table, true_cycles=true, predicted_cycles=true, noise=0.0)
    levels = np.random.default_rng(FIRST_SEED).uniform(size=true.shape)
    levels = levels if table.noise else levels[:, hardware]
    drawn = [np.interp(own, ERROR_LEVELS, logs) for own, logs in zip(levels.T, table.log_errors.T, strict=True)]
    predicted = np.clip(np.rint(true / np.exp(np.stack(drawn, axis=1))), 1, CYCLE_LIMIT - 1).astype(np.int64)
    return replace(table, true_cycles=true, predicted_cycles=predicted)
