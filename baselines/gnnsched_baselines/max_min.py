"""max_min: plan the waiting jobs by largest believed completion, and start what the plan starts now."""

from gnnsched_baselines.actions import send_planned
from gnnsched_baselines.list_planning import first_starts
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs import Layout


class MaxMin:
    """Repeatedly plan the job whose earliest believed completion is the latest, on the accelerator of that completion.

    Long jobs come first, so that short ones fill the gaps (Ibarra and Kim 1977): made for the makespan, not for mean
    completion. The first planned job whose accelerator is idle, with nothing planned there before it, starts; if there
    is none, wait. Ties take the lowest slot, then the lowest accelerator.
    """

    name = "max_min"
    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"queue"})
    choices = None

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane."""
        return send_planned(self.layout, observation, mask, first_starts, True)
