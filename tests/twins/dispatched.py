"""The slow, obvious twin of what trained dispatchers read: one lane, plain lists."""

from math import inf

from gnnsched_baselines.learned.dispatch_features import GAPS, LEAST_PRICE
from gnnsched_baselines.learned.pair_features import MACHINE
from tests.twins.trained import logarithm, signed

DELAYS = ("next_arrival", "later_arrival", "distant_arrival", "last_arrival")


def dispatch_rows(latencies, waits, jobs, open_ones, *, to_come, gap, machines, shares, unit):
    """Return [(features by name, accelerator)], a row for each open accelerator, by number.

    `machines` as of `machine_features`; `shares` of the jobs that are cheapest on each accelerator, times their number.
    """
    gap, number = max(gap, 1.0), len(waits)
    fleet = [a for a in range(number) if open_ones[a]]
    done = {a: waits[a] + latencies[a] for a in fleet}
    smallest, soonest = min(latencies[a] for a in fleet), min(done.values())
    paid = {a: latencies[a] * max(LEAST_PRICE, machines[a][MACHINE.price]) for a in fleet}
    blocking = {a: shares[a] / number / gap * latencies[a] * (waits[a] + latencies[a] / 2) for a in fleet}
    typical = [min(own[k] for own in machines) for k in range(MACHINE.typical, len(machines[0]))]
    shared = {
        "best_latency": logarithm(smallest / unit),
        "smaller_jobs": sum(own < smallest for own in typical) / len(typical),
        "smaller_work": sum(own for own in typical if own < smallest) / sum(typical),
        "soonest": logarithm(soonest / unit),
        "backlog": signed(sum(waits) / number, unit),
        "free": sum(wait == 0 for wait in waits) / number,
        "load": min(2.0, 1 / gap / machines[0][MACHINE.rate]),
        "to_come": float(to_come),
        "spread": machines[0][MACHINE.spread],
    }
    found = []
    for a in fleet:
        others = [b for b in fleet if b != a]
        late = done[a] - soonest
        row = {
            "greedy_action": float(a == min(fleet, key=lambda b: (done[b], b))),
            "over_soonest": logarithm(done[a] / soonest),
            "late_share": late / (late + smallest),
            "elsewhere": logarithm(min(done[b] for b in others) / done[a]) if others else 3.0,
            "latency": logarithm(latencies[a] / unit),
            "regret": logarithm(latencies[a] / smallest),
            "wait": signed(waits[a], unit),
            "completion": signed(done[a], unit),
            "jobs_here": jobs[a] / (jobs[a] + 4),
            "mean_here": signed(waits[a] / max(1, jobs[a]), unit),
            "free_here": float(waits[a] == 0),
            "arrivals_meanwhile": signed(done[a], gap),
            "paid": logarithm(paid[a] / unit),
            "paid_regret": logarithm(paid[a] / min(paid.values())),
            "blocking": signed(blocking[a], unit),
            "over_cheapest": logarithm((done[a] + blocking[a]) / min(done[b] + blocking[b] for b in fleet)),
            "price": machines[a][MACHINE.price],
            "slowness": machines[a][MACHINE.slowness],
            "preferred": machines[a][MACHINE.preferred],
            "share": shares[a],
            "shorter_waits": sum(waits[b] < waits[a] for b in others) / max(1, len(others)),
            "shorter_latencies": sum(latencies[b] < latencies[a] for b in others) / max(1, len(others)),
        }
        for name, gaps in zip(DELAYS, GAPS, strict=True):
            row[name] = signed(mean_delay(a, waits, done[a], fleet, gaps * gap, machines), unit)
        found.append(({**row, **shared}, a))
    return found


def mean_delay(a, waits, busy, fleet, after, machines):
    """Return by how much later typical jobs that come after some cycles are done if accelerator a is busy so long."""
    delays = []
    for k in range(MACHINE.typical, len(machines[0])):
        soonest = {}
        for name, wait in (("before", waits[a]), ("then", busy)):
            soonest[name] = min(
                (max(0.0, (wait if b == a else waits[b]) - after) + machines[b][k] for b in fleet), default=inf
            )
        delays.append(soonest["then"] - soonest["before"])
    return sum(delays) / len(delays)
