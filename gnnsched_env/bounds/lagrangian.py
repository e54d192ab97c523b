"""A proved lower bound on the sum of completion times, for instances of any size: `lower_bound`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.bounds import bound_kernels as kernels
from gnnsched_env.bounds.instance import CycleArray, Instance, Plan, earliest_finish
from gnnsched_env.common.checks import Integer
from gnnsched_env.common.errors import ConfigError

FIRST_PARTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)  # initial prices over the number waiting
FIRST_BUCKETS = 128  # buckets of the coarsest prices, over the whole time
MOST_BUCKETS = 1 << 14
BUCKETS_A_JOB = 16  # buckets of the finest prices
FINEST_UNIT = 1 << 16
LARGEST = 1 << 62
MOST_ROUNDS = 10**6
MEMORY = 0.05  # weight of the newest occupancy in the running mean
FIRST_STEP, LARGEST_STEP = 0.3, 2.0  # factor of the Polyak step
PATIENCE = 20  # rounds without progress after which steps become shorter
SHORTER, LONGER = 0.8, 1.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prices:
    """The price of a cycle on each kind of accelerator over time, in 1 / `unit` cycles of delay.

    `values` int64 [kinds, B], at least 0: bucket b is from cycle b x `width` until (b + 1) x `width`; later cycles cost
    0. Accelerators on which every job takes equally long are of one kind (`kinds_of`).
    """

    values: CycleArray
    width: int
    unit: int

    def paid(self) -> CycleArray:
        """Return int64 [kinds, B + 1]: the integral of the prices from 0 until the start of each bucket."""
        totals = np.zeros((len(self.values), self.values.shape[1] + 1), np.int64)
        np.cumsum(self.values * self.width, axis=1, out=totals[:, 1:])
        return totals


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LowerBound:
    """A proved bound: no sum of completion times (end - release) is below `total` cycles; `prices` prove it."""

    total: int
    prices: Prices


def lower_bound(instance: Instance, plan: Plan | None = None, *, rounds: int = 1500) -> LowerBound:
    """Return a lower bound on the sum of completion times of every schedule of an instance.

    The relaxation: accelerators may run several jobs at a time, but a cycle of accelerator a at time t has a price
    l_a(t) >= 0. It is the Lagrangian relaxation of "one job at a time" in the time-indexed formulation (Dyer and
    Wolsey 1990), so the best prices give the bound of that formulation's linear relaxation.

    Proof. Take any schedule: job j runs on a_j from s_j >= r_j until e_j = s_j + p(j, a_j). No two jobs overlap on an
    accelerator, so all of them together pay at most the integral of all prices, I = sum over a of the integral of l_a
    over [0, oo), as l >= 0. Therefore

        sum of e_j  >=  sum over j of (e_j + integral of l_{a_j} over [s_j, e_j])  -  I
                    >=  sum over j of min over a, s >= r_j of (s + p(j, a) + integral of l_a over [s, s + p(j, a)])  - I

    The right side does not depend on the schedule; less the sum of r_j it is the bound. It holds for schedules with
    fractional start times too, and for those that wait, or do not use the best dataflows.

    Accelerators of one kind may share their prices: by symmetry this loses nothing.

    It is computed exactly. Prices are whole multiples of 1 / unit, constant between multiples of `width` and 0 after
    the last bucket. So for a job and an accelerator the minimised function of s is continuous and piecewise linear,
    with slope 1 after the last bucket: its minimum lies at s = r_j, or where s or s + p is a multiple of `width`. All
    of these are whole numbers; `cheapest` tries each that can be best, in int64 arithmetic that
    `_unit` keeps from overflowing; the sums are Python integers. The optimum being whole, the bound is rounded up.

    Prices are sought by the volume algorithm (Barahona and Anbil 2000), a subgradient ascent along a running mean of
    (occupancy - capacity), from coarse to fine buckets: each level starts from the best prices of the one before, its
    buckets halved. Any prices would do for the proof. `plan`: a good schedule, whose total the steps aim at. At most
    `rounds` a level.
    """
    rounds = Integer(1, MOST_ROUNDS).check("lower bound", "rounds", rounds)
    plan = earliest_finish(instance) if plan is None else plan
    plan.check(instance)
    return _Ascent(instance, plan).run(rounds)


class _Ascent:
    """The search for good prices of one instance."""

    def __init__(self, instance: Instance, plan: Plan) -> None:
        self.instance, self.plan = instance, plan
        self.target = float(plan.ends(instance).sum())
        self.horizon = int(plan.ends(instance).max())
        self.unit = _unit(instance, self.horizon)
        self.latency, self.kinds = kinds_of(instance)
        self.numbers = np.bincount(self.kinds)
        self.accelerators, self.starts, self.costs = np.zeros((3, instance.num_jobs), np.int64)

    def run(self, rounds: int) -> LowerBound:
        """Go through the levels; return the best bound and its prices."""
        finest = min(MOST_BUCKETS, BUCKETS_A_JOB * self.instance.num_jobs)
        levels = max(0, (max(1, finest // FIRST_BUCKETS)).bit_length() - 1)
        width = max(1, -(-self.horizon // (FIRST_BUCKETS << levels))) << levels
        prices = self._first_prices(width)
        for level in range(levels + 1):
            if level:
                width, prices = width // 2, np.repeat(prices, 2, axis=1)
            prices = self._climb(prices, width, rounds)
        found = self._whole(prices, width)
        total = -(-self._value(found) // self.unit) - int(self.instance.release.sum())
        return LowerBound(total=total, prices=found)

    def _first_prices(self, width: int) -> NDArray[np.float64]:
        """Return initial prices: the best share of the number of jobs that wait in the plan, on every accelerator."""
        buckets = -(-self.horizon // width)
        waits = self.plan.starts - self.instance.release
        waiting = np.zeros((1, buckets), np.int64)
        kernels.occupied(waits[:, np.newaxis], np.zeros_like(waits), self.instance.release, width, waiting)
        queue = np.repeat(waiting / width, len(self.numbers), axis=0)
        return max((part * queue for part in FIRST_PARTS), key=lambda prices: self._bound(prices, width))

    def _climb(self, prices: NDArray[np.float64], width: int, rounds: int) -> NDArray[np.float64]:
        """Return the best prices (cycles a cycle) that were found from the given ones, over buckets of a width."""
        best, best_prices = self._bound(prices, width), prices
        mean = self._overload(prices, width)
        step, failures = FIRST_STEP, 0
        for _ in range(rounds):
            direction = np.where((best_prices <= 0) & (mean < 0), 0.0, mean)
            length = float((direction**2).sum()) * width
            if length <= 0 or self.target - best < 0.5:  # no step is left, or the plan is proved optimal
                break
            tried = best_prices + step * (self.target - best) / length * direction
            tried = np.clip(tried, 0.0, self.instance.num_jobs)
            value = self._bound(tried, width)
            overload = self._overload(tried, width)
            if value > best:
                best, best_prices, failures = value, tried, 0
                if float((overload * mean).sum()) >= 0:
                    step = min(LARGEST_STEP, step * LONGER)
            else:
                failures += 1
                if failures == PATIENCE:
                    step, failures = step * SHORTER, 0
            mean += MEMORY * (overload - mean)
        return best_prices

    def _whole(self, prices: NDArray[np.float64], width: int) -> Prices:
        values = np.rint(prices * self.unit).astype(np.int64)
        return Prices(values=values, width=width, unit=self.unit)

    def _bound(self, prices: NDArray[np.float64], width: int) -> float:
        return self._value(self._whole(prices, width)) / self.unit

    def _value(self, prices: Prices) -> int:
        """Return the bound on the sum of ends, in 1 / unit cycles; the jobs' places stay in the search's arrays."""
        paid = prices.paid()
        jobs = (self.instance.release, self.latency)
        chosen = (self.accelerators, self.starts, self.costs)
        kernels.cheapest(*jobs, prices.values, paid, prices.width, prices.unit, *chosen)
        all_paid = sum(number * row for number, row in zip(self.numbers.tolist(), paid[:, -1].tolist(), strict=True))
        return int(sum(self.costs.tolist()) - all_paid)

    def _overload(self, prices: NDArray[np.float64], width: int) -> NDArray[np.float64]:
        """Return float64 [kinds, B]: the mean number of jobs placed in each bucket, minus the number allowed."""
        cycles = np.zeros(prices.shape, np.int64)
        kernels.occupied(self.latency, self.accelerators, self.starts, width, cycles)
        overload: NDArray[np.float64] = cycles / width - self.numbers[:, np.newaxis]
        return overload


def start_windows(instance: Instance, bound: LowerBound, total: int) -> tuple[CycleArray, CycleArray]:
    """Return (earliest, latest), int64 [n, A]: when jobs can start in schedules of at most a total completion time.

    earliest > latest if the job cannot run on the accelerator. Proof: the bound's second line, with one job's minimum
    replaced by what that job pays where it starts, is a lower bound on the schedules in which it starts there.
    """
    prices = bound.prices
    ascent = _Ascent(instance, earliest_finish(instance))
    value = ascent._value(prices)
    allowed = prices.unit * (total + int(instance.release.sum())) - value
    if allowed < 0:
        raise ConfigError(f"start_windows: no schedule of {instance.name!r} has a total of {total} cycles")
    limits = np.array([min(LARGEST, cost + allowed) for cost in ascent.costs.tolist()], np.int64)
    earliest, latest = np.zeros((2, *ascent.latency.shape), np.int64)
    jobs = (instance.release, ascent.latency)
    kernels.windows(*jobs, prices.values, prices.paid(), prices.width, prices.unit, limits, earliest, latest)
    return earliest[:, ascent.kinds], latest[:, ascent.kinds]


def kinds_of(instance: Instance) -> tuple[CycleArray, CycleArray]:
    """Return the latencies on each kind of accelerator, int64 [n, kinds], and each accelerator's kind, int64 [A]."""
    columns, kinds = np.unique(instance.latency, axis=1, return_inverse=True)
    return np.ascontiguousarray(columns), kinds.astype(np.int64)


def _unit(instance: Instance, horizon: int) -> int:
    """Return the finest unit of prices for which no number exceeds 2^62; prices are at most n."""
    longest = 2 * (max(horizon, int(instance.release.max())) + int(instance.latency.max()) + MOST_BUCKETS)
    unit = FINEST_UNIT
    while unit and unit * longest * (instance.num_jobs + 2) >= LARGEST:
        unit //= 2
    if not unit:
        raise ConfigError(
            f"lower bound: {instance.num_jobs} jobs until cycle {longest // 2:,} are more than int64 holds"
        )
    return unit
