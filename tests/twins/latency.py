"""Slow, obvious twins of the predictors' kernels."""

import math

import numpy as np

BINS = 1_024


def degree_summary(degrees, limits, shares, widths, heights):
    """Return the features of row degrees, one after another."""
    degrees = [int(d) for d in degrees]
    rows, total = len(degrees), sum(degrees)
    mean = total / rows
    variance = sum((d - mean) ** 2 for d in degrees) / rows
    third = sum((d - mean) ** 3 for d in degrees) / rows
    values = [
        math.sqrt(variance) / mean if mean > 0 else 0.0,
        third / math.sqrt(variance) ** 3 if variance > 0 else 0.0,
        math.log1p(max(degrees)),
    ]
    values += [sum(d <= limit for d in degrees) / rows for limit in limits]
    capped = sorted(min(d, BINS - 1) for d in degrees)
    for share in shares:
        values.append(math.log1p(next(d for i, d in enumerate(capped, 1) if i >= share * rows)))
    entries = max(1, total)
    values += [w * sum(max(1, math.ceil(d / w)) for d in degrees) / entries for w in widths]
    for level in range(1, heights + 1):
        h = 2**level
        values.append(
            h * sum(max(1, *tile) if len(tile) > 1 else max(1, tile[0]) for tile in _tiles(degrees, h)) / entries
        )
    return values


def row_cycles(folds, record):
    """Return the cycles of a row of so many folds."""
    n, nx, lines = record["inputs"], record["groups"], record["lines"]
    return folds * record["weights"] + record["base"] + max(folds * n + lines * nx, folds * n * nx + lines)


def degree_terms(degrees, record, stamps):
    """Return (aggregation, combination, both) of one tiling; `stamps` are those of the record's own rows."""
    durations = [row_cycles(max(1, math.ceil(max(t) / record["t_n"])), record) for t in _tiles(degrees, record["t_va"])]
    rows, t_va, t_vc = len(degrees), record["t_va"], record["t_vc"]
    row_tiles = math.ceil(rows / t_vc)
    agg, cmb = sum(durations), row_tiles * record["tile_cycles"]
    if record["composition"] == 0:
        return agg, cmb, agg + cmb
    if record["composition"] == 1:
        saved = row_tiles * record["saved"] // record["saved_per"]
        return agg, cmb, max(agg + cmb - saved + row_tiles * record["overhead"], agg, cmb)
    t_vp = max(t_va, t_vc)
    ends = [min(first + t_vp, rows) for first in range(0, rows, t_vp)]
    a = [sum(durations[: math.ceil(end / t_va)]) for end in ends]
    c = [(end - 1) // t_vc * record["tile_cycles"] + stamps[(end - 1) % t_vc] for end in ends]
    steps_a, steps_c = np.diff([0, *a]).tolist(), np.diff([0, *c]).tolist()
    total = steps_a[0] + sum(max(steps_a[i], steps_c[i - 1]) for i in range(1, len(ends))) + steps_c[-1]
    return agg, cmb, total


def assortativity(graph):
    """Return the correlation of the degrees at both ends of the entries that are no loops."""
    x, y = [], []
    for row in range(graph.num_vertices):
        for other in graph.indices[graph.indptr[row] : graph.indptr[row + 1]]:
            if other != row:
                x.append(int(graph.degrees[row]))
                y.append(int(graph.degrees[other]))
    if len(set(x)) < 2 or len(set(y)) < 2:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def tree_sum(columns, forests, output):
    """Return one row's sum of the leaves of an output's trees, walked one by one."""
    total = 0.0
    for root in forests.roots[forests.forest_ptr[output] : forests.forest_ptr[output + 1]]:
        node = int(root)
        while forests.features[node] >= 0:
            node = int(forests.children[node][0 if columns[forests.features[node]] <= forests.thresholds[node] else 1])
        total += forests.values[node]
    return total


def _tiles(values, height):
    return [values[i : i + height] for i in range(0, len(values), height)]
