"""Compiled kernels that take a graph: from row degrees, or from time stamps, to cycles. Plain arrays in and out."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import helper, kernel

IntArray = NDArray[np.int64]
Records = NDArray[np.void]  # of tilings.TILING_DTYPE; a single one in most kernels

WORD = 0xFFFFFFFF
UNDEFINED = -1
SEQ, SP, PP = 0, 1, 2
UNIFORM, VARYING, STATEFUL = 0, 1, 2
BANKS, BINS = 4, 256
MOST_DEGREE = 2**31 - 1  # all ones, so that degrees or-ed exceed it only if one of them does


@kernel
def row_folds(degrees: IntArray, t_n: int) -> IntArray:
    """Return the folds of each row, int64 [V]: its degree in units of T_N, rounded up; an empty row has one."""
    folds = np.empty(degrees.size, np.int64)
    for r in range(degrees.size):
        folds[r] = max(1, (degrees[r] + t_n - 1) // t_n)
    return folds


@kernel
def tile_clock(ts_agg: IntArray, t_va: int, last_row_only: bool) -> IntArray:
    """Return the clock after each tile of T_Va rows, int64 [tiles]: a tile costs the longest of its rows' steps."""
    rows = ts_agg.size
    clock = np.empty((rows + t_va - 1) // t_va, np.int64)
    now = 0
    for i in range(clock.size):
        first = i * t_va
        if last_row_only and first + t_va > rows:
            first = rows - 1
        slowest = 0
        for r in range(first, min((i + 1) * t_va, rows)):
            slowest = max(slowest, ts_agg[r] - (ts_agg[r - 1] if r > 0 else 0))
        now += slowest
        clock[i] = now
    return clock


@kernel
def literal_pipeline(ts_agg: IntArray, ts_cmb: IntArray, clock: IntArray, t_va: int, t_vp: int) -> int:
    """Return PP as the reference computes it (signed 32-bit), UNDEFINED where it would read outside its arrays."""
    rows = ts_agg.size
    if rows < 2 * t_vp:
        return UNDEFINED
    chunks = rows // t_vp
    last_a = 0
    last_c = 0
    step_c = 0
    total = 0
    for i in range(1, chunks + 1):
        a = ts_agg[i * t_vp - 1] if t_va == 1 else clock[i * t_vp // t_va - 1]
        step_a = (a - last_a) & WORD
        total += step_a if i == 1 else max(step_a, step_c)
        step_c = (ts_cmb[i * t_vp - 1] - last_c) & WORD
        last_a = a
        last_c = ts_cmb[i * t_vp - 1]
    if rows % t_vp == 0:
        total += step_c
    else:
        end = ts_agg[-1] if t_va == 1 else clock[-1]
        total += max((end - last_a) & WORD, step_c) + ts_cmb[-1] - last_c
    return ((total + (1 << 31)) & WORD) - (1 << 31)


@kernel
def mended_pipeline(ts_agg: IntArray, ts_cmb: IntArray, clock: IntArray, t_va: int, t_vp: int) -> int:
    """Return PP, defined for every V >= 1: chunk i of the aggregation runs beside chunk i-1 of the combination."""
    rows = ts_agg.size
    last_a = 0
    last_c = 0
    step_c = 0
    total = 0
    for first in range(0, rows, t_vp):
        stop = min(first + t_vp, rows)
        a = ts_agg[stop - 1] if t_va == 1 else clock[(stop + t_va - 1) // t_va - 1]
        total += max(a - last_a, step_c)
        latest = last_c
        for r in range(first, stop):
            latest = max(latest, ts_cmb[r])
        step_c = latest - last_c
        last_a = a
        last_c = latest
    return total + step_c


@kernel
def evaluate(
    degrees: IntArray, graph_ptr: IntArray, tilings: Records, tables: IntArray, heights: IntArray, out: IntArray
) -> int:
    """Add the cycles of every (graph, tiling) to `out`; return -1 where a degree is out of bounds (`out` is void).

    `degrees` int64 holds the graphs one after another, cut by `graph_ptr` int64 [graphs+1]; `tilings` are records;
    `heights` int64 [n, 2] are the distinct heights T_Va of row tiles, ascending from 1, each with the index of an
    earlier one that divides it; `out` int64 [graphs, columns]. All quirks mended.
    """
    rows = 1
    for i in range(graph_ptr.size - 1):
        rows = max(rows, graph_ptr[i + 1] - graph_ptr[i])
    banks = np.zeros(BANKS * BINS, np.int32)
    values = np.empty(rows + BINS, np.int64)
    counts = np.empty(rows + BINS, np.int64)
    clock = np.empty(rows, np.int64)
    slowest = np.empty((heights.shape[0], rows // 2 + 1), np.int64)
    for i in range(graph_ptr.size - 1):
        own = degrees[graph_ptr[i] : graph_ptr[i + 1]]
        bits, distinct = _distinct(own, banks, values, counts)
        if bits < 0 or bits > MOST_DEGREE:
            return -1
        _tile_maxima(own, heights, slowest)
        for j in range(tilings.size):
            cycles = _layer_cycles(own, bits, tilings[j], tables, values[:distinct], counts, slowest, clock)
            out[i, tilings[j]["column"]] += cycles
    return 0


@kernel
def evaluate_one(degrees: IntArray, tilings: Records, tables: IntArray, heights: IntArray, out: IntArray) -> int:
    """Evaluate one graph, as `evaluate` does many; `out` int64 [columns]."""
    graph_ptr = np.zeros(2, np.int64)
    graph_ptr[1] = degrees.size
    status: int = evaluate(degrees, graph_ptr, tilings, tables, heights, out.reshape((1, out.size)))
    return status


@helper
def _distinct(degrees: IntArray, banks: IntArray, values: IntArray, counts: IntArray) -> tuple[int, int]:
    """Fill the distinct degrees and their counts (degrees >= BINS one by one); return (all degrees or-ed, entries).

    `banks` int32 [BINS * BANKS] are partial histograms side by side, zero before and after: equal degrees in
    succession do not wait for each other.
    """
    rows = degrees.size
    found = 0
    bits = 0
    lanes = np.uint64(BANKS)
    bins = np.uint64(BINS)
    for r in range(rows):
        d = degrees[r]
        bits |= d
        if np.uint64(d) < bins:
            banks[np.uint64(d) * lanes + np.uint64(r) % lanes] += 1
        else:
            values[found] = d
            counts[found] = 1
            found += 1
    stop = 1
    while stop <= bits and stop < BINS:
        stop *= 2
    for d in range(BINS if bits < 0 else stop):
        count = 0
        for bank in range(BANKS * d, BANKS * (d + 1)):
            count += banks[bank]
            banks[bank] = 0
        if count > 0:
            values[found] = d
            counts[found] = count
            found += 1
    return bits, found


@helper
def _tile_maxima(degrees: IntArray, heights: IntArray, slowest: IntArray) -> None:
    """Fill the largest degree of each row tile, for every height above 1."""
    for h in range(1, heights.shape[0]):
        source = heights[h, 1]
        step = heights[h, 0] // heights[source, 0]
        size = (degrees.size + heights[source, 0] - 1) // heights[source, 0]
        _maxima(degrees if source == 0 else slowest[source], size, step, slowest[h])


@helper
def _maxima(below: IntArray, size: int, step: int, above: IntArray) -> None:
    """Fill the maximum of every `step` of the first `size` entries, the last ones perhaps fewer."""
    whole = size // step
    for i in range(whole):
        above[i] = below[i * step]
    stride = np.uint64(step)
    for k in range(1, step):
        entry = np.uint64(k)
        for i in range(np.uint64(whole)):
            above[i] = max(above[i], below[entry])
            entry += stride
    if whole * step < size:
        largest = 0
        for r in range(whole * step, size):
            largest = max(largest, below[r])
        above[whole] = largest


@helper
def _layer_cycles(
    degrees: IntArray,
    bits: int,
    tiling: Records,
    tables: IntArray,
    values: IntArray,
    counts: IntArray,
    slowest: IntArray,
    clock: IntArray,
) -> int:
    """Return the cycles of one layer of one graph under one tiling; `bits` bounds the degrees."""
    rows = degrees.size
    t_va = tiling["t_va"]
    t_vc = tiling["t_vc"]
    tiles = (rows + t_va - 1) // t_va
    kind = tiling["lag_kind"]
    by_rows = t_va == 1 and kind != STATEFUL
    if tiling["composition"] == PP:
        if by_rows and bits <= tiling["limit"] and tiling["phases"] == 1:
            return _row_pipeline(degrees, tiling, tables, clock)
        if kind == UNIFORM:
            _uniform_clock(degrees, degrees if t_va == 1 else slowest[tiling["clock"], :tiles], tiling, tables, clock)
        else:
            _stepwise_clock(degrees, tiling, tables, clock)
        return _pipeline(rows, tiling, tables, clock)
    agg = 0
    if by_rows:
        for i in range(values.size):
            agg += counts[i] * _duration(values[i], tiling, tables)
        agg -= _lag(degrees[rows - 1], tiling, tables)
    elif kind == UNIFORM:
        tops = slowest[tiling["clock"]]
        agg = -_first_tile_excess(degrees, tops[0], tiling, tables)
        for i in range(tiles):
            agg += _duration(tops[i], tiling, tables)
    else:
        _stepwise_clock(degrees, tiling, tables, clock)
        agg = clock[tiles - 1]
    row_tiles = (rows + t_vc - 1) // t_vc
    cmb = row_tiles * tiling["tile_cycles"]
    if tiling["composition"] == SEQ:
        return agg + cmb
    saved = row_tiles * tiling["saved"] // tiling["saved_per"]
    return max(agg + cmb - saved + row_tiles * tiling["overhead"], agg, cmb)


@helper
def _duration(degree: int, tiling: Records, tables: IntArray) -> int:
    """Return the cycles from the end of one row to the end of the next, which has this degree."""
    limit = tiling["limit"]
    if degree <= limit:
        return tables[tiling["durations"] + degree]
    t_n = tiling["t_n"]
    extra = (degree - limit + t_n - 1) // t_n
    return tables[tiling["durations"] + limit] + extra * tiling["duration_slope"]


@helper
def _lag(degree: int, tiling: Records, tables: IntArray) -> int:
    """Return the cycles from a row's stamp to its end (one state)."""
    if tiling["lag_kind"] == UNIFORM:
        return tiling["lag"]
    limit = tiling["limit"]
    at = min(degree, limit)
    lag = tables[tiling["durations"] + at] - tables[tiling["stamps"] + at]
    if degree > limit:
        t_n = tiling["t_n"]
        lag += (degree - limit + t_n - 1) // t_n * (tiling["duration_slope"] - tiling["stamp_slope"])
    return lag


@helper
def _first_tile_excess(degrees: IntArray, top: int, tiling: Records, tables: IntArray) -> int:
    """Return how much less than its largest degree says the first tile takes: row 0 has no lag before it."""
    lag = tiling["lag"]
    if lag == 0:
        return 0
    longest = _duration(degrees[0], tiling, tables) - lag
    for r in range(1, min(tiling["t_va"], degrees.size)):
        longest = max(longest, _duration(degrees[r], tiling, tables))
    return _duration(top, tiling, tables) - longest


@helper
def _uniform_clock(degrees: IntArray, tops: IntArray, tiling: Records, tables: IntArray, clock: IntArray) -> None:
    """Fill the clock after each tile from the largest degrees of the tiles."""
    limit = tiling["limit"]
    durations = tables[tiling["durations"] : tiling["durations"] + limit + 1]
    now = -_first_tile_excess(degrees, tops[0], tiling, tables)
    for i in range(tops.size):
        if tops[i] <= limit:
            now += durations[np.uint64(tops[i])]
        else:
            now += _duration(tops[i], tiling, tables)
        clock[i] = now


@helper
def _stepwise_clock(degrees: IntArray, tiling: Records, tables: IntArray, clock: IntArray) -> None:
    """Fill the clock after each tile row by row, where the lag of a row's last write behind its stamp varies."""
    limit = tiling["limit"]
    t_va = tiling["t_va"]
    t_n = tiling["t_n"]
    width = limit + 1 if tiling["lag_kind"] == STATEFUL else 0
    durations = tables[tiling["durations"] :]
    stamps = tables[tiling["stamps"] :]
    following = tables[tiling["following"] :]
    state = 0
    lag = 0
    now = 0
    tile = 0
    slowest = 0
    left = t_va
    for r in range(degrees.size):
        d = min(degrees[r], limit)
        at = state * width + d
        duration = durations[d]
        stamp = stamps[at]
        if degrees[r] > limit:
            extra = (degrees[r] - limit + t_n - 1) // t_n
            duration += extra * tiling["duration_slope"]
            stamp += extra * tiling["stamp_slope"]
        slowest = max(slowest, stamp + lag)
        lag = duration - stamp
        if width > 0:
            state = following[at]
        left -= 1
        if left == 0 or r == degrees.size - 1:
            now += slowest
            clock[tile] = now
            tile += 1
            slowest = 0
            left = t_va


@helper
def _row_pipeline(degrees: IntArray, tiling: Records, tables: IntArray, clock: IntArray) -> int:
    """Return PP where T_Va = 1, all degrees are in the tables and every row tile is alike.

    The clock is written for speed only: without it the sum would be compiled to gathers, four times as slow.
    """
    rows = degrees.size
    t_vc = tiling["t_vc"]
    limit = tiling["limit"]
    tile_cycles = tiling["tile_cycles"]
    durations = tables[tiling["durations"] : tiling["durations"] + limit + 1]
    lags = tiling["lag_kind"] == VARYING
    lag = tiling["lag"]
    stamps = tables[tiling["stamps"] :]
    latest = tables[tiling["latest"] :]
    now = 0
    last_a = 0
    step_c = 0
    total = 0
    row = np.uint64(0)
    one = np.uint64(1)
    for first in range(0, rows, t_vc):
        height = min(t_vc, rows - first)
        for _ in range(height):
            now += durations[np.uint64(degrees[row])]
            clock[row] = now
            row += one
        if lags:
            d = degrees[first + height - 1]
            lag = durations[d] - stamps[d]
        total += max(now - lag - last_a, step_c)
        last_a = now - lag
        step_c = tile_cycles
        if first == 0:
            step_c = latest[height - 1]
        elif height < t_vc:
            step_c = tile_cycles - latest[t_vc - 1] + latest[height - 1]
    return total + step_c


@helper
def _pipeline(rows: int, tiling: Records, tables: IntArray, clock: IntArray) -> int:
    """Return PP from the aggregation's clock: chunk i runs beside chunk i-1 of the combination."""
    t_va = tiling["t_va"]
    t_vc = tiling["t_vc"]
    t_vp = max(t_va, t_vc)
    even = tiling["phases"] == 1 and t_vp % t_vc == 0
    whole = t_vp // t_vc * tiling["tile_cycles"]
    last_a = 0
    last_c = 0
    step_c = 0
    total = 0
    tile = 0
    for first in range(0, rows, t_vp):
        stop = min(first + t_vp, rows)
        while tile * t_va < stop:
            tile += 1
        a = clock[tile - 1]
        total += max(a - last_a, step_c)
        if even and first > 0 and stop - first == t_vp:
            c = last_c + whole
        else:
            c = _combined(stop, tiling, tables)
        step_c = c - last_c
        last_a = a
        last_c = c
    return total + step_c


@helper
def _combined(stop: int, tiling: Records, tables: IntArray) -> int:
    """Return the cycle by which the combination has written all rows before `stop`."""
    t_vc = tiling["t_vc"]
    tile = (stop - 1) // t_vc
    phase = tile
    if tile >= tiling["phases"]:
        phase = tiling["phase_first"] + (tile - tiling["phase_first"]) % (tiling["phases"] - tiling["phase_first"])
    return tile * tiling["tile_cycles"] + tables[tiling["latest"] + phase * t_vc + (stop - 1) % t_vc]
