"""Training of forecast networks: seeded, resumable, validated by Kendall's tau within held-out programs."""

import copy
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from gnnsched_env.common.disk_cache import content_key
from gnnsched_env.common.errors import ConfigError, needs_extra
from gnnsched_env.common.files import reading
from gnnsched_env.common.progress import progress_bar
from gnnsched_env.forecast.encoding.portions import Portion
from gnnsched_env.forecast.encoding.samples import Sample
from gnnsched_env.forecast.models import segments
from gnnsched_env.forecast.models.network import ForecastNetwork
from gnnsched_env.forecast.models.network_ranker import NetworkRanker, widths
from gnnsched_env.forecast.models.network_settings import NetworkSettings, TargetScale
from gnnsched_env.forecast.scoring.rank_scores import kendall_tau
from gnnsched_env.forecast.training.losses import loss_of
from gnnsched_env.nn.checkpoint import read_checkpoint, write_checkpoint
from gnnsched_env.nn.device import pick_device
from gnnsched_env.nn.schedule import rate_share, set_rate

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

KIND = "forecast network 1"  # of checkpoints, and their format
LAST_RATE = 1e-2  # of the highest
NAMED = 5  # of programs that are left out
SAVE_EVERY = 30.0  # seconds, whether there was a validation or not
SCALING_NODES = 2_000  # of each program, for the features' mean and deviation


class Training:
    """A network on its way; each step depends on the seed and its number only.

    Portions with nothing to rank are left out; `left_out` names the programs that have no other. `half`: whether steps
    run in bfloat16 where torch thinks it safe; on a GPU they do. `logs`: a folder for TensorBoard.
    """

    def __init__(
        self,
        config: NetworkSettings,
        train: Sequence[Portion],
        held: Sequence[Portion],
        device: torch.device,
        *,
        logs: Path | None = None,
    ) -> None:
        self.config = config
        self.step = 0
        self.best: dict[str, Tensor] = {}
        self.history: list[dict[str, float]] = []
        ranked = {id(portion.sample) for portion in (*train, *held) if portion.rankable}
        self.left_out = [portion.sample.name for portion in (*train, *held) if id(portion.sample) not in ranked]
        self._train = [portion for portion in train if portion.rankable]
        self._held = [portion for portion in held if portion.rankable]
        self.is_tile = _kind_of([*self._train, *self._held], len(self._train), len(self._held))
        self.half = device.type == "cuda"
        self._device = device
        known: dict[int, segments.Pieces] = {}
        for portion in (*self._train, *self._held):
            if id(portion.sample) not in known:
                known[id(portion.sample)] = segments.cut(portion.sample, config.model, device)
        self._pieces = [known[id(portion.sample)] for portion in self._train]
        self._held_pieces = [known[id(portion.sample)] for portion in self._held]
        self._targets = [_standardised(portion.targets, config.target) for portion in self._train]
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            self.network = ForecastNetwork(config.model, widths(self.is_tile)).to(device)
        self.network.fit_scaling(torch.from_numpy(_some_nodes(self._train)).to(device))
        self.averaged = copy.deepcopy(self.network).eval()
        self._optimizer = torch.optim.AdamW(self.network.parameters(), lr=config.rate, weight_decay=config.decay)
        self._writer = None if logs is None else _writer(logs)

    @cached_property
    def _key(self) -> str:
        """What a checkpoint must agree in; it reads every array, so it is made once."""
        parts = [
            [
                (portion.sample.name, *(_digest(array) for array in (*_inputs(portion.sample), portion.targets)))
                for portion in portions
            ]
            for portions in (self._train, self._held)
        ]
        return content_key(config=asdict(self.config), portions=parts)

    @property
    def finished(self) -> bool:
        """Whether all steps are taken."""
        return self.step >= self.config.steps

    def take_step(self) -> float:
        """Take one step down the mean loss of some programs; return it."""
        config = self.config
        rng = np.random.default_rng((config.seed, 2, self.step))
        set_rate(self._optimizer, config.rate * rate_share(self.step / config.steps, last=LAST_RATE))
        graphs = rng.choice(len(self._train), min(config.graphs_a_step, len(self._train)), replace=False)
        self.network.train()
        self._optimizer.zero_grad()
        total = 0.0
        with torch.random.fork_rng(enabled=config.model.dropout > 0.0):
            if config.model.dropout > 0.0:
                torch.manual_seed(config.seed + self.step)
            for graph in graphs:  # one at a time: memory is that of the largest
                loss = self._loss(int(graph), rng) / len(graphs)
                if loss.requires_grad:
                    torch.autograd.backward(loss)
                total += float(loss.detach())
        if not np.isfinite(total):
            raise ConfigError(
                f"forecast training: diverged, the loss of step {self.step + 1} is {total}; "
                f"rate must be smaller, got {config.rate}"
            )
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
        self._optimizer.step()
        self.step += 1
        self._average()
        if self._writer is not None:
            self._writer.add_scalar("training/loss", total, self.step)
        return total

    def validate(self) -> str:
        """Score the held-out portions, keep the weights if none were better, and return a line to print."""
        taus = [
            kendall_tau(scores, targets) for scores, targets in (self._held_scores(k) for k in range(len(self._held)))
        ]
        entry = {"step": float(self.step), "tau": float(np.nanmean(taus))}
        if not self.history or entry["tau"] > max(past["tau"] for past in self.history):
            self.best = {name: value.detach().cpu().clone() for name, value in self.averaged.state_dict().items()}
        self.history.append(entry)
        if self._writer is not None:
            self._writer.add_scalar("validation/tau", entry["tau"], self.step)
            self._writer.flush()
        count = f"{len(taus)} programs" if len(taus) != 1 else "1 program"
        return f"step {self.step}: held out: Kendall tau {entry['tau']:.4f} over {count}"

    def ranker(self) -> NetworkRanker:
        """Return a ranker of the best weights so far."""
        return NetworkRanker.of(
            self.config.model,
            {name: value.numpy() for name, value in self.best.items()},
            is_tile=self.is_tile,
            hops=self.config.hops,
            provenance={
                "training": asdict(self.config),
                "programs": [portion.sample.label for portion in self._train],
                "validation": self.history,
            },
            format=type(self.config).FORMAT,
        ).to(self._device)

    def save(self, path: Path) -> None:
        """Write all that the next step depends on; a killed write leaves the file before."""
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best": self.best,
            "history": self.history,
        }
        write_checkpoint(path, KIND, self._key, state)

    def load(self, path: Path) -> None:
        """Take up what `save` wrote."""
        state = read_checkpoint(path, KIND, self._key, self._device)
        with reading(str(path), "the checkpoint"):
            self.network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.best = {name: value.cpu() for name, value in state["best"].items()}
            self.step, self.history = state["step"], state["history"]

    def _average(self) -> None:
        """Let the running mean of the weights follow; of the first steps it is the plain mean."""
        share = max(1.0 - self.config.average, 1.0 / self.step)
        with torch.no_grad():
            for mean, value in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(value, share)

    def _loss(self, graph: int, rng: np.random.Generator) -> Tensor:
        pieces, places = self._pieces[graph], self._train[graph].places
        drawn = rng.choice(len(places), min(self.config.configs_a_step, len(places)), replace=False)
        chosen = int(rng.integers(len(pieces.parts)))
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self.half):
            scores = segments.training_scores(self.network, pieces, places[drawn], chosen)
        targets = torch.from_numpy(self._targets[graph][drawn]).to(self._device)
        config = self.config
        return loss_of(
            config.loss, scores, targets.to(scores.dtype), margin=config.margin, standardise=config.standardise
        )

    def _held_scores(self, k: int) -> tuple[FloatArray, FloatArray]:
        portion = self._held[k]
        chosen, most = np.arange(len(portion.places)), self.config.validation_configs
        if 0 < most < len(chosen):
            chosen = np.random.default_rng((self.config.seed, 1, k)).choice(chosen, most, replace=False)
        scores = segments.predict(self.averaged, self._held_pieces[k], portion.places[chosen])
        return scores.double().cpu().numpy(), portion.targets[chosen]


def _inputs(sample: Sample) -> tuple[NDArray[Any], ...]:
    return sample.nodes, sample.opcodes, sample.edge_index, sample.configurable, sample.raw


def _digest(array: NDArray[Any]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


def train_network(
    config: NetworkSettings,
    train: Sequence[Portion],
    held: Sequence[Portion],
    *,
    checkpoint: Path | None = None,
    device: str = "auto",
    minutes: float | None = None,
    logs: Path | None = None,
    progress: bool | None = False,
    report: Callable[[str], None] = lambda line: None,
) -> Training:
    """Train to the end, or until `minutes` have passed, and return the run, whose `ranker` is the best so far.

    With a `checkpoint` file, what a killed training had reached is taken up: the result is the same as without the
    kill. A checkpoint of another configuration or other programs is refused. On a GPU, networks run in bfloat16 where
    torch thinks it safe. `progress`: a bar on stderr (None: if that is a terminal); `logs`: a folder for TensorBoard.
    """
    run = Training(config, train, held, pick_device(device), logs=logs)
    if run.left_out:
        more = "" if len(run.left_out) <= NAMED else ", ..."
        report(f"nothing to rank, left out ({len(run.left_out)}): {', '.join(run.left_out[:NAMED])}{more}")
    if checkpoint is not None and checkpoint.exists():
        run.load(checkpoint)
        report(f"resumed at step {run.step} of {config.steps}")
    end = None if minutes is None else time.monotonic() + 60.0 * minutes
    saved = time.monotonic()
    with progress_bar("training", config.steps, shown=progress) as advance:
        advance(run.step)
        while not run.finished:
            run.take_step()
            advance(1)
            late = end is not None and time.monotonic() >= end
            validates = run.step % config.validate_every == 0 or run.finished or (late and not run.best)
            line = run.validate() if validates else ""
            if checkpoint is not None and (validates or late or time.monotonic() - saved > SAVE_EVERY):
                run.save(checkpoint)
                saved = time.monotonic()
            if line:  # told when it is safe
                report(line)
            if late:
                break
    return run


def _standardised(targets: FloatArray, kind: TargetScale) -> FloatArray:
    """Return what stands for the targets, mean 0 and deviation 1."""
    values = np.log(targets) if kind is TargetScale.LOG else rankdata(targets)
    standard: FloatArray = (values - values.mean()) / max(values.std(), 1e-12)
    return standard


def _kind_of(portions: Sequence[Portion], train: int, held: int) -> bool:
    """Return whether all are tile programs; ConfigError if some are, or one side is empty."""
    if not train or not held:
        raise ConfigError(
            f"forecast training: programs with runtimes to rank are needed on both sides, got {train} to train on and "
            f"{held} to validate with (too few configurations to hold any back leave none)"
        )
    kinds = {portion.sample.is_tile for portion in portions}
    if len(kinds) > 1:
        raise ConfigError("forecast training: programs must be all layout or all tile programs, got both")
    return kinds.pop()


def _some_nodes(portions: Sequence[Portion]) -> NDArray[np.float32]:
    parts = [portion.sample.nodes[:: -(-portion.sample.num_nodes // SCALING_NODES)] for portion in portions]
    return np.concatenate(parts)


def _writer(logs: Path) -> Any:
    with needs_extra("logs for TensorBoard", "agents"):
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter(str(logs))  # type: ignore[no-untyped-call]
