"""What every way of training is to the loop that runs it."""

from pathlib import Path
from typing import Any, Protocol

from gnnsched_agents.worlds import Workloads
from gnnsched_baselines.learned.pair_network import Network


class Method(Protocol):
    """A training on its way, made of its config, the worlds to train in, and a seed that decides all that it draws.

    One of another library may have `save_model(path)` besides, which writes the present model as that library has it,
    and one whose `load` does not restore all may say in its attribute `resume_note` what a training goes on with.
    """

    workloads: Workloads

    def __init__(self, config: Any, workloads: Workloads, seed: int) -> None: ...

    def update(self) -> dict[str, float]:
        """Take one iteration; return figures to log, among them "decisions": of the environment, taken in it."""
        ...

    def network(self) -> Network:
        """Return the weights of the present policy."""
        ...

    def save(self, path: Path) -> None:
        """Write all that the next iterations depend on, whole or not at all, and without a pickle."""
        ...

    def load(self, path: Path) -> None:
        """Take up what `save` wrote: what follows is as if it had never stopped, unless `resume_note` says otherwise.

        Raise FileFormatError where the file is damaged or another method's.
        """
        ...
