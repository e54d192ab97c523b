"""least_delay: each job goes where its own completion and the delay of those who come after it cost least together.

One step of policy improvement, in closed form, for queues that keep the order of arrival (Hyytiä, Penttinen and Aalto
2012, size- and state-aware dispatching), from the split of the jobs that the capacity program's prices suggest.
"""

import numpy as np

from gnnsched_baselines.actions import send_pairs
from gnnsched_baselines.decoding import given_table
from gnnsched_baselines.learned.dispatch_features import dispatch_fleet
from gnnsched_baselines.learned.dispatcher import read_arrivals
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout
from gnnsched_env.tables import LatencyTable


class LeastDelay:
    """Send the job where its completion plus the expected delay of later jobs in the same queue is smallest.

    A job that takes p cycles where w cycles of work are left delays by p cycles whoever joins that queue until it is
    done, and by p / 2 on average while it runs: r p (w + p / 2) in all, r being the rate at which jobs come there. That
    is the recent rate times the share of the jobs for which the accelerator is cheapest, latency times price
    (`learned.dispatch_features.share_of_jobs`); it is 0 once all jobs have come. Ties take the lowest accelerator.
    """

    name = "least_delay"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"dispatch"})
    choices = None

    def __init__(self, layout: Layout, *, table: LatencyTable | None) -> None:
        """Make the policy; `table` (of a job) holds the workload's predicted latencies.

        Raise ConfigError if the table is missing.
        """
        table = given_table(self.name, table)
        self.layout = layout
        self._shares = dispatch_fleet(table).shares / layout.num_accelerators

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        beliefs, seen = read_arrivals(observation, mask, self.layout)
        rates = (seen.to_come / np.maximum(seen.gap, 1.0))[:, np.newaxis] * self._shares
        costs = seen.waits + seen.latencies + rates * seen.latencies * (seen.waits + 0.5 * seen.latencies)
        chosen = np.where(seen.open, costs, np.inf).argmin(axis=1)
        return send_pairs(self.layout, observation, mask, beliefs, (np.zeros_like(chosen), chosen))
