"""The one place that turns the simulator's state into observations and observations back into cycles.

Times are log2(1 + cycles) / 40, which saturates at 1 beyond 2^40 cycles (18 minutes at 1 GHz); read back in float32
they are right to three parts in a million. Counts are n / (n + W), W being the window. `kernels.py` writes what this
module reads; it is given beliefs only, never the true latencies.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import FloatArray, Observation
from gnnsched_env.envs.encoder import TIME_BITS
from gnnsched_env.envs.spaces import ACCELERATOR_FIELDS, INTERVALS, PAIR_FIELDS, SLOT_FIELDS, SYSTEM_FIELDS, Layout
from gnnsched_env.sim.records import NEVER

ENERGY_BITS = 60.0  # a picojoule to a megajoule


def encode_cycles(cycles: NDArray[np.int64] | NDArray[np.float64]) -> FloatArray:
    """Return log2(1 + cycles) / 40 as float32, at most 1."""
    codes: FloatArray = np.minimum(np.log2(1.0 + cycles) / TIME_BITS, 1.0).astype(np.float32)
    return codes


def encode_energy(picojoules: NDArray[np.float64]) -> FloatArray:
    """Return log2(1 + pJ) / 60 as float32, at most 1."""
    codes: FloatArray = np.minimum(np.log2(1.0 + picojoules) / ENERGY_BITS, 1.0).astype(np.float32)
    return codes


def decode_energy(codes: FloatArray) -> NDArray[np.float64]:
    """Return the picojoules that were encoded, as float64 (the inverse of `encode_energy`)."""
    return np.exp2(codes.astype(np.float64) * ENERGY_BITS) - 1.0


def decode_cycles(codes: FloatArray) -> NDArray[np.float64]:
    """Return the cycles that were encoded, as float64 (the inverse of `encode_cycles`)."""
    return np.exp2(codes.astype(np.float64) * TIME_BITS) - 1.0


def decode_counts(codes: FloatArray, window: int) -> NDArray[np.int64]:
    """Return the counts n that were encoded as n / (n + window)."""
    window = Integer(1, NEVER).check("decode_counts", "window", window)
    shares = np.minimum(codes.astype(np.float64), 1.0 - 1e-9)
    return np.rint(shares * window / (1.0 - shares)).astype(np.int64)


def by_column(values: FloatArray, layout: Layout) -> FloatArray:
    """Return a slot's values by choice, [..., choices], by the columns of its actions, [..., columns].

    Where an action names an accelerator and not a choice (dataflow="predicted_best"), its value is the least of the
    accelerator's choices: of latencies, that of the choice it gets.
    """
    if layout.choose_dataflow:
        return values
    owners = np.array(layout.choice_accelerators)
    columns = [values[..., owners == accelerator].min(axis=-1) for accelerator in range(layout.num_accelerators)]
    return np.stack(columns, axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Named views into a batch of observations: `slots`, `accelerators` and `system` by field name (no copies).

    `slots[name]` float32 [lanes, W], `latencies` float32 [lanes, W, choices] (encoded), `accelerators[name]` float32
    [lanes, A], `system[name]` float32 [lanes]; `energies`, `lows` and `highs` (the ends of intervals of latencies) as
    `latencies`, where they are shown.
    """

    slots: dict[str, FloatArray]
    latencies: FloatArray
    accelerators: dict[str, FloatArray]
    system: dict[str, FloatArray]
    energies: FloatArray | None = None
    lows: FloatArray | None = None
    highs: FloatArray | None = None


def unflatten(observation: Observation, layout: Layout) -> View:
    """Return named views into a batch of observations (arrays [lanes, n]); a single one [n] is a batch of one.

    Raise ConfigError if the observation is not the environments' "dict".
    """
    if not isinstance(observation, Mapping):
        raise ConfigError(
            f"unflatten: observation must be the 'dict' of arrays, got {type(observation).__name__} (the observation "
            f"{layout.observation!r}; pair_view reads 'pairs' and 'pairs_flat')"
        )
    system = observation["system"].reshape(-1, len(SYSTEM_FIELDS))
    slots = observation["slots"].reshape(-1, layout.window, len(SLOT_FIELDS))
    accelerators = observation["accelerators"].reshape(-1, layout.num_accelerators, len(ACCELERATOR_FIELDS))
    shown = {name: observation[name].reshape(-1, layout.window, layout.num_choices) for name in layout.by_choice}
    return View(
        slots={name: slots[:, :, k] for k, name in enumerate(SLOT_FIELDS)},
        latencies=shown["latencies"],
        energies=shown.get("energies"),
        lows=shown.get(INTERVALS[0]),
        highs=shown.get(INTERVALS[1]),
        accelerators={name: accelerators[:, :, k] for k, name in enumerate(ACCELERATOR_FIELDS)},
        system={name: system[:, k] for k, name in enumerate(SYSTEM_FIELDS)},
    )


def pair_view(observation: FloatArray, layout: Layout) -> dict[str, FloatArray]:
    """Return the features of the observation "pairs" or "pairs_flat" by name, float32 [..., actions], as views.

    The names are those of `PairFields`, which says what they mean; leading axes are kept. Raise ConfigError if the
    observation is another.
    """
    width = len(PAIR_FIELDS)
    shape = getattr(observation, "shape", ())
    for own in ((layout.num_actions, width), (layout.num_actions * width,)):
        if shape[-len(own) :] == own:
            rows = observation.reshape(*shape[: -len(own)], layout.num_actions, width)
            return {name: rows[..., k] for k, name in enumerate(PAIR_FIELDS)}
    expected = f"'pairs', [..., {layout.num_actions}, {width}], or 'pairs_flat', [..., {layout.num_actions * width}]"
    got = list(shape) if shape else type(observation).__name__
    raise ConfigError(f"pair_view: observation must be {expected}, got {got}")
