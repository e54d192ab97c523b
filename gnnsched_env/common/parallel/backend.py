"""What runs tasks: the protocol of a backend, one task's call, and what becomes of a task whose workers keep dying."""

from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol

from gnnsched_env.common.errors import GnnSchedError
from gnnsched_env.common.progress import Advance

Function = Callable[[Any, Any, Advance], Any]
"""A task's function(shared, task, advance); it moves `advance` by 1.0 in all, or leaves it alone."""
Numbered = tuple[int, Any]  # a task, or what came of it, with its number
Outcomes = Generator[Numbered, None, None]

TRIES = 4  # workers that may die under a task before the run ends


class Backend(Protocol):
    """Runs tasks, each in one worker."""

    def workers(self) -> int:
        """Return how many workers there are now."""
        ...

    def told(self) -> str:
        """Return how many workers there are now, in words."""
        ...

    def outcomes(self, tasks: Sequence[Numbered], advance: Advance) -> Outcomes:
        """Yield each task's number with its result, or with the exception that it raised, as they end.

        `advance` is moved by 1 for each. A task whose worker dies is run again, up to TRIES times in all. Closing the
        iterator drops the tasks that have not ended.
        """
        ...

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        ...


def attempt(function: Function, shared: Any, task: Any, advance: Advance) -> Any:
    """Return a task's result, or the exception that it raised."""
    try:
        return function(shared, task, advance)
    except Exception as error:
        return error


def died(number: int, how: str) -> GnnSchedError:
    """Return the error of a task whose workers died TRIES times."""
    return GnnSchedError(
        f"task {number + 1}: its worker died {TRIES} times ({how}); what is kept is not lost: run the same command "
        "again, perhaps with fewer workers"
    )
