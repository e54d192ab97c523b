"""Time the batched PPO against sb3-contrib's MaskablePPO in the same run, on the CPU, and say where its time goes.

    python -m benchmarks.ppo
    python -m benchmarks.ppo --threads 2     # also the batched PPO in two threads, by the clock

Both train the same pair network on the same worlds (a fleet's lanes of Queue-v0, `lanes.py`) with equal numbers of
lanes, decisions a lane and update, epochs and decisions a gradient step; no update is cut short by the KL limit, and no
world is replaced. MaskablePPO has the policy of `sb3/networks.py`, which packs the legal rows inside the library's
padded ones, and with `--padded` also one that scores all padded rows, as policies of that library usually do.
Updates alternate; a figure is the median over the updates after the first ones. Decisions (of single lanes) are over
processor seconds of the process, so that what else runs on the machine matters little.
"""

import argparse
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from benchmarks.cycles import pin_to_one_core
from gnnsched_agents.methods import played_decisions
from gnnsched_agents.methods.method import Method
from gnnsched_agents.methods.pair_gradients import PairGradient
from gnnsched_agents.methods.played_decisions import PlayedDecisions
from gnnsched_agents.methods.ppo import Ppo
from gnnsched_agents.methods.registry import MaskablePpoConfig, PpoConfig
from gnnsched_agents.methods.sb3_training import Sb3Training
from gnnsched_agents.sb3.networks import MaskedPairPolicy
from gnnsched_agents.torch_network import Critic, Packing
from gnnsched_agents.worlds import Workloads

NEVER = 1_000_000  # updates
BATCHED = "batched PPO (`methods/ppo.py`)"
REFERENCE = "MaskablePPO, legal rows packed"
PARTS: dict[str, list[tuple[Any, str]]] = {  # of an update, and the functions in which they are done
    "playing: rows, drawn actions, environment": [(played_decisions, "play_on")],
    "critic's values, advantages": [(Critic, "values"), (PlayedDecisions, "estimate")],
    "policy's gradient": [(PairGradient, "__call__")],
    "critic's gradient": [(Ppo, "_value_loss")],
    "optimiser": [(torch.nn.utils, "clip_grad_norm_"), (torch.optim.Adam, "step")],
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=5, help="timed ones")
    parser.add_argument("--worlds", type=int, default=PpoConfig.worlds)
    parser.add_argument("--lanes", type=int, default=PpoConfig.lanes, help="a world")
    parser.add_argument("--steps", type=int, default=PpoConfig.steps, help="decisions a lane and update")
    parser.add_argument("--epochs", type=int, default=PpoConfig.epochs)
    parser.add_argument("--batch", type=int, default=PpoConfig.batch)
    parser.add_argument("--width", type=int, default=PpoConfig.width)
    parser.add_argument("--warm-up", type=int, default=2, help="updates before them")
    parser.add_argument(
        "--threads", type=int, default=1, help="of another measurement of the batched PPO, by the clock"
    )
    parser.add_argument("--padded", action="store_true", help="MaskablePPO with all rows scored too, which is slow")
    parser.add_argument("--classes", type=int, default=64, help="of a workload; fewer are drawn sooner")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cores = os.sched_getaffinity(0)
    pin_to_one_core()
    methods = _methods(arguments)
    speeds = _measure(methods, arguments.warm_up, arguments.updates)
    reference = speeds[REFERENCE]
    print(f"{vars(arguments)}\n")
    print("| training | decisions/s | ratio to MaskablePPO, packed |")
    print("|---|---|---|")
    for name, speed in speeds.items():
        print(f"| {name} | {speed:,.0f} | {speed / reference:.2f} |")
    print("\n| part of an update | microseconds a decision | share |\n|---|---:|---:|")
    parts = _parts(methods[BATCHED], arguments.updates)
    whole = sum(parts.values())
    for name, seconds in parts.items():
        print(f"| {name} | {1e6 * seconds:.2f} | {seconds / whole:.0%} |")
    if arguments.threads > 1:
        os.sched_setaffinity(0, cores)
        print("\n| threads | decisions/s by the clock |\n|---|---:|")
        for threads in (1, arguments.threads):
            print(f"| {threads} | {_by_the_clock(arguments, threads):,.0f} |")


class PaddedPolicy(MaskedPairPolicy):
    """MaskablePPO's policy on the same network, all rows of all actions scored, legal or not."""

    def _distribution(self, legal: Any, masks: Any = None) -> Any:
        lanes, actions = legal.legal.shape
        rows = legal.legal.new_zeros((lanes, actions, legal.rows.shape[1]), dtype=torch.float32)
        rows[legal.legal] = legal.rows
        scores: Tensor = self.scorer(rows.flatten(0, 1), Packing.of(torch.full((lanes,), actions)))
        distribution = self.action_dist.proba_distribution(action_logits=scores.reshape(lanes, actions))
        distribution.apply_masking(legal.legal if masks is None else masks)
        return distribution


def _methods(arguments: argparse.Namespace) -> dict[str, Method]:
    workloads, shared = _workloads(arguments), _shared(arguments)
    methods: dict[str, Method] = {
        BATCHED: Ppo(PpoConfig(kl=1e9, threads=1, **shared), workloads, 0),
        REFERENCE: Sb3Training(MaskablePpoConfig(threads=1, **shared), workloads, 0),
    }
    if arguments.padded:
        padded = Sb3Training(MaskablePpoConfig(threads=1, **shared), workloads, 0)
        padded.model.policy.__class__ = PaddedPolicy  # weights and optimiser stay what they are
        methods["MaskablePPO, all rows"] = padded
    return methods


def _workloads(arguments: argparse.Namespace) -> Workloads:
    return Workloads(sets=2, classes=arguments.classes)


def _shared(arguments: argparse.Namespace) -> dict[str, Any]:
    shared = {name: getattr(arguments, name) for name in ("worlds", "lanes", "steps", "epochs", "batch", "width")}
    return shared | {"redraw": NEVER, "device": "cpu", "prior": 4.0}


def _measure(methods: dict[str, Method], warm_up: int, updates: int) -> dict[str, float]:
    """Return the median of each method's decisions a processor second."""
    speeds: dict[str, list[float]] = {name: [] for name in methods}
    for number in range(warm_up + updates):
        for name, method in methods.items():
            before = time.process_time()
            decisions = method.update()["decisions"]
            if number >= warm_up:
                speeds[name].append(decisions / (time.process_time() - before))
    return {name: statistics.median(found) for name, found in speeds.items()}


def _parts(method: Method, updates: int) -> dict[str, float]:
    """Return the processor seconds a decision that PARTS of the updates take, and the rest."""
    with _clocks() as spent:
        before, decisions = time.process_time(), 0.0
        for _ in range(updates):
            decisions += method.update()["decisions"]
        whole = time.process_time() - before
    spent["rest"] = whole - sum(spent.values())
    return {name: seconds / decisions for name, seconds in spent.items()}


@contextmanager
def _clocks() -> Iterator[dict[str, float]]:
    """Time the functions of PARTS, by their threads' processor time, while the block lasts."""
    spent: dict[str, float] = defaultdict(float, dict.fromkeys(PARTS, 0.0))
    originals = [(owner, name, getattr(owner, name)) for places in PARTS.values() for owner, name in places]
    for part, places in PARTS.items():
        for owner, name in places:
            setattr(owner, name, _timed(getattr(owner, name), part, spent))
    try:
        yield spent
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def _timed(function: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*arguments: Any, **options: Any) -> Any:
        before = time.thread_time()
        result = function(*arguments, **options)
        spent[part] += time.thread_time() - before
        return result

    return timed


def _by_the_clock(arguments: argparse.Namespace, threads: int) -> float:
    """Return the median decisions a second of the batched PPO in some threads, by the clock."""
    ppo = Ppo(PpoConfig(kl=1e9, threads=threads, **_shared(arguments)), _workloads(arguments), 0)
    speeds = []
    for number in range(arguments.warm_up + arguments.updates):
        before = time.perf_counter()
        decisions = ppo.update()["decisions"]
        if number >= arguments.warm_up:
            speeds.append(decisions / (time.perf_counter() - before))
    return statistics.median(speeds)


if __name__ == "__main__":
    main()
