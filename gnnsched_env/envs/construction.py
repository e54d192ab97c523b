"""Build a batch of environments from a scenario and options, for both the single and the vector environment."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gymnasium.envs.registration import EnvSpec

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.envs.env_batch import EnvBatch
from gnnsched_env.scenario import (
    EnvironmentOptions,
    Scenario,
    job_source,
    load_scenario,
    scenario_table,
    simulation_settings,
)
from gnnsched_env.sim import SimulationSettings
from gnnsched_env.sim.feed import CAPACITY
from gnnsched_env.sim.records import JOB, QUEUED
from gnnsched_env.tables import LatencyTable

# Options that mean nothing in Dispatch-v0, with the values that a scenario for both environments may have there.
QUEUE_ONLY = {"window": (1, EnvironmentOptions().window), "window_order": ("arrival",), "waiting": ("free",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Construction:
    """A scenario with its options applied and the batch of environments made from it."""

    scenario: Scenario
    batch: EnvBatch
    reward_unit_cycles: float


class PlainSpec:
    """Environments whose specification (`spec`, which Gymnasium sets) JSON can hold."""

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """The specification that the environment was made from, a Scenario in it as what `Scenario.to_dict` returns.

        A scenario with a table of its own stays as it is: JSON cannot hold it.
        """
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        if spec is not None and "scenario" in spec.kwargs:
            spec = copy(spec)
            spec.kwargs = {**spec.kwargs, "scenario": _plain(spec.kwargs["scenario"])}
        self._spec = spec


def _plain(scenario: Any) -> Any:
    """Return a scenario, or several, as JSON has them, where it can hold them."""
    if isinstance(scenario, list | tuple):
        return [_plain(one) for one in scenario]
    return scenario.to_dict() if isinstance(scenario, Scenario) and scenario.table is None else scenario


def make_batch(
    scenario: str | Path | Scenario | Mapping[str, Any],
    *,
    dispatch: bool,
    lanes: int = 1,
    threads: int = 1,
    table: LatencyTable | None = None,
    options: Mapping[str, Any] | None = None,
) -> Construction:
    """Return the batch of `lanes` environments of a scenario (a name, a file's path, a Scenario, or its `to_dict`).

    `options` are those of `Scenario.with_options`; None leaves the scenario's own. `table` (of one inference) replaces
    its latencies. `threads` share the lanes of a step. Raise ConfigError, naming the option, the rule and the value, if
    one is invalid.
    """
    options = dict(options or {})
    if dispatch and (options.get("window") not in (None, 1) or options.get("window_order") not in (None, "arrival")):
        raise ConfigError("Dispatch-v0 shows the arriving job only: window and window_order belong to Queue-v0")
    if dispatch and options.get("waiting") not in (None, "free"):
        raise ConfigError("Dispatch-v0 sends each job when it arrives: waiting belongs to Queue-v0")
    chosen = load_scenario(scenario)
    if table is not None:
        chosen = replace(chosen, table=table)
    chosen = chosen.with_options(**options)
    for name, harmless in QUEUE_ONLY.items() if dispatch else ():
        if (value := getattr(chosen.environment, name)) not in harmless:
            raise ConfigError(f"Dispatch-v0 sends each job when it arrives: {name} belongs to Queue-v0, got {value!r}")
    inference = scenario_table(chosen)
    settings = simulation_settings(chosen, inference, dispatch=dispatch)
    try:
        batch = scenario_batch(
            chosen, inference, settings, lanes=lanes, threads=threads, observation=chosen.environment.observation
        )
    except MemoryError:
        needed = lanes * settings.jobs * (JOB.itemsize + QUEUED.itemsize) / 2**30
        raise ConfigError(
            f"environment: {lanes:,} lanes of {settings.jobs:,} jobs need {needed:,.0f} GiB or more, which are not "
            "free: take fewer lanes or jobs"
        ) from None
    return Construction(scenario=chosen, batch=batch, reward_unit_cycles=settings.unit)


def scenario_batch(
    scenario: Scenario,
    table: LatencyTable,
    settings: SimulationSettings,
    *,
    lanes: int = 1,
    threads: int = 1,
    capacity: int = CAPACITY,
    observation: str = "dict",
) -> EnvBatch:
    """Return a batch on a scenario's fleet; jobs of a trace are read from it, with at most `capacity` held at once.

    `table` holds the cycles of one inference. `observation` is what agents are shown, whatever the scenario says.
    """
    reconfiguration = [accelerator.reconfiguration_cycles for accelerator in scenario.fleet.accelerators]
    source = job_source(scenario)
    return EnvBatch(
        table,
        settings,
        lanes=lanes,
        reconfiguration=reconfiguration,
        threads=threads,
        source=source,
        capacity=capacity,
        observation=observation,
        intervals=scenario.environment.intervals,
    )
