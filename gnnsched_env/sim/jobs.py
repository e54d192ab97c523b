"""Jobs: what a job's latencies are, given those of one inference of its class."""

from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from gnnsched_env.errors import ConfigError
from gnnsched_env.tables import LatencyTable
from gnnsched_env.tables.table import CYCLE_LIMIT


def job_table(table: LatencyTable, repeats: int) -> LatencyTable:
    """Return the table of jobs that are `repeats` inferences each: true, predicted and average latencies multiplied.

    Raise ConfigError where a job could take 2^50 cycles or more.
    """
    require_count("repeats", repeats, minimum=1)
    if repeats == 1:
        return table
    repeats = int(repeats)
    longest = max(int(table.true_cycles.max()), int(table.predicted_cycles.max()))
    if repeats * longest >= CYCLE_LIMIT:
        raise ConfigError(
            f"simulation: repeats must keep every job below 2^50 cycles: at most {(CYCLE_LIMIT - 1) // longest:,} "
            f"inferences of up to {longest:,} cycles, got {repeats!r}"
        )
    return replace(
        table,
        true_cycles=table.true_cycles * repeats,
        predicted_cycles=table.predicted_cycles * repeats,
        mean_log_cycles=table.mean_log_cycles + np.log(repeats),
    )


def require_count(name: str, value: Any, *, minimum: int) -> None:
    """Raise ConfigError unless a setting is an integer of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < minimum:
        raise ConfigError(f"simulation: {name} must be an integer of at least {minimum}, got {value!r}")
