"""The protocol that every training method implements for the training loop."""

from pathlib import Path
from typing import Any, Protocol

from gnnsched_agents.worlds import Workloads
from gnnsched_baselines.learned.pair_network import Network


class Method(Protocol):
    """A running training, made from its config, the worlds to train in, and a seed that determines all random draws.

    A method with `run_on(ray)` can play on the Ray cluster at an address; one with `close()` has processes to end. A
    method of another library may also have `save_model(path)`, which writes the present model in that library's format.
    A method whose `load` does not restore everything may have an attribute `resume_note`, a text that says what the
    resumed training starts from.
    """

    workloads: Workloads

    def __init__(self, config: Any, workloads: Workloads, seed: int) -> None: ...

    def update(self) -> dict[str, float]:
        """Run one iteration; return figures to log, including "decisions", the number of decisions taken."""
        ...

    def network(self) -> Network:
        """Return the weights of the present policy."""
        ...

    def save(self, path: Path) -> None:
        """Write everything that the next iterations depend on, atomically and without a pickle."""
        ...

    def load(self, path: Path) -> None:
        """Restore what `save` wrote and continue as if never stopped, unless `resume_note` says otherwise.

        Raise FileFormatError if the file is damaged or another method's.
        """
        ...
