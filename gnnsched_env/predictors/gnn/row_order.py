"""Compiled kernel that composes predicted times of rows and row tiles in the dataflows' order, with gradients."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import helper, kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@kernel
def follow_order(
    times: FloatArray,
    nodes: IntArray,
    row_ptr: IntArray,
    tiles: FloatArray,
    lags: FloatArray,
    geometry: IntArray,
    total: FloatArray,
    by_time: FloatArray,
    by_tile: FloatArray,
    by_lag: FloatArray,
) -> None:
    """Fill `total` [C, P] with cycles, and its derivatives by `times` [U, P], `tiles` [C, P] and `lags` [C, P].

    Row r of class c, `row_ptr[c] <= r < row_ptr[c+1]`, takes `times[nodes[r], p]` under pair p; a row tile of the
    combination takes `tiles[c, p]`; all float64. `geometry` int64 [C, P, 7]: T_Va, T_Vc, rows of a pipeline chunk, is
    it SP, cycles of redistribution saved a row tile (numerator, denominator), of partial sums a row tile. A tile of
    T_Va rows takes as long as its longest row (the first of equals has the derivative). Chunk i of the aggregation runs
    beside chunk i-1 of the combination; with one chunk the phases follow each other. `lags` are subtracted at the end.
    """
    longest = np.empty(nodes.size, np.int64)
    for c in range(row_ptr.size - 1):
        own = nodes[row_ptr[c] : row_ptr[c + 1]]
        for p in range(geometry.shape[1]):
            t_va, t_vc, t_vp, is_sp, saved, saved_per, overhead = geometry[c, p]
            tile, row_tiles = tiles[c, p], (own.size + t_vc - 1) // t_vc
            clock, waited, last = _pipeline(times[:, p], own, tile, t_va, t_vc, t_vp, longest, by_time[:, p])
            by_tile[c, p] = waited + last
            if is_sp == 0:
                total[c, p] = clock + last * tile - lags[c, p]
                by_lag[c, p] = -1.0
                continue
            serial = clock + row_tiles * tile + row_tiles * overhead - row_tiles * saved // saved_per
            total[c, p] = max(serial, clock, row_tiles * tile)
            if serial < total[c, p] and clock == total[c, p]:
                by_tile[c, p] = 0.0
            elif serial < total[c, p]:
                for k in range((own.size + t_va - 1) // t_va):
                    by_time[longest[k], p] -= 1.0


@helper
def _pipeline(times, nodes, tile, t_va, t_vc, t_vp, longest, by_time):
    """Return when the overlapping aggregation ends, the number of row tiles that it waited for, and of those left.

    Fill `longest` with the node of each tile's longest row, and add to `by_time` where the aggregation did not wait.
    """
    rows = nodes.size
    t_vp = min(t_vp, rows)
    clock = 0.0
    waited = found = first = before = done = 0
    for i in range((rows + t_vp - 1) // t_vp):
        stop = min((i + 1) * t_vp, rows)
        chunk = 0.0
        opened = found
        while first < stop:
            best = nodes[first]
            for r in range(first + 1, min(first + t_va, rows)):
                if times[nodes[r]] > times[best]:
                    best = nodes[r]
            longest[found] = best
            found += 1
            chunk += times[best]
            first += t_va
        beside = done - before
        if chunk >= beside * tile:
            clock += chunk
            for k in range(opened, found):
                by_time[longest[k]] += 1.0
        else:
            clock += beside * tile
            waited += beside
        before = done
        done = (stop + t_vc - 1) // t_vc
    return clock, waited, done - before
