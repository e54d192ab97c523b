"""Time and memory of an epoch of forecast training on a made-up program of 20,000 operations and 1,000 configurations.

    python -m benchmarks.forecast
    python -m benchmarks.forecast --models sage attention --steps 4 --device cuda

An epoch takes every configuration once: ceil(configurations / configurations a step) steps. Some steps are timed after
one that is not (the median counts) and scaled up; on the CPU these are processor seconds of one core, so that what else
runs on the machine matters little. Each model trains in a process of its own: memory is what training
adds to it at its highest (on a GPU: what torch allocated there). With segment training, operations are cut into runs of
at most 2,000, of which one has gradients; without, there is one run. Ratios are to the same model without segments, in
this run. Boosted trees have no steps: one fit counts.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.cycles import pin_to_one_core
from gnnsched_env.forecast.data.program import open_program
from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.encoding.portions import Portion, whole
from gnnsched_env.forecast.encoding.samples import Sample, prepare
from gnnsched_env.forecast.models.boosting import BoostingRanker, BoostingSettings
from gnnsched_env.forecast.models.model_list import MODELS
from gnnsched_env.forecast.models.network_settings import NetworkSettings
from gnnsched_env.forecast.standin import SIZES, StandinSpec, make

WHOLE = 10**9
MIB = 1 << 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--nodes", type=int, default=20_000)
    parser.add_argument("--configs", type=int, default=1_000)
    parser.add_argument("--configs-a-step", type=int, default=16)
    parser.add_argument("--segment", type=int, default=2_000)
    parser.add_argument("--hops", type=int, help="keep only what is so near to configurable operations; else all")
    parser.add_argument("--steps", type=int, default=3, help="timed")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit-gib", type=float, help="refuse a process more memory than this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--one", nargs=3, help=argparse.SUPPRESS
    )  # file, model, segment: what a process of its own does
    arguments = parser.parse_args()
    if arguments.one:
        path, model, segment = arguments.one
        print(json.dumps(_measure(Path(path), model, int(segment), arguments)))
        return
    pin_to_one_core()
    with tempfile.TemporaryDirectory() as folder:
        spec = StandinSpec(
            seed=arguments.seed,
            collection=Collection.LAYOUT_XLA_RANDOM,
            split="train",
            place=0,
            size=SIZES["medium"],
            nodes=arguments.nodes,
            configs=arguments.configs,
        )
        path = make(spec).write(Path(folder))
        sample = prepare(open_program(path), hops=arguments.hops)
        edges, configurable = sample.edge_index.shape[1], len(sample.configurable)
        print(
            f"{sample.num_nodes} operations, {edges} edges, {configurable} configurable, {sample.num_configs} "
            f"different configurations, {arguments.configs_a_step} a step, on {arguments.device}, one core."
        )
        print("| model | segments | epoch, s | ratio | memory, MiB | ratio |")
        print("|---|---|---|---|---|---|")
        for model in arguments.models:
            segments = (WHOLE, arguments.segment) if isinstance(MODELS[model], NetworkSettings) else (WHOLE,)
            first: dict[str, Any] = {}
            for segment in segments:
                own = _in_process(str(path), model, segment)
                first = first or own
                print(_row(model, segment, own, first), flush=True)


def _row(model: str, segment: int, own: dict[str, Any], first: dict[str, Any]) -> str:
    cut = "no" if segment == WHOLE else f"of {segment}"
    if "error" in own:
        return f"| {model} | {cut} | {own['error']} | | | |"
    ratios = [f"{own[name] / first[name]:.2f}" if name in first else "" for name in ("epoch", "memory")]
    return f"| {model} | {cut} | {own['epoch']:.1f} | {ratios[0]} | {own['memory']:.0f} | {ratios[1]} |"


def _in_process(path: str, model: str, segment: int) -> dict[str, Any]:
    """Measure in a fresh process; what made it fail is told instead of figures."""
    command = [sys.executable, "-m", "benchmarks.forecast", *sys.argv[1:], "--one", path, model, str(segment)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"error": lines[-1][:60] if lines else f"killed ({done.returncode})"}
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _measure(path: Path, model: str, segment: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Return seconds of an epoch, and MiB that training added."""
    if arguments.limit_gib:
        limit = int(arguments.limit_gib * 1024 * MIB)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    config = MODELS[model]
    sample = prepare(open_program(path), hops=arguments.hops)
    if isinstance(config, BoostingSettings):
        before = _forget_peak()
        began = time.process_time()
        BoostingRanker.fit(config, [whole(sample)])
        return {"epoch": time.process_time() - began, "memory": _peak() - before}
    assert isinstance(config, NetworkSettings)
    config = replace(
        config,
        model=replace(config.model, segment=segment),
        configs_a_step=arguments.configs_a_step,
        hops=arguments.hops,
    )
    return _train(config, sample, arguments)


def _train(config: NetworkSettings, sample: Sample, arguments: argparse.Namespace) -> dict[str, float]:
    import torch

    from gnnsched_env.forecast.training.network_training import Training
    from gnnsched_env.nn.device import pick_device

    torch.set_num_threads(1)
    device = pick_device(arguments.device)
    before = _forget_peak()
    run = Training(config, [Portion(sample=sample)], [Portion(sample=sample)], device)
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    seconds = []
    for _ in range(arguments.steps + 1):
        began = clock()
        run.take_step()  # ends with a loss on the host, so the device has finished
        seconds.append(clock() - began)
    steps = math.ceil(sample.num_configs / config.configs_a_step)
    memory = torch.cuda.max_memory_allocated(device) / MIB if device.type == "cuda" else _peak() - before
    return {"epoch": steps * statistics.median(seconds[1:]), "memory": memory}


def _forget_peak() -> float:
    """Begin the peak anew, and return the memory in use, MiB (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def _peak() -> float:
    """Return the most memory in use since, MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
