"""What a critic sees of a lane besides its rows, jobs still to come included (compiled)."""

import numpy as np

from gnnsched_env.common.compiled import bare_kernel

HORIZONS = (4.0, 15.0, 60.0)  # horizons of future arrivals that a critic may see, in mean services
INSIGHTS = (  # inputs of the critic about a lane, besides its rows
    "jobs",  # jobs in the system, over 32
    "log_jobs",  # log2(1 + jobs) / 4
    "work",  # smallest predicted latencies of the waiting jobs, over 64 mean services
    "log_work",  # log2(1 + work / unit) / 4
    "running",  # believed remaining time of the accelerators, over their number, log2(1 + time / unit) / 4
    "load",
    "left",  # share of the jobs that are still to come
    "near_end",  # jobs still to come, n / (n + 64)
    *(f"{what}_{horizon:g}" for horizon in HORIZONS for what in ("jobs", "work")),  # jobs within each horizon
)
NUM_INSIGHTS = len(INSIGHTS)
NUM_PRESENT = NUM_INSIGHTS - 2 * len(HORIZONS)  # number of the insights that do not look ahead


@bare_kernel
def see(lanes, accelerators, jobs, classes, unit, load, horizons, insights):
    """Write the INSIGHTS of each lane, float32 [L, NUM_INSIGHTS]; the records are those of `Simulation`."""
    for i in range(len(lanes)):
        lane, row = lanes[i], insights[i]
        fleet, total = accelerators.shape[1], jobs.shape[1]
        system = lane["waiting"] + lane["running"]
        remaining = 0.0
        for a in range(fleet):
            if accelerators[i, a]["job"] >= 0:
                remaining += max(0, accelerators[i, a]["believed_finish"] - lane["time"])
        left = total - lane["arrived"]
        row[0] = system / 32.0
        row[1] = 0.25 * np.log2(1.0 + system)
        row[2] = lane["waiting_work"] / unit / 64.0
        row[3] = 0.25 * np.log2(1.0 + lane["waiting_work"] / unit)
        row[4] = 0.25 * np.log2(1.0 + remaining / fleet / unit)
        row[5] = load
        row[6] = left / total
        row[7] = left / (left + 64.0)
        job, count, work = lane["cursor"], 0.0, 0.0
        for h in range(len(horizons)):
            until = lane["time"] + horizons[h] * unit
            while job < total and jobs[i, job]["arrival"] <= until:
                count += 1.0
                work += classes[jobs[i, job]["job_class"]]["shortest"]
                job += 1
            row[8 + 2 * h] = count / horizons[h] / fleet
            row[9 + 2 * h] = work / unit / horizons[h] / fleet
