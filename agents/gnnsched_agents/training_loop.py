"""The training loop: iterations, validation, checkpoints; a killed training resumes from its last checkpoint."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnnsched_agents.methods.registry import trainer
from gnnsched_agents.run_folder import RunFolder
from gnnsched_agents.training_config import TrainConfig, require_same
from gnnsched_agents.training_display import Display, EventLog, open_display, open_events
from gnnsched_agents.validation import Score, Validation
from gnnsched_agents.worlds import trained_range
from gnnsched_baselines.learned.pair_network import load_network, save_network
from gnnsched_baselines.learned.training_range import TRAINED_FOR
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.folder_lock import writing_folder

CHECKPOINT_SECONDS = 120.0  # a kill loses at most this time, or one iteration if that is longer
MINUTE, HOUR = 60.0, 3600.0
LOST = "lost"  # marks entries of a curve whose weights were damaged or removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of `train`: whether it `finished` or was stopped, and the best model so far.

    `reference` says in words what the best model's ratio is over.
    """

    finished: bool
    iteration: int
    decisions: int
    seconds: float
    best: dict[str, Any]
    weights: Path
    phase: str
    reference: str


def train(
    config: TrainConfig, folder: Path, *, command: str = "", ray: str | None = None, progress: bool | None = None
) -> Result:
    """Train, or resume the training in the folder, until the budget is spent or SIGINT or SIGTERM arrives.

    The first signal ends the training after its iteration, a second one at once (work after the last checkpoint is then
    repeated on resuming); before the first iteration there is nothing to lose, and signals act as ever. `command` is
    recorded in the cards of the weights; `progress` shows a bar on stderr (None: if that is a terminal). `ray`: play on
    the Ray cluster at this address, on which weights do not depend, for methods that can (`run_on`). Raise ConfigError
    if the method is another, the folder holds a training of another config, or another process trains there.
    """
    files = RunFolder(folder)
    with writing_folder(folder):
        run = Run(config, files, command, ray)
        resumed = run.resume()
        events = open_events(run.files.events, run.decisions)
        with open_display(progress) as display, events as log:
            if resumed:
                reached = f"iteration {run.iteration}, {run.seconds / MINUTE:.1f} minutes"
                more = "going on after" if run.spent < 1.0 else "give more minutes or iterations to go on; reached"
                note = getattr(run.method, "resume_note", "")
                display.say(f"{folder}: {more} {reached}" + (f", {note}" if note else ""))
            try:
                run.prepare(display, log)
                with stop_requests(display.say) as stop:
                    run.loop(stop, display, log)
            finally:
                getattr(run.method, "close", _nothing)()
        return run.result()


class Run:
    """A running training: the method, its checkpoints, the curve of its validations."""

    def __init__(self, config: TrainConfig, files: RunFolder, command: str, ray: str | None = None) -> None:
        self.config = config
        self.files = files
        self.command = command
        self.iteration = 0
        self.decisions = 0
        self.seconds = 0.0
        self.curve: list[dict[str, Any]] = []
        self.phase = ""
        kept = files.read()
        if kept is not None:  # before anything is built: this may take a while
            require_same(files.path, kept["config"], config.plain())
        self._kept = kept
        self.validation = Validation(config.validation, config.workloads)
        self.method = trainer(config.kind)(config.method, config.workloads, config.seed)
        if ray is not None:
            if (run_on := getattr(self.method, "run_on", None)) is None:
                rule = "goes with improvement, policy_iteration and evolution"
                raise ConfigError(f"--ray: {rule}, but the method is {config.kind}")
            run_on(ray)
        self._clock = time.monotonic()
        self._saved = 0.0

    @property
    def best(self) -> dict[str, Any]:
        """Return the curve's entry with the smallest ratio whose weights exist; ties take the first."""
        return min(self._kept_entries, key=lambda entry: float(entry["ratio"]))

    @property
    def _kept_entries(self) -> list[dict[str, Any]]:
        return [entry for entry in self.curve if not entry.get(LOST)]

    @property
    def spent(self) -> float:
        """Return the share of the budget that is spent; 1 or more at the end."""
        config = self.config
        by_time = self.seconds / (config.minutes * MINUTE) if config.minutes is not None else 0.0
        return max(by_time, self.iteration / config.iterations if config.iterations is not None else 0.0)

    def resume(self) -> bool:
        """Restore the folder's checkpoint; return whether there was one."""
        kept = self._kept
        if kept is None:
            return False
        self.method.load(self.files.path / kept["method"])
        self.iteration, self.decisions = kept["iteration"], kept["decisions"]
        self.seconds, self.curve = kept["seconds"], kept["curve"]
        return True

    def prepare(self, display: Display, log: EventLog) -> None:
        """Play what is compared with, and validate the weights to start from, unless a resumed training has done so."""
        if self.spent < 1.0 or not self.curve:
            names = dict.fromkeys((*self.validation.references, "sjf"))
            display.say(f"playing {', '.join(names)} on the validation episodes, to compare with")
            self.validation.play_references()
        self._clock = time.monotonic()
        if (damage := self._damage()) is not None:
            display.say(f"{damage}: the present weights take its place")
            for entry in self.curve:
                entry[LOST] = True
        if not self._kept_entries:
            self._validate(display, log)

    def loop(self, stop: threading.Event, display: Display, log: EventLog) -> None:
        """Iterate until the budget is spent or a stop is requested; then save."""
        while self.spent < 1.0 and not stop.is_set():
            figures = self.method.update()
            self.iteration += 1
            self.decisions += int(figures["decisions"])
            self.phase = f"{figures['labelled']:,.0f} states labelled" if "labelled" in figures else ""
            self._tick()
            log.add("train", figures, self.decisions)
            display.show(self.spent, self._told())
            if self.iteration % self.config.validate_every == 0 and self.spent < 1.0:
                self._validate(display, log)
            elif self.seconds - self._saved > CHECKPOINT_SECONDS:
                self._save()
        if self.spent >= 1.0:
            if self.curve[-1]["iteration"] != self.iteration:
                self._validate(display, log)
            self._finish()
        else:
            self._save()

    def result(self) -> Result:
        """Return the result so far."""
        return Result(
            finished=self.spent >= 1.0,
            iteration=self.iteration,
            decisions=self.decisions,
            seconds=self.seconds,
            best=self.best,
            weights=self.files.best,
            phase=self.phase,
            reference=self.validation.reference,
        )

    def _damage(self) -> str | None:
        """Return a text of what is wrong with a resumed training's best weights, if anything."""
        if not self.curve:
            return None
        try:
            load_network(self.files.best)
        except FileFormatError as error:
            return str(error)
        return None

    def _tick(self) -> None:
        now = time.monotonic()
        self.seconds += now - self._clock
        self._clock = now

    def _told(self) -> dict[str, str]:
        rate = self.decisions / self.seconds if self.seconds else 0.0
        left = self.seconds * (1.0 / self.spent - 1.0) if self.spent else 0.0
        return {
            "iteration": f"{self.iteration}",
            "rate": f"{rate:,.0f} decisions/s",
            "ratio": f"now {self.curve[-1]['ratio']:.4f}, best {self.best['ratio']:.4f}",
            "left": f"{max(0.0, left) / MINUTE:.0f} min left",
        }

    def _validate(self, display: Display, log: EventLog) -> None:
        """Score the present policy, keep its weights if they are the best so far, and save."""
        score = self.validation.score(self.method.network())
        if self.iteration:
            self._tick()
        else:
            self._clock = time.monotonic()  # what was compiled is not charged
        reached = {"iteration": self.iteration, "decisions": self.decisions, "minutes": self.seconds / MINUTE}
        better = not self._kept_entries or score.ratio < self.best["ratio"]
        self.curve.append({**reached, **score.figures()})
        if better:
            save_network(self.files.best, self.method.network(), self._card(score), self.config.workloads.inputs)
            if (save_model := getattr(self.method, "save_model", None)) is not None:
                save_model(self.files.model)
        self._save()
        log.add("validation", score.figures(), self.decisions)
        loads = ", ".join(f"{ratio:.4f} at {load:g}" for load, ratio in score.by_load.items())
        display.say(
            f"iteration {self.iteration}, {self.seconds / MINUTE:.1f} min, {self.decisions / 1e6:.2f} M decisions: "
            f"{score.ratio:.4f} ±{score.error:.4f} of {self.validation.reference} ({loads}), "
            f"{score.sjf_ratio:.4f} of sjf"
            + (f", {self.phase}" if self.phase else "")
            + (", best so far" if better else "")
        )

    def _save(self) -> None:
        self._tick()
        state = {
            "config": self.config.plain(), "iteration": self.iteration, "decisions": self.decisions,
            "seconds": self.seconds, "curve": self.curve,
        }  # fmt: skip
        self.files.write(state, self.method.save)
        self._saved = self.seconds

    def _finish(self) -> None:
        """Save, and write the best and the last weights with the whole curve."""
        self._save()
        save_network(self.files.last, self.method.network(), self._card(None), self.config.workloads.inputs)
        network, card = load_network(self.files.best)
        whole = {"curve": self.curve, "training": self._amounts()}
        save_network(self.files.best, network, {**card, **whole}, self.config.workloads.inputs)

    def _card(self, score: Score | None) -> dict[str, Any]:
        """Return the card of weights: how they were made, and their validation (the last one if None)."""
        figures = self.curve[-1] if score is None else {**self.curve[-1], "cases": cases_of(score)}
        return {
            "name": self.config.name,
            "command": self.command,
            "seed": self.config.seed,
            "iteration": self.iteration,
            "decisions": self.decisions,
            "hours": self.seconds / HOUR,
            "validation": figures,
            "curve": self.curve,
            "training": self._amounts(),
            "config": self.config.plain(),
            **({TRAINED_FOR: trained_for} if (trained_for := trained_range(self.config.workloads)) else {}),
        }

    def _amounts(self) -> dict[str, float]:
        """Return the amounts that the training has used so far."""
        return {"iterations": self.iteration, "decisions": self.decisions, "hours": self.seconds / HOUR}


def cases_of(score: Score) -> list[dict[str, float]]:
    """Return the ratio of each workload and load as JSON values."""
    return [{"workload": seed, "load": load, "ratio": ratio} for (seed, load), ratio in score.cases.items()]


def _nothing() -> None:
    """Do nothing, for methods that have nothing to close."""


@contextmanager
def stop_requests(say: Callable[[str], None]) -> Iterator[threading.Event]:
    """Yield an event that the first SIGINT or SIGTERM sets; a second one raises KeyboardInterrupt.

    Outside the main thread, where Python handles no signals, the event is never set.
    """
    stop = threading.Event()

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say("stopping after this iteration; once more to stop at once")

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
