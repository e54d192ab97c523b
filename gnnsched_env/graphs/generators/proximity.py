"""Points in space joined to those near them: proteins, superpixels, meshes, point clouds."""

import math

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.graphs.generators.pairs import check_count, check_range, check_vertices
from gnnsched_env.graphs.graph import Graph

FloatArray = NDArray[np.float64]


def nearest_graph(
    rng: np.random.Generator, vertices: int, *, nearest: int = 3, dimensions: int = 3, chain: bool = False
) -> Graph:
    """Join each of the points to its `nearest` others (either way counts).

    Points are uniform in a cube; with `chain` they are a folded random walk whose steps are edges too, as a protein's
    backbone (compare PROTEINS, ENZYMES: three nearest in space, and neighbours in sequence).
    """
    vertices = check_vertices("nearest", vertices)
    nearest = check_count("nearest", "nearest", nearest, 1, vertices - 1)
    dimensions = check_count("nearest", "dimensions", dimensions, 1, 3)
    from scipy.spatial import cKDTree

    points = _walk(rng, vertices, dimensions) if chain else rng.random((vertices, dimensions))
    found = cKDTree(points).query(points, k=nearest + 1)[1][:, 1:].reshape(-1)
    sources = np.repeat(np.arange(vertices), nearest)
    kept = sources != found
    steps = np.arange(vertices - 1 if chain else 0)
    return Graph.from_edges(
        vertices, np.concatenate([sources[kept], steps]), np.concatenate([found[kept], steps + 1]), name="nearest"
    )


def geometric_graph(rng: np.random.Generator, vertices: int, *, mean_degree: float, dimensions: int = 2) -> Graph:
    """Join uniform points of the unit torus that lie within one radius, chosen for `mean_degree` (Poisson-like)."""
    vertices = check_vertices("geometric", vertices)
    mean_degree = check_range("geometric", "mean_degree", mean_degree, 0, vertices - 1)
    dimensions = check_count("geometric", "dimensions", dimensions, 1, 3)
    from scipy.spatial import cKDTree

    ball = math.pi ** (dimensions / 2) / math.gamma(dimensions / 2 + 1)  # volume of the unit ball
    radius = (mean_degree / (vertices - 1) / ball) ** (1 / dimensions)
    tree = cKDTree(rng.random((vertices, dimensions)), boxsize=1.0)
    pairs = tree.query_pairs(radius, output_type="ndarray")
    return Graph.from_edges(vertices, pairs[:, 0], pairs[:, 1], name="geometric")


def _walk(rng: np.random.Generator, vertices: int, dimensions: int) -> FloatArray:
    """Return a random walk folded into a cube, about one point a unit of volume: float64 [vertices, dimensions]."""
    side = vertices ** (1 / dimensions)
    walk = np.cumsum(rng.normal(size=(vertices, dimensions)), axis=0)
    folded: FloatArray = np.abs((walk + rng.uniform(0.0, side)) % (2.0 * side) - side)
    return folded
