"""One thing done for several policies in turn, of which one that fails does not stop the others."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gnnsched_env.common.errors import GnnSchedError, PoliciesFailed


@dataclass(frozen=True, slots=True)
class Attempts:
    """What failed so far: the error of each policy, by name.

    To go on after a policy that fails, and raise at the end:

        attempts = Attempts()
        for name, factory in factories.items():
            with attempts.of(name):
                runs[name] = run_policy(factory, ...)
        attempts.end()
    """

    failed: dict[str, GnnSchedError] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Keep an error that is raised in the block, the first of each policy, and go on after it."""
        try:
            yield
        except PoliciesFailed as error:
            for policy, own in error.failed.items():
                self.failed.setdefault(policy, own)
        except GnnSchedError as error:
            self.failed.setdefault(name, error)

    def end(self, records: Sequence[dict[str, Any]] = (), *, played: bool = True) -> None:
        """Raise PoliciesFailed, with the records of the others, if a policy failed.

        If none was `played` and all failed alike, the policies are not at fault: raise that one error.
        """
        if not played and len(set(map(str, self.failed.values()))) == 1:
            raise next(iter(self.failed.values()))
        if self.failed:
            raise PoliciesFailed(self.failed, records)
