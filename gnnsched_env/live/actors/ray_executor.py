"""Devices as Ray actors: started, watched, and started again where they die."""

import queue
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.live.actors.device_actor import DeviceActor, boot_id
from gnnsched_env.live.actors.fleet_session import import_ray
from gnnsched_env.live.devices.live_device import DeviceJobs
from gnnsched_env.live.executor import Kind, Report
from gnnsched_env.live.live_fleet import LiveFleet

START_S = 120.0  # within which all devices must be up at first
RESTART_S = 60.0  # within which a device that died must be up again, or it is gone
PING_S = 10.0
PINGS = 9  # of which the fastest tells how a device's clock stands to this one's


Told = Callable[[], Report | None]
"""What a callback of Ray leaves for the scheduler's thread to do."""


@dataclass(slots=True, eq=False)
class _Life:
    """One life of a device: its actor, when it was asked for, and what is known of it."""

    actor: Any
    began: float
    up: bool = False
    gone: bool = False
    offset: int = 0  # nanoseconds to add to the device's clock
    run: tuple[int, int, int] | None = None  # job, attempt, sent


class RayExecutor:
    """Runs jobs on the devices of a fleet, each a Ray actor; made within a `ray_session`.

    `jobs`: what each device must know. `kinds`: for each class of the run, the device's class and how many inferences a
    job is of it; by default one of the same. `begin`: what the run's clock shows first, nanoseconds. `spread`: over the
    cluster's machines. Its constructor returns once all devices are up; it raises
    ConfigError where one refuses its jobs or is not up within START_S seconds.
    """

    def __init__(
        self,
        fleet: LiveFleet,
        jobs: Sequence[DeviceJobs],
        *,
        begin: int = 0,
        kinds: Sequence[tuple[int, int]] | None = None,
        spread: bool = False,
    ) -> None:
        self._ray = import_ray()
        self._fleet = fleet
        self._actor_kind = self._ray.remote(DeviceActor)
        self._spread = spread
        self._begin_at, self._origin, self._going = begin, 0, False
        self._kinds = [(c, 1) for c in range(len(jobs[0].names))] if kinds is None else kinds
        self._held = [self._ray.put(one) for one in jobs]
        self._choices = [choice for device in fleet.devices for choice in device.choices]
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._lives: dict[int, _Life] = {}
        self.restart_s = RESTART_S
        for device in range(len(fleet.devices)):
            self._begin(device, time.monotonic())
        self._await_all()

    def start_clock(self) -> None:
        """Let the run's clock go on from where it stands."""
        self._origin = time.monotonic_ns() - self._begin_at
        self._going = True

    def set_clock(self, begin: int) -> None:
        """Stop the run's clock and let it show `begin`, nanoseconds, for another run on the same devices."""
        self._begin_at, self._going = begin, False

    def now(self) -> int:
        """Return the run's clock: monotonic time, while it goes."""
        return time.monotonic_ns() - self._origin if self._going else self._begin_at

    def actor(self, device: int) -> Any:
        """Return a device's actor."""
        return self._lives[device].actor

    def start(self, device: int, *, job: int, attempt: int, job_class: int, choice: int) -> None:
        """Hand a job to a device's actor."""
        life = self._lives[device]
        life.run = (job, attempt, self.now())
        served, repeats = self._kinds[job_class]
        ref = life.actor.run.remote(served, self._choices[choice], repeats)
        self._when_done(ref, self._end_of_run, device, life)

    def wait(self, until: int) -> list[Report]:
        """Return what has happened, in order; nothing once the clock shows `until`, or after `wake`."""
        told: list[Told] = []
        with suppress(queue.Empty):
            limit = (until - self.now()) / 1e9
            told.append(self._told.get(timeout=limit) if limit > 0 else self._told.get_nowait())
            while True:
                told.append(self._told.get_nowait())
        reports = [report for one in told if (report := one()) is not None]
        return reports + self._overdue()

    def wake(self) -> None:
        """Let `wait` return."""
        self._told.put(lambda: None)

    def stop(self, device: int, why: str) -> None:
        """Kill a device's actor; its death is reported when Ray tells it."""
        self._ray.kill(self._lives[device].actor)

    def close(self) -> None:
        """Kill all actors."""
        for life in self._lives.values():
            with suppress(Exception):
                self._ray.kill(life.actor)

    def _begin(self, device: int, began: float) -> None:
        """Ask for an actor of a device, and for its jobs to be loaded; what comes of it is told."""
        entry = self._fleet.devices[device]
        options: dict[str, Any] = {"num_cpus": 1, "max_restarts": 0, "max_concurrency": 1}
        if entry.needs_gpu:
            options["num_gpus"] = 1
        if self._spread:
            options["scheduling_strategy"] = "SPREAD"
        actor = self._actor_kind.options(**options).remote(entry)
        life = self._lives[device] = _Life(actor, began)
        self._when_done(actor.load.remote(device, self._held[device]), self._end_of_load, device, life)

    def _when_done(self, ref: Any, end: Callable[[int, _Life, Any], Report | None], device: int, life: _Life) -> None:
        ref.future().add_done_callback(lambda future: self._told.put(lambda: end(device, life, future)))

    def _await_all(self) -> None:
        limit = time.monotonic() + START_S
        while waiting := [self._fleet.devices[n].name for n, life in self._lives.items() if not life.up]:
            try:
                tell = self._told.get(timeout=max(0.0, limit - time.monotonic()))
            except queue.Empty:
                raise ConfigError(
                    f"live fleet: all devices must be up within {START_S:.0f} s, but {', '.join(waiting)} "
                    "are not: is there a core (a GPU) for each?"
                ) from None
            report = tell()
            if report is not None and report.kind is not Kind.UP:
                raise ConfigError(f"device {self._fleet.devices[report.device].name}: {report.why}")

    def _end_of_load(self, device: int, life: _Life, future: Any) -> Report | None:
        """Return that a device is up, or why it cannot be."""
        try:
            why, boot = future.result()
            life.offset = 0 if boot and boot == boot_id() else self._offset(life.actor)
        except self._ray.exceptions.RayError as error:
            return self._died(device, life, error)
        if why:
            return Report(kind=Kind.GONE, device=device, why=why)
        life.up = True
        return Report(kind=Kind.UP, device=device)

    def _end_of_run(self, device: int, life: _Life, future: Any) -> Report | None:
        """Return how a run ended."""
        try:
            started, finished, why = future.result()
        except self._ray.exceptions.RayError as error:
            return self._died(device, life, error)
        if life.run is None:
            return None
        (job, attempt, sent), life.run = life.run, None
        shift = life.offset - self._origin
        times = {"sent": sent, "started": started + shift, "finished": finished + shift}
        kind = Kind.RAISED if why else Kind.DONE
        return Report(kind=kind, device=device, job=job, attempt=attempt, why=why, **times)

    def _died(self, device: int, life: _Life, error: Exception) -> Report | None:
        """Ask for another actor of a device whose own has died, and report the loss.

        One that dies again before it was up has no more time than the first.
        """
        if self._lives[device] is not life or life.gone:
            return None
        why = " ".join(str(error).split())[:200] or type(error).__name__
        self._begin(device, time.monotonic() if life.up else life.began)
        return Report(kind=Kind.LOST, device=device, why=why)

    def _overdue(self) -> list[Report]:
        """Return the devices that have not come back in time, once each."""
        found = []
        for device, life in self._lives.items():
            if not life.up and not life.gone and time.monotonic() - life.began > self.restart_s:
                life.gone = True
                why = f"it was not up again within {self.restart_s:.0f} s"
                found.append(Report(kind=Kind.GONE, device=device, why=why))
        return found

    def _offset(self, actor: Any) -> int:
        """Return what to add to another machine's clock to get this one's, nanoseconds.

        It is taken to have been read in the middle of the fastest of some pings.
        """
        best = (1 << 62, 0)
        for _ in range(PINGS):
            asked = time.monotonic_ns()
            shown = self._ray.get(actor.clock.remote(), timeout=PING_S)
            answered = time.monotonic_ns()
            best = min(best, (answered - asked, (asked + answered) // 2 - shown))
        return best[1]
