"""Slow and obvious twins of the graph kernels, on sets and lists."""


def rows(num_vertices, edges, *, both_ways):
    """Return the sorted neighbours of each vertex."""
    found = [set() for _ in range(num_vertices)]
    for source, target in edges:
        found[source].add(target)
        if both_ways:
            found[target].add(source)
    return [sorted(neighbours) for neighbours in found]


def rows_of(graph):
    """Return the rows of a Graph as lists."""
    return [graph.indices[graph.indptr[v] : graph.indptr[v + 1]].tolist() for v in range(graph.num_vertices)]


def with_loops(graph_rows):
    """Return the rows of A+I."""
    return [sorted(set(row) | {v}) for v, row in enumerate(graph_rows)]


def disjoint_union(sets_of_rows):
    """Return the rows of the block-diagonal union."""
    union = []
    for graph_rows in sets_of_rows:
        base = len(union)
        union += [[base + neighbour for neighbour in row] for row in graph_rows]
    return union


def is_symmetric(graph_rows):
    """Does every entry have its reverse?"""
    return all(v in graph_rows[u] for v, row in enumerate(graph_rows) for u in row)


def rmat_cell(quadrants, levels, row, column):
    """Return the chance that R-MAT places an edge in one cell of its 2^levels x 2^levels matrix."""
    chance = 1.0
    for level in range(levels):
        chance *= quadrants[2 * (row >> level & 1) + (column >> level & 1)]
    return chance
