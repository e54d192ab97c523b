"""Molecule-like graphs: trees with rings of five and six, no vertex above degree 4 (compare MUTAG)."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import helper, kernel
from gnnsched_env.graphs.generators.pairs import check_shares, check_vertices
from gnnsched_env.graphs.graph import Graph

HIGHEST_DEGREE = 4

I64 = NDArray[np.int64]


def molecule_graph(
    rng: np.random.Generator,
    vertices: int,
    *,
    ring_share: float = 0.8,
    fused_share: float = 0.6,
    hexagon_share: float = 0.85,
    branching: float = 0.1,
) -> Graph:
    """Grow a connected graph of exactly `vertices`, atom by atom and ring by ring.

    Each step adds a ring with probability `ring_share` (if it still fits), else one atom. A ring is a hexagon with
    probability `hexagon_share`, else a pentagon; with probability `fused_share` it shares an edge with a ring already
    there, else it hangs on an atom. `branching` is the relative chance that an atom of degree 3 gets a fourth bond.
    The defaults come near MUTAG's mean degree and number of rings.
    """
    vertices = check_vertices("molecule", vertices, 1)
    shares = {"ring_share": ring_share, "fused_share": fused_share, "hexagon_share": hexagon_share}
    bonds = _grow(rng, vertices, *check_shares("molecule", **shares, branching=branching))
    return Graph.from_edges(vertices, bonds[0], bonds[1], name="molecule")


@helper
def _open_atom(rng: np.random.Generator, degrees: I64, count: int, branching: float) -> int:
    """Return a random atom that can take one more bond; an end of a chain can, so the search ends."""
    while True:
        atom = int(rng.random() * count)
        if degrees[atom] < HIGHEST_DEGREE - 1 or (degrees[atom] < HIGHEST_DEGREE and rng.random() < branching):
            return atom


@helper
def _open_bond(rng: np.random.Generator, degrees: I64, bonds: I64, ring_bonds: I64, count: int) -> int:
    """Return a ring bond whose two atoms have degree 2, so that a ring can share it, or -1 if some tries find none."""
    if count == 0:
        return -1
    for _ in range(8):
        bond: int = ring_bonds[int(rng.random() * count)]
        if degrees[bonds[0, bond]] == 2 and degrees[bonds[1, bond]] == 2:
            return bond
    return -1


@kernel
def _grow(
    rng: np.random.Generator,
    vertices: int,
    ring_share: float,
    fused_share: float,
    hexagon_share: float,
    branching: float,
) -> I64:
    """Return the bonds, int64 [2, bonds]: every step draws one path of new atoms, closed or not."""
    degrees = np.zeros(vertices, dtype=np.int64)
    bonds = np.empty((2, 2 * vertices), dtype=np.int64)
    ring_bonds = np.empty(2 * vertices, dtype=np.int64)
    total = 0
    in_rings = 0
    count = 1
    while count < vertices:
        size = 6 if rng.random() < hexagon_share else 5
        ring = rng.random() < ring_share and vertices - count >= size
        shared = -1
        if ring and rng.random() < fused_share:
            shared = _open_bond(rng, degrees, bonds, ring_bonds, in_rings)
        start = bonds[0, shared] if shared >= 0 else _open_atom(rng, degrees, count, branching)
        # A new ring hangs by a bond on its first new atom; a fused one joins the two ends of the shared bond.
        fresh = size - 2 if shared >= 0 else (size if ring else 1)
        for step in range(fresh + ring):
            head = start if step == 0 else count + step - 1
            tail = count + step if step < fresh else (bonds[1, shared] if shared >= 0 else count)
            if ring and (step > 0 or shared >= 0):
                ring_bonds[in_rings] = total
                in_rings += 1
            bonds[0, total] = head
            bonds[1, total] = tail
            degrees[head] += 1
            degrees[tail] += 1
            total += 1
        count += fresh
    return bonds[:, :total]
