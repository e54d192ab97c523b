"""Devices of a test's own."""

import os
import signal
import time
from pathlib import Path


class Moody:
    """Runs for `ms` milliseconds; a job of class `bad` raises, one of class `deadly` kills its process, once each."""

    def __init__(self, ms=2, bad=-1, deadly=-1, folder=""):
        self.ms, self.bad, self.deadly, self.folder = ms, bad, deadly, folder

    def choices(self):
        return ("one", "two")

    def load(self, jobs):
        self.names = jobs.names

    def run(self, job_class, choice):
        if job_class == self.bad:
            raise ValueError(f"no {self.names[job_class]} today")
        mark = Path(self.folder) / "died"
        if job_class == self.deadly and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.ms / 1e3)
