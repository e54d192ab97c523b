"""The curve of a training: how far its policy is from a heuristic after how many decisions, in test episodes."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from gnnsched_env.common.checks import Integer, shown
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.files import write_json
from gnnsched_env.common.policy import Policy
from gnnsched_env.evaluation.compare import with_graphs
from gnnsched_env.evaluation.curves.yardstick import Yardstick
from gnnsched_env.scenario import Scenario, load_scenario

RIVALS = ("random", "sjf", "min_min", "assignment")


class LearningCurve:
    """Measures a policy every so many decisions, prints a line each time, and compares it with heuristics at the end.

    `points` holds a dict for each measurement: "decisions", "seconds" of training, without those of measuring, and
    "ratios", over the yardstick's heuristic by the yardsticks' names.
    """

    def __init__(self, yardsticks: Mapping[str, Yardstick], *, every: int, file: str | Path | None = None) -> None:
        """Start the clock; `every` is in decisions. `file` (JSON) is written anew after each measurement."""
        if not isinstance(yardsticks, Mapping) or not all(isinstance(one, Yardstick) for one in yardsticks.values()):
            raise ConfigError(f"learning curve: yardsticks must be Yardsticks by name, got {shown(yardsticks)}")
        self.yardsticks = dict(yardsticks)
        self.every: int = Integer(1).check("learning curve", "every", every)
        self.file = None if file is None else Path(file)
        self.points: list[dict[str, Any]] = []
        self._measuring = 0.0
        self._seen, self._before = 0, 0  # decisions of the present training, and of those before it
        self._started = time.perf_counter()

    @classmethod
    def on(
        cls,
        scenario: Scenario | str | Path,
        graphs: Sequence[str | Path] = (),
        *,
        every: int,
        episodes: int = 20,
        dispatch: bool = False,
        file: str | Path | None = None,
    ) -> Self:
        """Return a curve of a scenario's test episodes and, if graph files are given, of those with their jobs."""
        own = load_scenario(scenario)
        yardsticks = {"its classes": Yardstick(own, episodes=episodes, dispatch=dispatch)}
        if graphs:
            yardsticks["graph files"] = Yardstick(with_graphs(own, graphs), episodes=episodes, dispatch=dispatch)
        return cls(yardsticks, every=every, file=file)

    def due(self, decisions: int) -> bool:
        """Return whether `every` decisions have passed since the last measurement."""
        last: int = self.points[-1]["decisions"] if self.points else 0
        return self._all(decisions) - last >= self.every

    def measure(self, policy: Policy, decisions: int) -> None:
        """Measure a policy that has learnt from a number of decisions, and print how it does.

        A number below the last one begins a training that goes on from there.
        """
        begun = time.perf_counter()
        decisions = self._all(decisions)
        seconds = begun - self._started - self._measuring
        ratios = {name: yardstick.ratio(policy) for name, yardstick in self.yardsticks.items()}
        self.points.append({"decisions": decisions, "seconds": seconds, "ratios": ratios})
        told = ", ".join(
            f"{ratio:.3f} of {self.yardsticks[name].reference} on {name}" for name, ratio in ratios.items()
        )
        print(f"{decisions:>10,} decisions {seconds:6.0f} s: {told}", flush=True)
        self._write({"points": self.points})
        self._measuring += time.perf_counter() - begun

    def report(self, policy: Policy, decisions: int) -> None:
        """Measure a policy that has learnt what it will, and print it among heuristics; the file gets their ratios."""
        if not self.points or self.points[-1]["decisions"] < self._all(decisions):
            self.measure(policy, decisions)
        rivals = {}
        for name, yardstick in self.yardsticks.items():
            known = [rival for rival in RIVALS if yardstick.suits(rival)]
            print(f"\n{name}: {yardstick.episodes} test episodes")
            print(yardstick.report({"trained": policy, **{rival: rival for rival in known}}), flush=True)
            rivals[name] = {rival: yardstick.ratio(rival) for rival in known}
        self._write({"points": self.points, "rivals": rivals})

    def _all(self, decisions: int) -> int:
        """Return the decisions of all trainings so far, given those of the present one."""
        decisions = int(Integer(0).check("learning curve", "decisions", decisions))
        if decisions < self._seen:
            self._before += self._seen
        self._seen = decisions
        return self._before + decisions

    def _write(self, content: dict[str, Any]) -> None:
        if self.file is not None:
            write_json(self.file, content)
