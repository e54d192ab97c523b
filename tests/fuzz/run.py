"""Damage files of every kind many times, and print how their readers end.

python -m tests.fuzz.run --flips 10000
python -m tests.fuzz.run --flips 10000 --kinds "graph set" weights
"""

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path

from tests.fuzz.flips import Foreign, Silent, flip
from tests.fuzz.kinds import KINDS


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=10_000, help="damaged files of each kind")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS, metavar="KIND", help="by default all")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    faults = 0
    print("| kind of file | damaged files | refused | read | seconds |\n|---|---|---|---|---|")
    for name in given.kinds:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                told = flip(KINDS[name], Path(folder), given.flips, given.seed)
            except (Foreign, Silent) as fault:
                faults += 1
                print(f"| {name} | {type(fault).__name__}: {fault} | | | |", flush=True)
                continue
        seconds = time.perf_counter() - started
        print(f"| {name} | {given.flips:,} | {told['refused']:,} | {told['read']:,} | {seconds:.0f} |", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
