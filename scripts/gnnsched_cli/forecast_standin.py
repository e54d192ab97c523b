"""What `gnnsched forecast standin` does."""

import time
from dataclasses import replace

from gnnsched_cli.forecast_options import Standin
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.forecast.standin import SIZES, plan, write_standin


def make(given: Standin) -> None:
    """Make a stand-in for the TpuGraphs data set."""
    names = ("layouts", "tiles", "nodes", "configs", "specials")
    changes = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    size, start = replace(SIZES[given.size], **changes), time.perf_counter()
    with progress_bar("writing", len(plan(given.seed, size)), shown=None, unit="files") as advance:
        count, written = write_standin(
            given.out, given.seed, size, force=given.force, report=lambda done, total: advance(1)
        )
    seconds = time.perf_counter() - start
    print(f"{given.out}: {count} files, {written / 1e6:.1f} MB, made in {seconds:.0f} s (synthetic stand-in)")
