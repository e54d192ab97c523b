"""Compare the cost model with golden cases: exact/total of every quantity, exit status 1 on any mismatch.

python -m scripts.check_cycles CASES.jsonl.gz [MORE.jsonl.gz ...]
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from gnnsched_env.common.errors import GnnSchedError
from gnnsched_env.cycles.golden import GoldenCase, read_golden

SHOWN = 10


def main(arguments: list[str] | None = None) -> int:
    """Check the files; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gnnsched_cli.check_cycles", description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="CASES.jsonl.gz")
    exact, total, mismatches = Counter[str](), Counter[str](), list[str]()
    cases = exact_cases = 0
    try:
        for path in parser.parse_args(arguments).files:
            for case in read_golden(path):
                found = _mismatches(case, exact, total)
                mismatches += found
                cases += 1
                exact_cases += not found
    except GnnSchedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name in total:
        print(f"{name:<14} {exact[name]:>8} / {total[name]}")
    for mismatch in mismatches[:SHOWN]:
        print(f"MISMATCH {mismatch}")
    if len(mismatches) > SHOWN:
        print(f"... and {len(mismatches) - SHOWN} more mismatches")
    print(f"{exact_cases} of {cases} cases exact on every quantity")
    return 1 if mismatches else 0


def _mismatches(case: GoldenCase, exact: Counter[str], total: Counter[str]) -> list[str]:
    """Compare one case, count its quantities, and describe those that differ."""
    found = []
    for one in case.compare():
        total[one.quantity] += 1
        exact[one.quantity] += one.exact
        if not one.exact:
            found.append(f"{case.where} ({case.name}) {one.quantity}: expected {one.expected}, got {one.got}")
    return found


if __name__ == "__main__":
    sys.exit(main())
