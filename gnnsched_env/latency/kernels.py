"""Compiled kernels of the predictors: summaries of row degrees, closed-form cycles, trees. Plain arrays in and out.

Everything called from a kernel here lives in this file.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
IndexArray = NDArray[np.integer[Any]]
FloatArray = NDArray[np.float64]
Records = NDArray[np.void]

BINS = 1_024  # degrees from here on are counted together in shares and quantiles
SEQ, SP, PP = 0, 1, 2
LEAF = -1

# What the closed form needs of one tiling. A row of S folds takes
# S * weights + max over i of (base_i + max(S * inputs + lines_i * groups, S * inputs * groups + lines_i)) cycles.
CLOSED_FORM_DTYPE = np.dtype(
    [
        ("t_va", np.int64),
        ("t_n", np.int64),
        ("weights", np.int64),  # packets of adjacency values a fold and port
        ("inputs", np.int64),  # packets of features a fold, group and port
        ("groups", np.int64),  # groups of features
        ("first_lines", np.int64),  # clusters on the busiest collection line, and the cycles to it
        ("first_base", np.int64),
        ("second_lines", np.int64),  # clusters on the line of the longest way, and the cycles to it
        ("second_base", np.int64),
        ("t_vc", np.int64),
        ("composition", np.int64),  # SEQ, SP or PP
        ("saved", np.int64),  # SP: row tiles * saved // saved_per cycles of redistribution saved
        ("saved_per", np.int64),
        ("overhead", np.int64),  # SP: cycles of partial sums a row tile
        ("tile_cycles", np.int64),  # a row tile of the combination
        ("stamps", np.int64),  # offset of the cycles [T_Vc] until rows 0..k of a row tile are written
    ]
)


kernel = njit(cache=True, error_model="numpy")
helper = njit(cache=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


@kernel
def degree_summary(
    degrees: IntArray, limits: IntArray, shares: FloatArray, widths: IntArray, heights: int
) -> FloatArray:
    """Return what the features say of row degrees, float64 [3 + limits + shares + widths + heights].

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
    """Replace the maxima of `tiles` tiles by those of two neighbours each, and return how many those are."""
    pairs = tiles // 2
    for i in range(pairs):
        tops[i] = max(tops[2 * i], tops[2 * i + 1])
    if tiles % 2 == 1:
        tops[pairs] = tops[tiles - 1]
    return pairs + tiles % 2


@kernel
def degree_terms(degrees: IntArray, records: Records, stamps: IntArray) -> FloatArray:
    """Return float64 [records, 3]: closed-form cycles of aggregation, combination and both, from ordered degrees.

    SPEC sections 4 to 6 with all quirks mended, except that the order in which the bus takes results is left out.
    """
    rows = degrees.size
    out = np.empty((records.size, 3), np.float64)
    counts = np.zeros(BINS, np.int64)
    beyond = False
    for d in degrees:
        counts[np.uint64(min(d, BINS - 1))] += 1
        beyond |= d >= BINS
    durations = np.empty(BINS, np.int64)
    tops = np.empty((rows + 1) // 2, np.int64)
    height = 0
    for j in range(records.size):
        record = records[j]
        t_va = record["t_va"]
        for d in range(BINS):
            if counts[d] > 0:
                durations[d] = _row_cycles(max(1, (d + record["t_n"] - 1) // record["t_n"]), record)
        if t_va > 1 and t_va != height:
            _tile_maxima(degrees, t_va, tops)
            height = t_va
        longest = degrees if t_va == 1 else tops[: (rows + t_va - 1) // t_va]
        row_tiles = (rows + record["t_vc"] - 1) // record["t_vc"]
        cmb = row_tiles * record["tile_cycles"]
        if record["composition"] == PP:
            agg, both = _pipeline(rows, longest, durations, beyond, record, stamps)
        else:
            agg = 0
            if t_va == 1 and not beyond:
                for d in range(BINS):
                    if counts[d] > 0:
                        agg += counts[d] * durations[d]
            else:
                for d in longest:
                    agg += _duration(d, durations, record)
            both = agg + cmb
            if record["composition"] == SP:
                saved = row_tiles * record["saved"] // record["saved_per"]
                both = max(both - saved + row_tiles * record["overhead"], agg, cmb)
        out[j, 0] = agg
        out[j, 1] = cmb
        out[j, 2] = both
    return out


@helper
def _duration(degree: int, durations: IntArray, record: Records) -> int:
    """Return the cycles of a row, from the table where that holds its degree."""
    if degree < BINS:
        return durations[np.uint64(degree)]
    return int(_row_cycles((degree + record["t_n"] - 1) // record["t_n"], record))


@kernel
def metadata_terms(rows: int, entries: int, records: Records, stamps: IntArray) -> FloatArray:
    """Return float64 [records, 3]: as `degree_terms`, if all rows had the mean degree (folds are not rounded)."""
    out = np.empty((records.size, 3), np.float64)
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
        out[j, 0] = agg
        out[j, 1] = cmb
        out[j, 2] = both
    return out


@helper
def _combined(stop: int, record: Records, stamps: IntArray) -> int:
    """Return the cycle by which the combination has written all rows before `stop`."""
    tile = (stop - 1) // record["t_vc"]
    return tile * record["tile_cycles"] + stamps[record["stamps"] + (stop - 1) % record["t_vc"]]


@helper
def _row_cycles(folds: float, record: Records) -> float:
    """Return the cycles of a row of so many folds, an integer or not."""
    first = _line_cycles(folds, record, record["first_lines"], record["first_base"])
    second = _line_cycles(folds, record, record["second_lines"], record["second_base"])
    return folds * record["weights"] + max(first, second)


@helper
def _line_cycles(folds: float, record: Records, lines: int, base: int) -> float:
    """Return the cycles from a row's last weight to its last result on one line that takes `lines` results a group."""
    step = folds * record["inputs"]
    return base + max(step + lines * record["groups"], step * record["groups"] + lines)


@helper
def _tile_maxima(degrees: IntArray, height: int, tops: IntArray) -> None:
    """Fill the largest degree of each tile of `height` rows."""
    for tile in range((degrees.size + height - 1) // height):
        longest = 0
        for r in range(tile * height, min((tile + 1) * height, degrees.size)):
            longest = max(longest, degrees[r])
        tops[tile] = longest


@helper
def _pipeline(
    rows: int, longest: IntArray, durations: IntArray, beyond: bool, record: Records, stamps: IntArray
) -> tuple[int, int]:
    """Return (aggregation, PP): chunk i of the aggregation runs beside chunk i-1 of the combination."""
    t_va = record["t_va"]
    t_vc = record["t_vc"]
    t_vp = max(t_va, t_vc)
    clock = 0
    total = 0
    step_c = 0
    tile = 0
    last_c = 0
    for first in range(0, rows, t_vp):
        stop = min(first + t_vp, rows)
        end = (stop + t_va - 1) // t_va
        step_a = 0
        if beyond:
            for i in range(tile, end):
                step_a += _duration(longest[i], durations, record)
        else:
            for i in range(np.uint64(tile), np.uint64(end)):
                step_a += durations[np.uint64(longest[i])]
        tile = end
        clock += step_a
        total += max(step_a, step_c)
        c = _combined(stop, record, stamps)
        step_c = c - last_c
        last_c = c
    return clock, total + step_c


@kernel
def assortativity(indptr: IntArray, indices: IndexArray) -> float:
    """Return the Pearson correlation of the degrees at both ends of the entries, loops left out; 0 if undefined."""
    n = 0
    sum_x = 0.0
    sum_y = 0.0
    sum_xx = 0.0
    sum_yy = 0.0
    sum_xy = 0.0
    for row in range(indptr.size - 1):
        x = float(indptr[row + 1] - indptr[row])
        for entry in range(indptr[row], indptr[row + 1]):
            other = indices[entry]
            if other != row:
                y = float(indptr[other + 1] - indptr[other])
                n += 1
                sum_x += x
                sum_y += y
                sum_xx += x * x
                sum_yy += y * y
                sum_xy += x * y
    if n == 0:
        return 0.0
    spread = (n * sum_xx - sum_x * sum_x) * (n * sum_yy - sum_y * sum_y)
    return (n * sum_xy - sum_x * sum_y) / np.sqrt(spread) if spread > 0.0 else 0.0


@kernel
def tree_sums(
    columns: FloatArray,
    features: IntArray,
    thresholds: FloatArray,
    children: IntArray,
    values: FloatArray,
    roots: IntArray,
) -> FloatArray:
    """Return float64 [rows]: for each row of `columns` [rows, columns], the leaf values of all trees summed.

    Nodes lie in one array: `features` int64 [nodes] (LEAF at a leaf), `thresholds` (go left if <=), `children`
    [nodes, 2] (greater than the node), `values`; `roots` [trees].
    """
    out = np.zeros(columns.shape[0], np.float64)
    for i in range(columns.shape[0]):
        for root in roots:
            node = root
            while features[node] != LEAF:
                side = 0 if columns[i, features[node]] <= thresholds[node] else 1
                node = children[node, side]
            out[i] += values[node]
    return out


@kernel
def add_layer_cycles(
    common: FloatArray,
    terms: FloatArray,
    features: IntArray,
    thresholds: FloatArray,
    children: IntArray,
    values: FloatArray,
    roots: IntArray,
    forest_ptr: IntArray,
    out: FloatArray,
) -> None:
    """Add the predicted cycles of one layer under each pair to `out` float64 [P].

    Pair p's columns are `common` and the logarithms of its closed-form cycles, of the aggregation's and of the
    combination's share of them (`terms` float64 [P, 3]); its forest predicts the logarithm of a correction.
    """
    columns = np.empty(common.size + 3, np.float64)
    columns[: common.size] = common
    for p in range(out.size):
        estimate = terms[p, 2]
        columns[common.size] = np.log(estimate)
        columns[common.size + 1] = np.log(terms[p, 0]) - np.log(estimate)
        columns[common.size + 2] = np.log(terms[p, 1]) - np.log(estimate)
        correction = 0.0
        for t in range(forest_ptr[p], forest_ptr[p + 1]):
            node = roots[t]
            while features[node] != LEAF:
                side = 0 if columns[features[node]] <= thresholds[node] else 1
                node = children[node, side]
            correction += values[node]
        out[p] += estimate * np.exp(correction)
