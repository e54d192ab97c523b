"""min_min: plan the waiting jobs by smallest believed completion, and start what the plan starts now."""

from gnnsched_baselines.actions import send_planned
from gnnsched_baselines.list_planning import first_starts
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout


class MinMin:
    """Repeatedly plan the (job, accelerator) pair of smallest believed completion, including busy accelerators.

    The first planned job whose accelerator is idle, with nothing planned there before it, starts; if there is none,
    wait. Ties take the oldest job, then the lowest accelerator.
    """

    name = "min_min"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"queue"})
    choices = None

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        return send_planned(self.layout, observation, mask, first_starts, False)
