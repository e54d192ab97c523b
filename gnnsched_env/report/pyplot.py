"""Matplotlib, drawing into files."""

from pathlib import Path
from typing import Any

from gnnsched_env.common.errors import needs_extra
from gnnsched_env.common.files import write_whole


def import_pyplot(out: Path) -> Any:
    """Return Matplotlib's pyplot; raise ConfigError, which names `out` and the extra, where it is not installed."""
    with needs_extra(f"picture {out}", "plots"):
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    return pyplot


def save_figure(figure: Any, out: Path, *, dpi: int = 100) -> None:
    """Write a figure, whole or not at all, in the format that the file's name ends with, and close it."""
    from matplotlib import pyplot

    write_whole(out, lambda file: figure.savefig(file, dpi=dpi, format=out.suffix[1:] or None))
    pyplot.close(figure)
