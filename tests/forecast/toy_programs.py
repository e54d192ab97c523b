"""Small programs with the real files' arrays and types, as dictionaries and as files; change what a test is about.

Files are written with numpy alone, so that they do not depend on the package's own writer.
"""

from pathlib import Path

import numpy as np

CONVOLUTION, DOT, RESHAPE = 26, 34, 75
OPCODES = [63, 63, 2, CONVOLUTION, 13, DOT, RESHAPE, 2]
EDGES = [[2, 0], [3, 1], [3, 2], [4, 3], [5, 4], [6, 5], [7, 6]]
CONFIGURABLE = [3, 5, 6]
SHAPES = [[8, 16], [3, 3, 4, 8], [8, 16], [8, 5, 5, 64], [8, 5, 5, 64], [8, 32], [256], []]


def node_features(shapes):
    """Return float32 [n, 140] with shapes, their sums and products, and the layout rank - 1, ..., 0."""
    features = np.zeros((len(shapes), 140), dtype=np.float32)
    for row, shape in zip(features, shapes, strict=True):
        row[2 + len(shape)] = 1
        row[21 : 21 + len(shape)] = shape
        row[27], row[28] = sum(shape), np.prod(shape, dtype=np.float64)
        row[134 : 134 + len(shape)] = list(range(len(shape)))[::-1]
    return features


def layouts(count, *, seed=0, nodes=3):
    """Return float32 [count, nodes, 18]: each tensor open, or two dimensions in one of two orders."""
    choices = np.full((3, 6), -1.0, dtype=np.float32)
    choices[1, :2], choices[2, :2] = (3, 0), (0, 3)
    drawn = np.random.default_rng(seed).integers(0, 3, (count, nodes, 3))
    return choices[drawn].reshape(count, nodes, 18)


def layout_arrays(*, configs=9, seed=0, **changes):
    """Return a layout program's arrays; a change to None leaves an array out."""
    rng = np.random.default_rng(seed)
    arrays = {
        "node_feat": node_features(SHAPES),
        "node_opcode": np.array(OPCODES, dtype=np.uint8),
        "edge_index": np.array(EDGES, dtype=np.int64),
        "node_config_ids": np.array(CONFIGURABLE, dtype=np.int64),
        "node_config_feat": layouts(configs, seed=seed),
        "config_runtime": rng.integers(10**8, 2 * 10**8, configs),
        "node_splits": np.array([[0, 4, 8]], dtype=np.int64),
    }
    return _changed(arrays, changes)


def tile_arrays(*, configs=6, seed=0, **changes):
    """Return a tile program's arrays; a change to None leaves an array out."""
    rng = np.random.default_rng(seed)
    tiles = np.zeros((configs, 24), dtype=np.float32)
    tiles[:, 8:10] = 2 ** rng.integers(0, 6, (configs, 2))
    tiles[:, 14], tiles[:, 15] = tiles[:, 8:10].sum(axis=1), tiles[:, 8:10].prod(axis=1)
    arrays = {
        "node_feat": node_features(SHAPES),
        "node_opcode": np.array(OPCODES, dtype=np.uint8),
        "edge_index": np.array(EDGES, dtype=np.int64),
        "config_feat": tiles,
        "config_runtime": rng.integers(10**3, 10**4, configs),
        "config_runtime_normalizers": np.full(configs, 2_000, dtype=np.int64),
    }
    return _changed(arrays, changes)


def save(path, arrays):
    """Write the arrays as the real files are, a deflated npz; return the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


def layout_file(folder, name="toy", *, split="train", collection="layout/xla/default", **changes):
    """Write a layout program into its place under a root; return the path."""
    return save(Path(folder) / "npz" / collection / split / f"{name}.npz", layout_arrays(**changes))


def tile_file(folder, name="toy_tile", *, split="train", **changes):
    """Write a tile program into its place under a root; return the path."""
    return save(Path(folder) / "npz/tile/xla" / split / f"{name}.npz", tile_arrays(**changes))


def _changed(arrays, changes):
    return {name: array for name, array in (arrays | changes).items() if array is not None}
