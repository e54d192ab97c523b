"""sjf: the shortest job first."""

from gnnsched_baselines.actions import send_pairs, shortest_pairs
from gnnsched_baselines.decoding import read_beliefs
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout


class ShortestJobFirst:
    """Take the legal (job, choice) of smallest predicted latency; never wait. Ties take the lowest action.

    In Dispatch-v0, where one job is to be placed, that is the choice that suits it best, whatever the backlog there.
    """

    name = "sjf"
    knowledge = Knowledge.PREDICTED
    environments = frozenset({"dispatch", "queue"})
    choices = None

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.routing = Routing.SHORTEST if layout.dispatch else Routing.FREE

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        beliefs = read_beliefs(observation, mask, self.layout)
        return send_pairs(self.layout, observation, mask, beliefs, shortest_pairs(beliefs))
