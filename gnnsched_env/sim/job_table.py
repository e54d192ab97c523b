"""The latency table of jobs: several inferences of one class each, and a class for jobs that came unpredicted."""

from dataclasses import replace

import numpy as np

from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.sim.records import JOB_BITS, JOB_LIMIT
from gnnsched_env.tables import LatencyTable

UNPREDICTED = "(not predicted)"  # the class that stands for jobs that came unpredicted


def job_table(table: LatencyTable, repeats: int) -> LatencyTable:
    """Return the table of jobs that are `repeats` inferences each: true, predicted and average latencies multiplied.

    Raise ConfigError if the true or predicted latency of a job is 2^40 cycles or more: policies cannot tell such
    latencies apart.
    """
    repeats = Integer(1).check("simulation", "repeats", repeats)
    _check_longest(table, repeats)
    if repeats == 1:
        return table
    return replace(
        table,
        true_cycles=table.true_cycles * repeats,
        predicted_cycles=table.predicted_cycles * repeats,
        mean_log_cycles=table.mean_log_cycles + np.log(repeats),
        energy_pj=None if table.energy_pj is None else table.energy_pj * repeats,
    )


def with_unpredicted(table: LatencyTable) -> LatencyTable:
    """Return the table with one class more, the last: what the scheduler takes a job for that came unpredicted.

    No job is drawn from it. Its latencies are those of an average job (`mean_log_cycles`), all that is known without
    predictions.
    """
    average = np.clip(np.rint(np.exp(table.mean_log_cycles)), 1, JOB_LIMIT - 1).astype(np.int64)[np.newaxis]
    energy = table.energy_pj
    return replace(
        table,
        true_cycles=np.concatenate([table.true_cycles, average]),
        predicted_cycles=np.concatenate([table.predicted_cycles, average]),
        weights=np.append(table.weights, 0.0),
        class_names=(*table.class_names, UNPREDICTED),
        class_groups=np.append(table.class_groups, 0),
        energy_pj=None if energy is None else np.concatenate([energy, np.exp(np.log(energy).mean(axis=0))[np.newaxis]]),
    )


def _check_longest(table: LatencyTable, repeats: int) -> None:
    """Raise ConfigError, naming the longest job, if policies could not tell its latency from longer ones."""
    true, predicted = int(table.true_cycles.max()), int(table.predicted_cycles.max())
    cycles, kind = (true, "true") if true >= predicted else (predicted, "predicted")
    if repeats * cycles < JOB_LIMIT:
        return
    held = table.true_cycles if true >= predicted else table.predicted_cycles
    place, choice = divmod(int(held.argmax()), held.shape[1])
    raise ConfigError(
        f"simulation: repeats must keep every job below 2^{JOB_BITS} cycles, the end of the scale on which policies "
        f"read times: at most {(JOB_LIMIT - 1) // cycles:,} inferences of up to {cycles:,} cycles ({kind}, of class "
        f"{table.class_names[place]!r} under {table.choice_names[choice]!r}), got {repeats!r}, which make "
        f"{repeats * cycles:,}"
    )
