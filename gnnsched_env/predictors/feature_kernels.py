"""Compiled kernels of the predictors: summaries of row degrees, closed-form cycles, trees. Plain arrays in and out."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import helper, kernel

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Records = NDArray[np.void]

BINS = 1_024  # degrees from here on are counted together in shares and quantiles
SEQ, SP, PP = 0, 1, 2
LEAF = -1

# The closed form's constants of one tiling; `cycles.RowCost` explains the cost of a row.
CLOSED_FORM_DTYPE = np.dtype(
    [
        ("t_va", np.int64),
        ("t_n", np.int64),
        ("weights", np.int64),  # packets of adjacency values per fold and port
        ("inputs", np.int64),  # packets of features per fold, group and port
        ("groups", np.int64),  # groups of features
        ("lines", np.int64),  # clusters on the busiest collection line
        ("base", np.int64),  # cycles to it
        ("t_vc", np.int64),
        ("composition", np.int64),  # SEQ, SP or PP
        ("saved", np.int64),  # SP: row tiles * saved // saved_per cycles of redistribution saved
        ("saved_per", np.int64),
        ("overhead", np.int64),  # SP: cycles of partial sums a row tile
        ("tile_cycles", np.int64),  # a row tile of the combination
        ("stamps", np.int64),  # offset of the cycles [T_Vc] until rows 0..k of a row tile are written
    ]
)


@kernel
def degree_summary(
    degrees: IntArray, limits: IntArray, shares: FloatArray, widths: IntArray, heights: int
) -> FloatArray:
    """Return the features of row degrees, float64 [3 + limits + shares + widths + heights].

    Coefficient of variation, skewness, logarithm of 1 + the largest degree; share of rows up to each of `limits`;
    logarithm of 1 + the degree below which each of `shares` of the rows lie (at most BINS - 1); slots over entries
    where rows are folded by each of `widths`; and, for row tiles of 2, 4, ..., 2^heights rows, their longest rows
    times their height over the entries. A graph without entries counts as one entry.
    """
    rows = degrees.size
    out = np.empty(3 + limits.size + shares.size + widths.size + heights, np.float64)
    counts = np.zeros(BINS, np.int64)
    total = 0
    largest = 0
    for d in degrees:
        total += d
        largest = max(largest, d)
        counts[min(d, BINS - 1)] += 1
    mean = total / rows
    second = 0.0
    third = 0.0
    for d in degrees:
        off = d - mean
        second += off * off
        third += off * off * off
    deviation = np.sqrt(second / rows)
    out[0] = deviation / mean if mean > 0.0 else 0.0
    out[1] = third / rows / deviation**3 if deviation > 0.0 else 0.0
    out[2] = np.log1p(largest)
    at = 3
    for limit in limits:
        below = 0
        for d in range(min(limit, BINS - 1) + 1):
            below += counts[d]
        out[at] = below / rows
        at += 1
    for share in shares:
        d = 0
        below = counts[0]
        while below < share * rows:
            d += 1
            below += counts[d]
        out[at] = np.log1p(d)
        at += 1
    entries = max(1, total)
    top = min(largest, BINS - 2)
    for width in widths:
        folds = 0
        for d in range(top + 1):
            folds += counts[d] * max(1, (d + width - 1) // width)
        if counts[BINS - 1] > 0:
            for d in degrees:
                if d >= BINS - 1:
                    folds += (d + width - 1) // width
        out[at] = width * folds / entries
        at += 1
    tops = degrees.copy()
    tiles = rows
    for level in range(1, heights + 1):
        tiles = _pair_maxima(tops, tiles)
        longest = 0
        for i in range(tiles):
            longest += max(1, tops[i])
        out[at] = 2.0**level * longest / entries
        at += 1
    return out


@helper
def _pair_maxima(tops: IntArray, tiles: int) -> int:
    """Replace the maxima of `tiles` tiles by the maxima of pairs of neighbours, and return the number of pairs."""
    pairs = tiles // 2
    for i in range(pairs):
        tops[i] = max(tops[2 * i], tops[2 * i + 1])
    if tiles % 2 == 1:
        tops[pairs] = tops[tiles - 1]
    return pairs + tiles % 2


@kernel
def metadata_terms(rows: int, entries: int, records: Records, stamps: IntArray) -> FloatArray:
    """Return float64 [records, 2]: closed-form cycles of the combination, and of the whole layer.

    All rows have the mean degree; folds are not rounded. SPEC sections 4 to 6 with all quirks mended, but without
    the order in which the bus takes results.
    """
    out = np.empty((records.size, 2), np.float64)
    for j in range(records.size):
        record = records[j]
        t_va = record["t_va"]
        t_vc = record["t_vc"]
        step = _row_cycles(max(1.0, entries / rows / record["t_n"]), record)
        row_tiles = (rows + t_vc - 1) // t_vc
        agg = (rows + t_va - 1) // t_va * step
        cmb = float(row_tiles * record["tile_cycles"])
        both = agg + cmb
        if record["composition"] == SP:
            saved = row_tiles * record["saved"] // record["saved_per"]
            both = max(both - saved + row_tiles * record["overhead"], agg, cmb)
        elif record["composition"] == PP:
            t_vp = max(t_va, t_vc)
            chunks = (rows + t_vp - 1) // t_vp
            before = (chunks - 1) * t_vp
            last_a = (rows - before + t_va - 1) // t_va * step
            done_c = _combined(before, record, stamps) if chunks > 1 else 0
            last_c = _combined(rows, record, stamps) - done_c
            both = last_a + last_c
            if chunks > 1:
                whole_a = (agg - last_a) / (chunks - 1)
                whole_c = done_c / (chunks - 1)
                both = whole_a + (chunks - 2) * max(whole_a, whole_c) + max(last_a, whole_c) + last_c
        out[j, 0] = cmb
        out[j, 1] = both
    return out


@helper
def _combined(stop: int, record: Records, stamps: IntArray) -> int:
    """Return the cycle by which the combination has written all rows before `stop`."""
    tile = (stop - 1) // record["t_vc"]
    return tile * record["tile_cycles"] + stamps[record["stamps"] + (stop - 1) % record["t_vc"]]


@helper
def _row_cycles(folds: float, record: Records) -> float:
    """Return the cycles of a row with a number of folds, which may be fractional."""
    step = folds * record["inputs"]
    lines = record["lines"]
    return (
        folds * record["weights"]
        + record["base"]
        + max(step + lines * record["groups"], step * record["groups"] + lines)
    )


@helper
def _forest_sum(
    columns: FloatArray,
    features: IntArray,
    thresholds: FloatArray,
    children: IntArray,
    values: FloatArray,
    roots: IntArray,
) -> float:
    """Return the leaf values that one row's `columns` [columns] reach, summed over the trees.

    Nodes lie in one array: `features` int64 [nodes] (LEAF at a leaf), `thresholds` (go left if <=), `children`
    [nodes, 2] (greater than the node), `values`; `roots` [trees].
    """
    total = 0.0
    for root in roots:
        node = root
        while features[node] != LEAF:
            side = 0 if columns[features[node]] <= thresholds[node] else 1
            node = children[node, side]
        total += values[node]
    return total


@kernel
def corrected_cycles(
    rows: int,
    entries: int,
    widths: FloatArray,
    terms: FloatArray,
    features: IntArray,
    thresholds: FloatArray,
    children: IntArray,
    values: FloatArray,
    roots: IntArray,
    forest_ptr: IntArray,
) -> FloatArray:
    """Return float64 [P]: closed-form cycles of layers, corrected by trees and summed.

    `widths` float64 [L, 3] are the logarithms of a layer's widths, `terms` float64 [L, P, 2] its closed-form cycles
    (combination, whole). A pair's columns are log rows, log entries, log (1 + entries / rows), the widths, the
    logarithms of its cycles and of the combination over them; its forest gives the logarithm of the correction.
    """
    layers, pairs = terms.shape[:2]
    out = np.zeros(pairs, np.float64)
    columns = np.empty(8, np.float64)
    entries = max(1, entries)
    columns[0] = np.log(rows)
    columns[1] = np.log(entries)
    columns[2] = np.log1p(entries / rows)
    for i in range(layers):
        for k in range(3):
            columns[3 + k] = widths[i, k]
        for p in range(pairs):
            estimate = terms[i, p, 1]
            correction = 0.0
            if forest_ptr[p] < forest_ptr[p + 1]:
                columns[6] = np.log(estimate)
                columns[7] = np.log(terms[i, p, 0]) - columns[6]
                own = roots[forest_ptr[p] : forest_ptr[p + 1]]
                correction = _forest_sum(columns, features, thresholds, children, values, own)
            out[p] += estimate * np.exp(correction)
    return out
