"""static_best: the one dataflow that was best in hindsight."""

from gnnsched_baselines.static import Static, dataflow_choices
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import Knowledge, Routing
from gnnsched_env.envs import Layout
from gnnsched_env.sim import policy_capacity
from gnnsched_env.tables import LatencyTable


class StaticBest(Static):
    """`static` under the dataflow that sustains the highest rate on this workload, computed from the true latencies.

    A dataflow's rate is the sum, over the accelerators that support it, of 1 / (weighted mean true latency); ties take
    the dataflow of the lowest choice.
    """

    name = "static_best"
    knowledge = Knowledge.TRUE

    def __init__(self, layout: Layout, *, table: LatencyTable | None) -> None:
        if table is None:
            raise ConfigError(f"{self.name}: needs the latency table of the workload, got None")
        if table.choice_names != layout.choice_names:
            raise ConfigError(
                f"{self.name}: table must have the environment's choices {list(layout.choice_names)}, "
                f"got {list(table.choice_names)}"
            )
        dataflows = dataflow_choices(layout.choice_names).values()
        best = max(dataflows, key=lambda own: policy_capacity(table, routing=Routing.BLIND, choices=own))
        super().__init__(layout, choice=best[0])
