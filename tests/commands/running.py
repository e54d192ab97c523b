"""Runs the command `gnnsched` in this process."""

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

from gnnsched_cli.main import main


def gnnsched(*words):
    """Return what a command line ends with: `returncode`, `stdout` and `stderr`."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = main([str(word) for word in words])
        except SystemExit as end:  # help
            status = end.code or 0
    return SimpleNamespace(returncode=status, stdout=out.getvalue(), stderr=err.getvalue())
