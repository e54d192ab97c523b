"""Compare the cost model with golden cases: exact/total of every quantity, exit status 1 on any mismatch.

python -m scripts.check_cycles CASES.jsonl.gz [MORE.jsonl.gz ...]
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from gnnsched_env.cycles.golden import GoldenCase, read_golden
from gnnsched_env.errors import GnnSchedError

SHOWN = 10


def main(arguments: list[str] | None = None) -> int:
    """Check the files; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.check_cycles", description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="CASES.jsonl.gz")
    try:
        cases, exact, total, failures = _check(parser.parse_args(arguments).files)
    except GnnSchedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name in total:
        print(f"{name:<14} {exact[name]:>8} / {total[name]}")
    for failure in failures[:SHOWN]:
        print(f"MISMATCH {failure}")
    if len(failures) > SHOWN:
        print(f"... and {len(failures) - SHOWN} more")
    print(f"{cases - len(failures)} of {cases} cases exact on every quantity")
    return 1 if failures or not cases else 0


def _check(files: list[Path]) -> tuple[int, Counter[str], Counter[str], list[str]]:
    cases, exact, total, failures = 0, Counter[str](), Counter[str](), []
    for path in files:
        for case in read_golden(path):
            result = _compare(case)
            cases += 1
            total.update(result.keys())
            exact.update(name for name, same in result.items() if same)
            if wrong := [name for name, same in result.items() if not same]:
                failures.append(f"{path.name} {case.name}: {', '.join(wrong)}")
    return cases, exact, total, failures


def _compare(case: GoldenCase) -> dict[str, bool]:
    try:
        return case.compare()
    except GnnSchedError as error:
        print(f"{case.name}: refused: {error}", file=sys.stderr)
        return dict.fromkeys([*case.expect, "ts_agg", "ts_cmb"], False)


if __name__ == "__main__":
    sys.exit(main())
