"""Little files of the data set's form, with known costs, for tests of scores and command lines."""

import numpy as np

from gnnsched_env.forecast.data.program import ProgramGraph
from gnnsched_env.forecast.data.program_writing import write_program

NODES = 12
LAYOUTS = np.array([[1, 0], [0, 1], [-1, -1]], np.int8)  # of the output's two dimensions


def graph(nodes=NODES, opcode=34):
    """Return a chain of operations, each reading the one before."""
    features = np.zeros((nodes, 140), np.float32)
    features[:, 21:23] = 64
    features[:, 27], features[:, 28], features[:, 135] = 128, 4096, 1
    opcodes = np.full(nodes, 2, np.uint8)
    opcodes[1::2] = opcode
    edges = np.column_stack([np.arange(1, nodes), np.arange(nodes - 1)])
    return ProgramGraph(node_features=features, opcodes=opcodes, edges=edges)


def layout_file(folder, *, name="little", configs=20, repeats=1, first=1, split="train", labelled=True, seed=0):
    """Write a layout file under `folder` (layout:xla:random) and return its path; runtimes add up over four nodes.

    `configs` different configurations are written `repeats` times, shuffled; `first` is the first configurable node.
    """
    rng = np.random.default_rng(seed)
    nodes = np.array([first, 5, 7, 9])
    every = np.array(list(np.ndindex(3, 3, 3, 3, 3, 3, 3, 3)))[:, :8]
    choices = every[rng.permutation(len(every))[:configs]]
    choices = choices[rng.permutation(np.repeat(np.arange(configs), repeats))]
    rows = np.full((len(choices), 4, 18), -1, np.int8)
    for tensor, start in enumerate((0, 6)):
        rows[:, :, start : start + 2] = LAYOUTS[choices[:, 4 * tensor : 4 * tensor + 4]]
    weights = np.random.default_rng(5).random((8, 3)) * 1e5  # the same costs in every file
    costs = 1e6 + sum(weights[k, choices[:, k]] for k in range(8)) + rng.random(len(choices)) * 100
    runtimes = costs.astype(np.int64) if labelled else np.zeros(len(choices), np.int64)
    path = folder / "npz" / "layout" / "xla" / "random" / split / f"{name}.npz"
    write_program(path, graph=graph(), configurable=nodes, configurations=rows, runtimes=runtimes)
    return path


def tile_file(folder, *, name="kernel", configs=20, repeats=1, split="train", labelled=True, seed=0):
    """Write a tile file under `folder` and return its path: large tiles are fast, as far as there is noise."""
    rng = np.random.default_rng(seed)
    bounds = np.zeros((configs, 24), np.float32)
    bounds[:, 8:10] = np.array(list(np.ndindex(100, 100)))[rng.permutation(10_000)[:configs]] + 1
    bounds[:, 14], bounds[:, 15] = bounds[:, 8:10].sum(axis=1), bounds[:, 8:10].prod(axis=1)
    order = rng.permutation(np.repeat(np.arange(configs), repeats))
    rows = bounds[order]
    costs = 1e5 * (1.0 + 50.0 / (10.0 + rows[:, 14])) + rng.random(len(rows)) * 10
    runtimes = costs.astype(np.int64) if labelled else np.zeros(len(rows), np.int64)
    normalizers = np.full(len(rows), 200_000 if labelled else 1)
    path = folder / "npz" / "tile" / "xla" / split / f"{name}.npz"
    write_program(path, graph=graph(opcode=26), configurations=rows, runtimes=runtimes, normalizers=normalizers)
    return path
