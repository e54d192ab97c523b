"""Tasks for the tests of what runs them."""

import os
import signal
import time

import numpy as np

from gnnsched_env.common.errors import ConfigError


def multiply(shared, task, advance):
    """Return a multiple, and an array."""
    return {"product": shared["factor"] * task, "row": np.arange(task), "pair": (task, float("inf"))}


def slow_multiply(shared, task, advance):
    """Take a while, leaving a file behind in a folder."""
    (shared["folder"] / f"{task}-{os.getpid()}").touch()
    time.sleep(shared.get("seconds", 0.1))
    return {"product": shared["factor"] * task}


def die_once(shared, task, advance):
    """Kill the worker of task 2 the first time, and that of task 5 every time if it is to be `deadly`."""
    mark = shared["folder"] / "died"
    if task == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if task == 5 and shared.get("deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"product": task}


def refuse(shared, task, advance):
    """Refuse odd tasks."""
    if task % 2:
        raise ConfigError(f"no {task}")
    return {"product": task}


def no_result(shared, task, advance):
    """Return what no file holds."""
    return {"product": shared}


def products(results):
    return [result["product"] for result in results]
