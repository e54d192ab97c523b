"""Matplotlib, drawing into files."""

from pathlib import Path
from typing import Any

from gnnsched_env.common.errors import needs_extra


def import_pyplot(out: Path) -> Any:
    """Return Matplotlib's pyplot; raise ConfigError, which names `out` and the extra, where it is not installed."""
    with needs_extra(f"picture {out}", "plots"):
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    return pyplot
