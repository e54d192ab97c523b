"""skip_predict: assignment that has a job predicted only while enough jobs wait for the prediction to matter.

After SkipPredict (Mitzenmacher and Shahout, NeurIPS 2024), where a job is predicted only if that is worth its cost.
Here the number of waiting jobs decides: with few, there is little to put in order, and a job had better come at once.
"""

from gnnsched_baselines.assignment import DEFAULT_C, Assignment
from gnnsched_env.common.checks import Integer
from gnnsched_env.envs import Layout
from gnnsched_env.scenario.options import MOST_JOBS

DEFAULT_SKIP_BELOW = 8  # docs/results/predicting.md


class SkipPredict(Assignment):
    """Plan as `assignment`; a job that is taken up while fewer than `skip_below` jobs wait comes unpredicted.

    It is then planned with average latencies. Where predicting is free, cached or done by several workers, all jobs are
    predicted, and this is `assignment`.
    """

    name = "skip_predict"
    skip_below = DEFAULT_SKIP_BELOW  # waiting jobs

    def __init__(self, layout: Layout, *, c: float = DEFAULT_C, skip_below: int = DEFAULT_SKIP_BELOW) -> None:
        super().__init__(layout, c=c)
        self.skip_below = Integer(0, MOST_JOBS).check(self.name, "skip_below", skip_below)
