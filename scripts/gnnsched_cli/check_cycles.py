"""Compare the cost model with recorded cases: exact/total of every quantity, and exit status 1 where one differs.

Example:
    gnnsched check-cycles cases.jsonl.gz
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from gnnsched_env.common.errors import ConfigError

if TYPE_CHECKING:
    from gnnsched_env.cycles.golden import GoldenCase

SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Compare the cost model with recorded cases."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="CASES.jsonl.gz ...")]
    """Files of recorded cases, gzipped JSON lines."""


def run(arguments: Arguments) -> int:
    """Check the files and print; return the exit status."""
    from gnnsched_env.cycles.golden import read_golden

    if not arguments.files:
        raise ConfigError("check-cycles: needs at least one file of cases")
    exact, total, mismatches = Counter[str](), Counter[str](), list[str]()
    cases = exact_cases = 0
    for path in arguments.files:
        for case in read_golden(path):
            found = _mismatches(case, exact, total)
            mismatches += found
            cases += 1
            exact_cases += not found
    for name in total:
        print(f"{name:<14} {exact[name]:>8} / {total[name]}")
    for mismatch in mismatches[:SHOWN]:
        print(f"MISMATCH {mismatch}")
    if len(mismatches) > SHOWN:
        print(f"... and {len(mismatches) - SHOWN} more mismatches")
    print(f"{exact_cases} of {cases} cases exact on every quantity")
    return 1 if mismatches else 0


def _mismatches(case: "GoldenCase", exact: Counter[str], total: Counter[str]) -> list[str]:
    """Compare one case, count its quantities, and describe those that differ."""
    found = []
    for one in case.compare():
        total[one.quantity] += 1
        exact[one.quantity] += one.exact
        if not one.exact:
            found.append(f"{case.where} ({case.name}) {one.quantity}: expected {one.expected}, got {one.got}")
    return found
