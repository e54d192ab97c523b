"""A policy in a file of its own: `choose(observation, mask)`, asked in a child process for each episode."""

import contextlib
import json
import os
import queue
import struct
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.bench.arena import child
from gnnsched_env.common.checks import Integer, Number
from gnnsched_env.common.errors import ConfigError, GnnSchedError
from gnnsched_env.common.files import file_path
from gnnsched_env.common.policy import BoolArray, IntArray, Knowledge, Observation, Routing
from gnnsched_env.envs.observation_units import View, by_column, decode_cycles, unflatten
from gnnsched_env.envs.spaces import Layout
from gnnsched_env.evaluation.policies import Family, Found, register_family

PREFIX = "file:"
START_S = 60.0  # longest time until a child has loaded its policy
LEAST_MEMORY = 256  # mebibytes


class FilePolicy:
    """Asks a policy's file for each decision, in a process of its own for each lane.

    The file defines `choose(observation, mask)`, which returns the number of a legal action: job x K + choice, or the
    last one, which waits. `mask` is bool [actions]; `observation` holds, of n jobs that wait, A accelerators and K
    choices (pairs of an accelerator and a dataflow; accelerators where the environment chooses dataflows), beliefs
    only, in cycles: "latencies" float64 [n, K] (predicted), "waited" float64 [n] (time since each arrived), "remaining"
    float64 [A] (time until each accelerator is free), "up" bool [A], "prices" float64 [A] (the share of each in what
    the fleet's time is worth), "accelerators" int64 [K] (the accelerator of each choice); where the scenario shows
    intervals of latencies, also "latencies_low" and "latencies_high" float64 [n, K].

    Nothing is kept from one episode to the next, and the process sees neither the simulator nor other files. Raise
    GnnSchedError, naming the file, where it cannot be loaded, raises, is slower than `decision_s` seconds a decision,
    uses more than `memory` mebibytes, or returns an action that is not legal.
    """

    knowledge = Knowledge.PREDICTED
    routing = Routing.FREE
    environments = frozenset({"queue"})
    choices = None

    def __init__(self, layout: Layout, *, path: str, decision_s: float = 1.0, memory: int = 2048) -> None:
        where = f"policy {PREFIX}{path}"
        if layout.dispatch:
            raise ConfigError(f"{where}: is made for queue, not for dispatch")
        self.where, self.path, self.layout = where, path, layout
        self.decision_s, self.memory = checked_limits(where, decision_s, memory)
        self._owners = np.array(layout.column_accelerators, np.int64)
        self._children: list[Child] = []

    def act(self, observation: Observation, mask: BoolArray) -> IntArray:
        """Return one action for each lane, as its process chooses."""
        if not self._children:
            self._children = [Child(self, lane) for lane in range(len(mask))]
            for one in self._children:
                one.expect(child.READY, START_S, "to be loaded")
        if len(self._children) != len(mask):
            raise GnnSchedError(f"{self.where}: plays {len(self._children)} episodes, got {len(mask)} lanes")
        for one, arrays in zip(self._children, self._told(observation, mask), strict=True):
            one.ask(arrays)
        answers = [one.expect(child.ACTION, self.decision_s, "for a decision") for one in self._children]
        actions = np.array([struct.unpack("<q", answer)[0] for answer in answers], np.int64)
        for lane, action in enumerate(actions.tolist()):
            if not 0 <= action < mask.shape[1] or not mask[lane, action]:
                legal = int(mask[lane].sum())
                raise GnnSchedError(
                    f"{self.where}: choose must return a legal action, one of {legal} in [0, {mask.shape[1]}), got "
                    f"{action} (episode {lane})"
                )
        return actions

    def _told(self, observation: Observation, mask: BoolArray) -> list[dict[str, NDArray[Any]]]:
        """Return what each lane's process is told: the observation in cycles, and the mask."""
        view = unflatten(observation, self.layout)
        waiting = (view.slots["present"] > 0).sum(axis=1).tolist()
        shown = max(waiting)
        latencies = decode_cycles(by_column(view.latencies[:, :shown], self.layout))
        waited = decode_cycles(view.slots["waited"][:, :shown])
        remaining = decode_cycles(view.accelerators["remaining"])
        up = view.accelerators["up"] > 0
        prices = view.accelerators["price"].astype(np.float64)
        ends = {
            name: decode_cycles(by_column(codes[:, :shown], self.layout)) for name, codes in _intervals(view).items()
        }
        return [
            {
                "latencies": latencies[lane, :jobs],
                "waited": waited[lane, :jobs],
                "remaining": remaining[lane],
                "up": up[lane],
                "prices": prices[lane],
                "accelerators": self._owners,
                **{name: values[lane, :jobs] for name, values in ends.items()},
                "mask": mask[lane],
            }
            for lane, jobs in enumerate(waiting)
        ]


def _intervals(view: View) -> dict[str, NDArray[np.float32]]:
    """Return the ends of intervals of latencies by the names that a policy's file has for them, encoded."""
    ends = {"latencies_low": view.lows, "latencies_high": view.highs}
    return {name: codes for name, codes in ends.items() if codes is not None}


def checked_limits(where: str, decision_s: float, memory: int) -> tuple[float, int]:
    """Return the limits of a policy's process (seconds a decision, mebibytes); raise ConfigError for a bad one."""
    return (
        Number(above=0.0, most=3600.0).check(where, "decision_s", decision_s),
        Integer(LEAST_MEMORY, 1 << 20).check(where, "memory", memory),
    )


class Child:
    """A process that runs a policy's file for one episode; it ends with its parent, which closes its pipes.

    A message is the length of its head (uint32), the head (JSON: name, dtype and shape of each array), and the arrays'
    bytes. An answer is a letter, the length of its content (uint32) and the content: an action (int64), or an error's
    text. Nothing that a child sends is ever executed or unpickled.
    """

    def __init__(self, policy: FilePolicy, lane: int) -> None:
        self.where, self.lane = policy.where, lane
        # isolated as by -I, which would ignore PYTHONHASHSEED: the order of sets is to be the same in every process
        command = [sys.executable, "-P", "-s", "-B", child.__file__, policy.path, str(policy.memory)]
        few_threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        system = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # Windows starts by it
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath, "PYTHONHASHSEED": "0", **few_threads, **system},
        )
        self._reader = _Reader(self.process)
        self._end = weakref.finalize(self, _stop, self.process, self._reader)

    def ask(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Send a message."""
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        heads = [(name, array.dtype.str, array.shape) for name, array in whole.items()]
        head = json.dumps(heads).encode()
        body = b"".join(array.tobytes() for array in whole.values())
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(struct.pack("<I", len(head)) + head + body)
            self.process.stdin.flush()
        except OSError:
            self._ended()

    def expect(self, kind: bytes, seconds: float, what: str) -> bytes:
        """Return the content of the next answer; raise GnnSchedError where it is late, an error, or of another kind."""
        deadline = time.monotonic() + seconds
        head = self._read(5, deadline, seconds, what)
        content = self._read(min(struct.unpack("<I", head[1:])[0], 4 * child.LONGEST), deadline, seconds, what)
        if head[:1] == child.FAILED:
            self._end()
            raise GnnSchedError(f"{self.where}: {content.decode(errors='replace')}")
        if head[:1] != kind or (kind == child.ACTION and len(content) != 8):
            self._end()
            raise GnnSchedError(f"{self.where}: must answer by returning an action, and write nothing to its pipe")
        return content

    def _read(self, size: int, deadline: float, seconds: float, what: str) -> bytes:
        content = b""
        while len(content) < size:
            try:
                part = self._reader.read(size - len(content), max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self._end()
                raise GnnSchedError(
                    f"{self.where}: must take at most {seconds:g} s {what} (episode {self.lane})"
                ) from None
            if not part:
                self._ended()
            content += part
        return content

    def _ended(self) -> None:
        status = self.process.wait(timeout=10)
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        raise GnnSchedError(f"{self.where}: its process {how}, perhaps for memory (episode {self.lane})")


class _Reader:
    """Reads a process's output in a thread of its own, so that others can wait for it for a limited time.

    Windows has no other way to wait for a pipe. No more is read than is asked for: a child cannot fill the memory.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        self._asked: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._parts: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=_read_as_asked, args=(process.stdout.fileno(), self._asked, self._parts), daemon=True
        )
        self._thread.start()

    def read(self, size: int, seconds: float) -> bytes:
        """Return at most `size` bytes, none where the process has closed the pipe; raise queue.Empty if none comes."""
        self._asked.put(size)
        return self._parts.get(timeout=seconds)

    def end(self) -> None:
        """End the thread, once the process has ended."""
        self._asked.put(0)
        self._thread.join(timeout=10.0)


def _read_as_asked(pipe: int, asked: "queue.SimpleQueue[int]", parts: "queue.SimpleQueue[bytes]") -> None:
    while size := asked.get():
        parts.put(os.read(pipe, size))


def _stop(process: "subprocess.Popen[bytes]", reader: _Reader) -> None:
    process.kill()
    process.wait()
    reader.end()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # of what was still to be written to it
                pipe.close()


def _find(path: str) -> Found:
    file = file_path(path, f"policy {PREFIX}...")
    if not file.is_file():
        raise ConfigError(f"policy {PREFIX}{path}: {'is a folder, not a file' if file.is_dir() else 'no such file'}")
    return FilePolicy, {"path": str(Path(path).absolute())}


register_family(
    Family(
        prefix=PREFIX,
        forms=(f"{PREFIX}POLICY.py",),
        meaning="The function choose(observation, mask) of a file, run in processes of its own.",
        knowledge=Knowledge.PREDICTED,
        environments=FilePolicy.environments,
        find=_find,
    )
)
