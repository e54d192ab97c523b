"""Several worlds played as one endless batch of lanes: their observations for a training, and their steps.

A lane whose episode ends starts its next one at once. Worlds start with their lanes at moments spread over an episode,
and are replaced in turn, so that loads and workloads change.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_agents.lane_insights import HORIZONS, NUM_INSIGHTS, see
from gnnsched_agents.worlds import Workloads, World, make_world, training_scenario
from gnnsched_baselines.learned.pair_network import Network
from gnnsched_baselines.learned.player import Reader, row_actions
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import FloatArray, IntArray
from gnnsched_env.sim import Simulation

SPREAD = 2.0  # lanes start within this many decisions per job


class Lanes:
    """`worlds` worlds of `lanes` lanes each, L in all; world w has the lanes from w x lanes on.

    Attributes after `describe`: `rows` float32 [n, F] and `starts` int64 [L + 1] as a Reader's, `insights` float32
    [L, NUM_INSIGHTS], which holds what policies may not see: a critic's view.
    """

    def __init__(
        self, workloads: Workloads, worlds: int, lanes: int, rng: np.random.Generator, network: Network
    ) -> None:
        self.workloads = workloads
        self.rng = rng
        self.lanes_each = lanes
        self.drawn = [(0, 0.0)] * worlds  # set and load of each world
        self.worlds: list[World] = [None] * worlds  # type: ignore[list-item]
        self.readers: list[Reader] = [None] * worlds  # type: ignore[list-item]
        self.rows: FloatArray = np.empty((0, 0), np.float32)
        self.starts: IntArray = np.zeros(worlds * lanes + 1, np.int64)
        self.insights: FloatArray = np.zeros((worlds * lanes, NUM_INSIGHTS), np.float32)
        for number in range(worlds):
            self.redraw(number, network)

    def __len__(self) -> int:
        return len(self.worlds) * self.lanes_each

    def redraw(self, number: int, network: Network) -> None:
        """Replace a world by a new one, whose lanes `network` first plays up to moments spread over an episode."""
        drawn = self.workloads.draw(self.rng), float(self.rng.uniform(*self.workloads.loads))
        world = self._place(number, *drawn)
        world.reset(int(self.rng.integers(1 << 62)))
        act = world.actor(network)
        steps = int(SPREAD * self.workloads.jobs)
        starts = self.rng.integers(steps, size=self.lanes_each)
        for step in range(steps):
            world.simulation.step(act())
            restart(world.simulation, (starts == step) | world.simulation.lanes["ended"].astype(np.bool_))

    def describe(self) -> None:
        """Write `rows`, `starts` and `insights` of all lanes."""
        first, lanes, counts = 0, self.lanes_each, []
        for number, reader in enumerate(self.readers):
            own = slice(number * lanes, (number + 1) * lanes)
            counts.append(self.describe_world(number, self.insights[own]))
            self.starts[own] = reader.starts[:-1] + first
            first += counts[-1]
        self.starts[-1] = first
        parts = zip(self.readers, counts, strict=True)
        self.rows = np.concatenate([reader.rows[:count] for reader, count in parts])

    def describe_world(self, number: int, insights: FloatArray) -> int:
        """Write the rows and `starts` of a world's reader, and its lanes' `insights`; return the number of rows."""
        world, reader = self.worlds[number], self.readers[number]
        simulation = world.simulation
        see(
            simulation.lanes, simulation.accelerators, simulation.jobs, simulation.classes,
            world.unit, world.load, HORIZONS, insights,
        )  # fmt: skip
        return reader.describe()

    def step(self, chosen: IntArray) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """Take the actions of the chosen rows [L]; return rewards, elapsed mean services (float32 [L]) and ends.

        A lane whose episode ended is now at the first decision of its next episode.
        """
        rewards, elapsed = np.empty((2, len(self)), np.float32)
        ended = np.empty(len(self), np.bool_)
        for number in range(len(self.worlds)):
            own = slice(number * self.lanes_each, (number + 1) * self.lanes_each)
            rewards[own], elapsed[own], ended[own] = self.step_world(number, chosen[own] - self.starts[own.start])
        return rewards, elapsed, ended

    def step_world(self, number: int, chosen: IntArray) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """Do as `step` for a world's lanes alone; `chosen` int64 [lanes] are rows among the world's own."""
        world, reader = self.worlds[number], self.readers[number]
        lanes = world.simulation.lanes
        world.simulation.step(row_actions(world.layout, reader.pairs[chosen]))
        rewards, elapsed = lanes["reward"].astype(np.float32), (lanes["elapsed"] / world.unit).astype(np.float32)
        ended = lanes["ended"].astype(np.bool_)
        restart(world.simulation, ended)
        return rewards, elapsed, ended

    def state(self) -> list[dict[str, Any]]:
        """Return everything that the worlds' future depends on, except `rng`; arrays are stored as bytes."""
        return [
            {
                "drawn": drawn,
                "arrays": [_bytes(array) for array in _changing(world.simulation)],
            }
            for drawn, world in zip(self.drawn, self.worlds, strict=True)
        ]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Restore what `state` returned for the same number of worlds; raise ConfigError if it does not fit."""
        if len(state) != len(self.worlds):
            raise ConfigError(f"lanes: the state must have {len(self.worlds)} worlds, got {len(state)}")
        for number, kept in enumerate(state):
            simulation = self._place(number, *kept["drawn"]).simulation
            for array, value in zip(_changing(simulation), kept["arrays"], strict=True):
                _fill(array, value)

    def _place(self, number: int, chosen: int, load: float) -> World:
        scenario = training_scenario(self.workloads, chosen)
        world = make_world(self.workloads, scenario, load, self.lanes_each, dataflow="predicted_best")
        self.drawn[number] = (chosen, load)
        self.worlds[number] = world
        self.readers[number] = world.reader()
        return world


def restart(simulation: Simulation, which: NDArray[np.bool_]) -> None:
    """Start the next episode of the lanes where `which` [L] is True."""
    if which.any():
        simulation.reset(simulation.seeds.copy(), simulation.episodes + np.uint64(1), which)


def _changing(simulation: Simulation) -> list[NDArray[Any]]:
    """Return the arrays of a simulation that change as it runs."""
    kept = (simulation.lanes, simulation.accelerators, simulation.jobs, simulation.queue, simulation.aborted)
    return [*kept, simulation.seeds, simulation.episodes, *simulation.predictor]


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1).copy()


def _fill(array: NDArray[Any], kept: NDArray[np.uint8]) -> None:
    if kept.size != array.nbytes:
        raise ConfigError(f"lanes: the state must hold {array.nbytes:,} bytes in an array, got {kept.size:,}")
    array[...] = np.frombuffer(np.ascontiguousarray(kept).tobytes(), array.dtype).reshape(array.shape)
