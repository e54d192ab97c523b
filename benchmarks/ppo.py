"""Time the batched PPO against sb3-contrib's MaskablePPO in the same run, one thread each, on the CPU.

    python -m benchmarks.ppo

Both train the same pair network on the same worlds (a fleet's lanes of Queue-v0, `lanes.py`) with equal numbers of
lanes, decisions a lane and update, epochs and decisions a gradient step; no update is cut short by the KL limit, and no
world is replaced. MaskablePPO has the policy of `sb3/networks.py`, which packs the legal rows inside the library's
padded ones, and with `--padded` also one that scores all padded rows, as policies of that library usually do.
Updates alternate; a figure is the median over the updates after the first. Decisions (of single lanes) are over
processor seconds of the thread, so that what else runs on the machine matters little.
"""

import argparse
import statistics
import time
from typing import Any

import torch
from torch import Tensor

from benchmarks.cycles import pin_to_one_core
from gnnsched_agents.methods.method import Method
from gnnsched_agents.methods.ppo import Ppo
from gnnsched_agents.methods.registry import MaskablePpoConfig, PpoConfig
from gnnsched_agents.methods.sb3_training import Sb3Training
from gnnsched_agents.sb3.networks import MaskedPairPolicy
from gnnsched_agents.torch_network import Packing
from gnnsched_agents.worlds import Workloads

NEVER = 1_000_000  # updates
REFERENCE = "MaskablePPO, legal rows packed"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=5, help="timed ones, after a first that is not")
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--lanes", type=int, default=32, help="a world")
    parser.add_argument("--steps", type=int, default=64, help="decisions a lane and update")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--padded", action="store_true", help="MaskablePPO with all rows scored too, which is slow")
    parser.add_argument("--classes", type=int, default=64, help="of a workload; fewer are drawn sooner")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pin_to_one_core()
    speeds = _measure(_methods(arguments), arguments.updates)
    reference = speeds[REFERENCE]
    print(f"{vars(arguments)}\n")
    print("| training | decisions/s | ratio to MaskablePPO, packed |")
    print("|---|---|---|")
    for name, speed in speeds.items():
        print(f"| {name} | {speed:,.0f} | {speed / reference:.2f} |")


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
    workloads = Workloads(sets=2, classes=arguments.classes)
    shared = {name: getattr(arguments, name) for name in ("worlds", "lanes", "steps", "epochs", "batch", "width")}
    shared |= {"redraw": NEVER, "device": "cpu", "threads": 1, "prior": 4.0}
    methods: dict[str, Method] = {
        "batched PPO (`methods/ppo.py`)": Ppo(PpoConfig(kl=1e9, **shared), workloads, 0),
        REFERENCE: Sb3Training(MaskablePpoConfig(**shared), workloads, 0),
    }
    if arguments.padded:
        padded = Sb3Training(MaskablePpoConfig(**shared), workloads, 0)
        padded.model.policy.__class__ = PaddedPolicy  # weights and optimiser stay what they are
        methods["MaskablePPO, all rows"] = padded
    return methods


def _measure(methods: dict[str, Method], updates: int) -> dict[str, float]:
    """Return the median of each method's decisions a processor second."""
    speeds: dict[str, list[float]] = {name: [] for name in methods}
    for number in range(1 + updates):
        for name, method in methods.items():
            before = time.process_time()
            decisions = method.update()["decisions"]
            if number:
                speeds[name].append(decisions / (time.process_time() - before))
    return {name: statistics.median(found) for name, found in speeds.items()}


if __name__ == "__main__":
    main()
