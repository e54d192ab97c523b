"""How long policies take beside a heuristic, in the same test episodes: what a training's progress is measured by."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.checks import Flag, require
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.policy import Policy
from gnnsched_env.common.stats import Interval, paired_ratio
from gnnsched_env.evaluation.compare import REFERENCE
from gnnsched_env.evaluation.policies import policy_factory
from gnnsched_env.evaluation.runs import PolicyFactory, checked_seeds, run_policy
from gnnsched_env.scenario import Scenario, load_scenario, scenario_table


class Yardstick:
    """Mean completion times over those of a registered policy, in the same episodes of the split "test".

    The episodes and what the reference takes for them are the same each time, so a trained policy can be measured again
    and again: `yardstick.ratio(policy)` is below 1 where it is faster.
    """

    def __init__(
        self,
        scenario: Scenario | str | Path,
        *,
        reference: str = REFERENCE,
        dispatch: bool = False,
        seed: int = 0,
        episodes: int = 20,
    ) -> None:
        """Play the reference's episodes, of seeds seed to seed + episodes - 1.

        `scenario` may be a preset's name or a TOML file's path. Raise ConfigError if an argument is invalid, or no
        policy of that name is registered for the environment.
        """
        self.scenario = load_scenario(scenario)
        self.dispatch = Flag().check("yardstick", "dispatch", dispatch)
        self.seed, self.episodes = checked_seeds("yardstick", seed, episodes)
        require("yardstick", "reference", reference, "" if isinstance(reference, str) else "a policy's name")
        self.table = scenario_table(self.scenario)
        self.reference = reference
        self._played: dict[str, NDArray[np.float64]] = {}  # by registered policies, which always play alike
        self._taken = self.completions(reference)

    def completions(self, policy: str | Policy) -> NDArray[np.float64]:
        """Return float64 [episodes]: the mean completion time of each, cycles, under a policy or one by name.

        An object must suit the scenario's window and fleet, as policies do that read rows of features.
        """
        if isinstance(policy, str) and policy in self._played:
            return self._played[policy]
        factory = policy_factory(policy, dispatch=self.dispatch) if isinstance(policy, str) else _is(policy)
        runs = run_policy(
            factory, self.scenario, self.table, dispatch=self.dispatch, seed=self.seed, episodes=self.episodes
        )
        completions = runs.per_episode("completion")
        if isinstance(policy, str):
            self._played[policy] = completions
        return completions

    def suits(self, name: str) -> bool:
        """Return whether a policy of that name is registered for the yardstick's environment."""
        try:
            policy_factory(name, dispatch=self.dispatch)
        except ConfigError:
            return False
        return True

    def ratio(self, policy: str | Policy) -> float:
        """Return a policy's mean completion time over the reference's."""
        return self.interval(policy).value

    def interval(self, policy: str | Policy) -> Interval:
        """Return the ratio with its 95 % interval over episodes."""
        return paired_ratio(self.completions(policy), self._taken)

    def report(self, policies: Mapping[str, str | Policy]) -> str:
        """Return a line for each policy, best first: its name, mean completion time and ratio with its interval."""
        lines = []
        for name, policy in policies.items():
            completions = self.completions(policy)
            ratio = paired_ratio(completions, self._taken)
            told = f"{ratio.value:.3f} of {self.reference} [{ratio.low:.3f}, {ratio.high:.3f}]"
            lines.append((ratio.value, f"{name:<16} mean completion {completions.mean():12,.0f} cycles  {told}"))
        return "\n".join(line for _, line in sorted(lines))


def _is(policy: Policy) -> PolicyFactory:
    """Return what makes a policy that is made already."""
    return lambda layout, table: policy
