"""Kinds of archives that trainings, data sets and caches keep; what they need is imported when it is used."""

import hashlib
import io
import json
import os
import zipfile
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from gnnsched_env.common import disk_cache, kernel_cache, store
from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.forecast.data.kept_layouts import KeptLayouts, write_copy
from gnnsched_env.forecast.data.program import Program, open_program
from tests.forecast import toy_programs
from tests.fuzz.kind import Kind, beside

TORCH = ("torch",)
LAYOUTS = toy_programs.layouts(9).astype(np.int8)


def digest(*arrays: Any) -> str:
    state = hashlib.sha256()
    for array in arrays:
        own = np.asarray(array)
        state.update(f"{own.dtype} {own.shape}".encode() + own.tobytes())
    return state.hexdigest()


# predictors


def tree_predictor(path: Path) -> None:
    """Write the trees of one pair of a shipped predictor."""
    from dataclasses import replace

    from gnnsched_env.predictors.trees.tree_predictor import shipped_predictor

    whole = shipped_predictor("gradient_boosting_metadata")
    one = replace(
        whole, keys=whole.keys[:1], forests=whole.forests.take([0]), mean_log_cycles=whole.mean_log_cycles[:1]
    )
    one.save(path)


def tree_content(found: Any) -> Any:
    return found.keys, digest(*found.forests.arrays().values(), found.domain.low, found.mean_log_cycles)


def gnn_predictor(path: Path) -> None:
    from gnnsched_env.predictors.gnn.gnn_predictor import SIZES, GnnPredictor
    from gnnsched_env.predictors.gnn.latency_networks import ModelConfig, make_network

    config = ModelConfig(hidden=4, width=4)
    weights = {name: value.float().numpy() for name, value in make_network(config).state_dict().items()}
    GnnPredictor.of(config, weights, domain=dict.fromkeys(SIZES, (1, 9)), provenance={}).save(path)


def read_predictor(path: Path) -> Any:
    from gnnsched_env.predictors import make_predictor

    return make_predictor(path)


# rankers


def ranker(kind: str) -> Any:
    def write(path: Path) -> None:
        from tests.forecast.test_ranker import make

        make(kind)[0].save(path)

    return write


def read_ranker(path: Path) -> Any:
    from gnnsched_env.forecast.models.model_list import open_ranker

    return open_ranker(path)


def network_content(found: Any) -> Any:
    return digest(*(value.numpy() for value in found.network.state_dict().values())), found.hops, found.is_tile


# TpuGraphs


def read_layouts(path: Path) -> Program:
    return whole_program(open_program(path, "layout:xla:random"))


def read_tiles(path: Path) -> Program:
    return whole_program(open_program(path, "tile:xla"))


def whole_program(program: Program) -> Program:
    program.configurations()
    return program


def program_content(program: Program) -> str:
    graph = program.graph
    own = (graph.node_features, graph.opcodes, graph.edges, program.configurable, program.runtimes, program.splits)
    return digest(*own, program.normalizers if program.normalizers is not None else 0, program.configurations())


def kept_layouts(path: Path) -> None:
    with path.open("wb") as file:
        write_copy(file, LAYOUTS.shape, [LAYOUTS])


def read_kept(path: Path) -> Any:
    kept = KeptLayouts.open(path, LAYOUTS.shape)
    assert kept is not None
    kept.check()
    return np.array(kept.rows)


# caches


def rebuilt() -> Any:
    raise FileFormatError("is built anew")


def read_cached(path: Path) -> Any:
    with mock.patch.dict(os.environ, {disk_cache.CACHE_VARIABLE: str(path.parent)}), mock.patch("sys.stderr"):
        return disk_cache.cached(path.stem, ["numbers", "names"], rebuilt)


def cache_entry(path: Path) -> None:
    disk_cache.write_npz(path, {"numbers": np.arange(40), "names": np.array(["a", "b"])})


def kernel(path: Path) -> None:
    with mock.patch.dict(os.environ, {disk_cache.CACHE_VARIABLE: str(path.parent)}):
        kernel_cache.save_kernel("module-0", "kernel", bytes(range(100)))
    path.write_bytes((path.parent / "kernels" / "module-0" / "kernel").read_bytes())


def read_kernel(path: Path) -> bytes:
    kept = path.parent / "kernels" / "module-0" / "kernel"
    kept.write_bytes(path.read_bytes())
    with mock.patch.dict(os.environ, {disk_cache.CACHE_VARIABLE: str(path.parent)}):
        found = kernel_cache.load_kernel("module-0", "kernel")
    return found if found is not None else rebuilt()


# data sets


@cache
def settings() -> Any:
    from gnnsched_env.hardware import load_fleet
    from gnnsched_env.predictors.datasets.dataset_files import dataset_settings
    from gnnsched_env.predictors.datasets.training_jobs import DatasetSpec

    spec = DatasetSpec(graphs=3, seed=0, chunk_jobs=3, most_vertices=50)
    return spec, dataset_settings(spec, load_fleet("hetero4"))


def chunk(path: Path) -> None:
    from gnnsched_env.predictors.datasets.dataset_files import provenance_of

    about = {"provenance": provenance_of(settings()[1], 0)}
    store.save(path, store.DATASET_CHUNK, about, {"cycles": np.arange(6).reshape(3, 2), "families": np.zeros(3)})


def read_chunk(path: Path) -> Any:
    from gnnsched_env.predictors.datasets.dataset_files import read_chunk

    return read_chunk(beside(path, "chunk-00000.npz").parent, *settings(), 0)


def description(path: Path) -> None:
    path.write_text(json.dumps(settings()[1]), encoding="utf-8")


def read_description(path: Path) -> Any:
    from gnnsched_env.predictors.datasets.dataset_files import check_version, read_settings

    folder = beside(path, "dataset.json").parent
    check_version(folder, found := read_settings(folder))
    return found


# checkpoints


@cache
def evolution() -> Any:
    from gnnsched_agents.methods.evolution import Evolution
    from tests.tiny_training import TINY

    return Evolution(TINY.method, TINY.workloads, 3)


def read_evolution(path: Path) -> Any:
    from gnnsched_agents.methods.evolution import STATE

    run = evolution()
    run.load(path)
    return {"generation": run.generation, **{name: getattr(run, name) for name in STATE}}


@cache
def forecast_training() -> Any:
    import torch

    from gnnsched_env.forecast.encoding.portions import Portion
    from gnnsched_env.forecast.models.network_settings import ConvolutionShape, NetworkSettings
    from gnnsched_env.forecast.training.network_training import Training
    from tests.forecast.little_samples import layout_sample

    sample = layout_sample()
    settings = NetworkSettings(model=ConvolutionShape(conv="none", width=4, depth=1), steps=2, configs_a_step=4)
    parts = [Portion(sample=sample, rows=np.arange(40))], [Portion(sample=sample, rows=np.arange(40, 60))]
    run = Training(settings, *parts, torch.device("cpu"))
    run.take_step()
    run.validate()
    return run


def read_forecast(path: Path) -> Any:
    run = forecast_training()
    run.load(path)
    return run


def forecast_content(run: Any) -> Any:
    networks = (run.network.state_dict(), run.averaged.state_dict(), run.best)
    return digest(*(value.numpy() for own in networks for value in own.values())), run.step, str(run.history)


def checkpoint(path: Path) -> None:
    import torch

    from gnnsched_env.nn.checkpoint import write_checkpoint

    write_checkpoint(path, "toy 1", "key", {"step": 3, "weights": torch.arange(6.0), "rows": np.arange(4)})


def read_checkpoint(path: Path) -> Any:
    import torch

    from gnnsched_env.nn.checkpoint import read_checkpoint

    return read_checkpoint(path, "toy 1", "key", torch.device("cpu"))


def sb3_model(path: Path) -> None:
    import torch

    from gnnsched_agents.sb3.saved_policy import CARD, card_of
    from gnnsched_baselines.learned.pair_network import initial_network

    network = initial_network(3, np.random.default_rng(0))
    tensors = {f"scorer.{name}": torch.from_numpy(np.array(value)) for name, value in vars_of(network).items()}
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps({CARD: card_of("a2c"), "num_timesteps": 3}))
        archive.writestr("policy.pth", buffer.getvalue())


def vars_of(network: Any) -> dict[str, Any]:
    from dataclasses import fields

    return {field.name: getattr(network, field.name) for field in fields(network)}


def read_sb3(path: Path) -> Any:
    from gnnsched_agents.sb3.saved_policy import read_network

    return read_network(path)


STORED = {
    "tree predictor": Kind(".npz", tree_predictor, read_predictor, tree_content),
    "GNN predictor": Kind(".npz", gnn_predictor, read_predictor, lambda found: (found.digest(), str(found.domain)),
                          ("torch", "torch_geometric"), slow=True),
    "forecast ranker": Kind(".npz", ranker("network"), read_ranker, network_content, TORCH, slow=True),
    "forecast ranker of trees": Kind(".npz", ranker("trees"), read_ranker,
                                     lambda found: (found.trees, digest(found.layouts)), TORCH),
    "TpuGraphs layouts": Kind(".npz", lambda path: toy_programs.save(path, toy_programs.layout_arrays()), read_layouts,
                              program_content),
    "TpuGraphs tiles": Kind(".npz", lambda path: toy_programs.save(path, toy_programs.tile_arrays()), read_tiles,
                            program_content),
    "cached configurations": Kind(".npy", kept_layouts, read_kept, digest),
    "disk cache": Kind(".npz", cache_entry, read_cached, lambda found: digest(*found.values())),
    "kernel cache": Kind("", kernel, read_kernel, bytes),
    "chunk of a data set": Kind(".npz", chunk, read_chunk, lambda found: (list(found), digest(*found.values()))),
    "data set's description": Kind(".json", description, read_description),
    "evolution checkpoint": Kind("", lambda path: evolution().save(path), read_evolution,
                                 lambda found: digest(*found.values())),
    "torch checkpoint": Kind(".pt", checkpoint, read_checkpoint,
                             lambda found: (found["step"], digest(found["weights"], found["rows"])), TORCH),
    "forecast checkpoint": Kind(".pt", lambda path: forecast_training().save(path), read_forecast, forecast_content,
                                TORCH, slow=True),
    "Stable-Baselines3 model": Kind(".zip", sb3_model, read_sb3,
                                    lambda found: (digest(*vars_of(found[0]).values()), str(found[1])), TORCH),
}  # fmt: skip
