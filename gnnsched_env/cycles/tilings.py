"""Compiled kernels that need no graph: how one phase is laid out on its array, and the replay of its jobs.

A phase (aggregation or combination) runs jobs (rows, or tiles of rows) on clusters of PEs. `phase_layout` works out,
once, when each cluster's results reach the collection bus and which bus line takes them; `replay` then runs any
sequence of jobs from that layout, event by event.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import announced, helper, kernel

IntArray = NDArray[np.int64]

NEVER = 1 << 62
FREE = -1  # marks a kind without a PE on a port class
UNIFORM, VARYING, STATEFUL = 0, 1, 2
BATCH = 1 << 20  # a batch of results is encoded in one number: its cycle * BATCH + its size


# One tiling, compiled without a graph. Tables are slices of one flat int64 array, in steps of one degree up to `limit`.
TILING_DTYPE = np.dtype(
    [
        ("column", np.int64),  # where the result is added
        ("composition", np.int64),  # SEQ, SP or PP
        ("clock", np.int64),  # index of T_Va in the list of row-tile heights
        ("t_va", np.int64),
        ("t_vc", np.int64),
        ("t_n", np.int64),
        ("limit", np.int64),  # the largest degree in the tables, a multiple of T_N
        ("durations", np.int64),  # offset of the row durations D [limit+1]
        ("duration_slope", np.int64),  # growth of D per fold above the limit
        ("lag_kind", np.int64),  # UNIFORM: D - O is `lag` always; VARYING: one state; STATEFUL: several
        ("lag", np.int64),
        ("stamps", np.int64),  # offset of the stamps O [states, limit+1], cycles from the last row's end
        ("stamp_slope", np.int64),
        ("following", np.int64),  # offset of the next states [states, limit+1]
        ("tile_cycles", np.int64),  # a row tile of the combination
        ("phase_first", np.int64),  # the arbiters' phases of row tiles: 0..phases-1, then again from phase_first
        ("phases", np.int64),
        ("latest", np.int64),  # offset of the latest stamps [phases, T_Vc] of rows 0..k of a tile
        ("saved", np.int64),  # SP: cV * saved // saved_per are the cycles of redistribution saved
        ("saved_per", np.int64),
        ("overhead", np.int64),  # SP: cycles of partial sums a row tile
    ]
)


class PhaseLayout(NamedTuple):
    """One phase on its array; clusters that always receive results together share a kind, likewise ports a class."""

    members: IntArray  # [clusters, 2] (cluster, its kind), grouped by line in the order of the line's inputs
    line_ptr: IntArray  # [lines+1] slices of members; lines in increasing number, those that no cluster uses left out
    classes: IntArray  # [classes, 2] weight packets and input packets per fold
    offsets: IntArray  # [kinds, classes] cycles from the class's departure of the last packet to the bus, or FREE
    links: IntArray  # [2] distribution links of all weight packets and of all input packets of a fold


@kernel
def phase_layout(pe: int, dn: int, rn: int, size: int, clusters: int, columns: int) -> PhaseLayout:
    """Lay out `clusters` clusters of `size` PEs; `columns` = T_G for the combination, 0 for the aggregation."""
    hops = np.zeros(size * clusters, np.int64)
    line = np.empty(clusters, np.int64)
    place = np.empty(clusters, np.int64)
    for v in range(clusters):
        _route(pe, rn, size, v, hops, line, place)
    port_class, classes, links = _ports(pe // dn, size * clusters, size, columns)
    cluster_kind, offsets = _kinds(pe // dn, size, clusters, columns, hops, port_class, classes.shape[0])
    keys = np.empty(clusters, np.int64)
    for v in range(clusters):
        keys[v] = (line[v] * BATCH + place[v]) * BATCH + v
    _sort(keys)
    members = np.empty((clusters, 2), np.int64)
    line_ptr = np.empty(clusters + 1, np.int64)
    lines = 0
    for i in range(clusters):
        v = keys[i] % BATCH
        members[i, 0] = v
        members[i, 1] = cluster_kind[v]
        if i == 0 or keys[i] // (BATCH * BATCH) != keys[i - 1] // (BATCH * BATCH):
            line_ptr[lines] = i
            lines += 1
    line_ptr[lines] = clusters
    return PhaseLayout(members, line_ptr[: lines + 1], classes, offsets, links)


@kernel
def line_profile(pe: int, rn: int, size: int, clusters: int) -> IntArray:
    """Return int64 [clusters, 2]: how many clusters share a cluster's collection line, and its longest way in hops."""
    hops = np.zeros(size * clusters, np.int64)
    line = np.empty(clusters, np.int64)
    place = np.empty(clusters, np.int64)
    counts = np.zeros(rn, np.int64)
    for v in range(clusters):
        _route(pe, rn, size, v, hops, line, place)
        counts[line[v]] += 1
    out = np.zeros((clusters, 2), np.int64)
    for v in range(clusters):
        out[v, 0] = counts[line[v]]
        for k in range(v * size, (v + 1) * size):
            out[v, 1] = max(out[v, 1], hops[k])
    return out


@announced("the cost model's general path", 20)
@kernel
def replay(
    layout: PhaseLayout,
    folds: IntArray,
    groups: int,
    threshold: int,
    config: int,
    halve: bool,
    pointers: IntArray,
    slots: IntArray,
    slot_count: int,
    stamps: IntArray,
) -> int:
    """Run jobs to their last write and return its cycle (the first job may launch at cycle 1).

    `folds` int64 [jobs]; job t launches once t * `threshold` results are written and job t-1 is pushed, and starts
    `config` cycles later. `halve`: only half of the queued results are written in a cycle. `pointers` int64 [lines] is
    the arbiters' state, updated. A cluster v with `slots[v]` >= 0 leaves the write cycle of its last group in job t
    at `stamps[t * slot_count + slots[v]]`.
    """
    jobs = folds.size
    kinds, classes = layout.offsets.shape
    lines = layout.line_ptr.size - 1
    clusters = layout.members.shape[0]
    begins = np.empty((jobs, classes), np.int64)
    departed = np.full(classes, -NEVER, np.int64)
    kind_job = np.zeros(kinds, np.int64)
    kind_group = np.zeros(kinds, np.int64)
    kind_time = np.full(kinds, NEVER, np.int64)
    member_ptr, members, line_of = _by_kind(layout)
    waiting = np.zeros(clusters, np.int64)
    cluster_job = np.zeros(clusters, np.int64)
    cluster_group = np.zeros(clusters, np.int64)
    backlog = np.zeros(lines, np.int64)
    stamped = np.empty((jobs * slot_count + 1, 2), np.int64)
    stamps_in = 0
    stamps_out = 0
    total = jobs * groups * clusters
    launched = 0
    ready = 1
    written = 0
    appended = 0
    emitted = 0
    pending = 0
    next_arrival = NEVER
    cycle = 1
    end = 0
    while True:
        if launched < jobs and cycle >= ready and written >= launched * threshold:
            start = cycle + config
            s = folds[launched]
            for k in range(classes):
                begins[launched, k] = max(start, departed[k] + 1)
                packets = s * (layout.classes[k, 0] + groups * layout.classes[k, 1])
                departed[k] = begins[launched, k] + packets - 1
            launched += 1
            ready = start + s + s * groups
            for k in range(kinds):
                if kind_job[k] == launched - 1:
                    kind_time[k] = _arrival(layout, k, begins, launched - 1, s, 0)
                    next_arrival = min(next_arrival, kind_time[k])
        appended = emitted
        if appended > written:
            count = appended - written
            written += (count + 1) // 2 if halve else count
            end = cycle
            while stamps_out < stamps_in and stamped[stamps_out, 0] < written:
                stamps[stamped[stamps_out, 1]] = cycle
                stamps_out += 1
            if written == total:
                return end
        if cycle == next_arrival:
            next_arrival = NEVER
            for k in range(kinds):
                if kind_time[k] == cycle:
                    for i in range(member_ptr[k], member_ptr[k + 1]):
                        waiting[members[i]] += 1
                        backlog[line_of[members[i]]] += 1
                    pending += member_ptr[k + 1] - member_ptr[k]
                    kind_group[k] += 1
                    if kind_group[k] == groups:
                        kind_group[k] = 0
                        kind_job[k] += 1
                    job = kind_job[k]
                    if job < launched:
                        kind_time[k] = _arrival(layout, k, begins, job, folds[job], kind_group[k])
                    else:
                        kind_time[k] = NEVER
                next_arrival = min(next_arrival, kind_time[k])
        if pending > 0:
            for w in range(lines):
                if backlog[w] == 0:
                    continue
                first = layout.line_ptr[w]
                inputs = layout.line_ptr[w + 1] - first
                at = pointers[w]
                while waiting[first + at] == 0:
                    at = at + 1 if at + 1 < inputs else 0
                v = first + at
                pointers[w] = at + 1 if at + 1 < inputs else 0
                waiting[v] -= 1
                backlog[w] -= 1
                pending -= 1
                cluster_group[v] += 1
                if cluster_group[v] == groups:
                    slot = slots[layout.members[v, 0]]
                    if slot >= 0:
                        stamped[stamps_in, 0] = emitted
                        stamped[stamps_in, 1] = cluster_job[v] * slot_count + slot
                        stamps_in += 1
                    cluster_group[v] = 0
                    cluster_job[v] += 1
                emitted += 1
        if pending > 0 or emitted > written:
            cycle += 1
        else:
            following = next_arrival
            if launched < jobs and written >= launched * threshold:
                following = min(following, max(cycle + 1, ready))
            if following == NEVER:
                return -1
            cycle = following


@announced("the cost model", 40)
@kernel
def compile_tables(
    shape: tuple[int, ...], budget: int, most_phases: int, common_degrees: int
) -> tuple[NDArray[np.void], IntArray]:
    """Compile one tiling, all quirks mended: a record of TILING_DTYPE [1] and its tables, offsets counted from 0.

    `shape` = (F, combination width, G, T_Va, T_N, T_Fa, T_Vc, T_G, T_Fc, then PEs, distribution ports and collection
    lines of the aggregation and of the combination). Tables reach `common_degrees` at least, where one state suffices.
    The tables are empty where more than `budget` results or `most_phases` row tiles would have to be followed.
    """
    width, cmb_width, out_width, t_va, t_n, t_fa, t_vc, t_g, t_fc, a_pe, a_dn, a_rn, c_pe, c_dn, c_rn = shape
    records = np.zeros(1, TILING_DTYPE)
    record = records[0]
    record["t_va"] = t_va
    record["t_vc"] = t_vc
    record["t_n"] = t_n
    nothing = np.zeros(0, np.int64)
    aggregation = phase_layout(a_pe, a_dn, a_rn, t_n, t_fa, 0)
    durations, stamps, following = _row_table(aggregation, (width + t_fa - 1) // t_fa, (width - 1) % t_fa, budget)
    if stamps.shape[0] == 0:
        return records, nothing
    folds = (cmb_width + t_fc - 1) // t_fc
    combination = phase_layout(c_pe, c_dn, c_rn, t_fc, t_vc * t_g, t_g)
    cycles, first, latest = _tile_table(combination, folds, out_width, t_g, t_vc, most_phases)
    if first < 0:
        return records, nothing
    record["tile_cycles"] = cycles
    record["phase_first"] = first
    record["phases"] = latest.shape[0]
    record["saved"] = folds * c_pe
    record["saved_per"] = c_dn
    if folds > 1:
        record["overhead"] = (out_width * t_vc * folds + c_pe - 1) // c_pe
    known = durations.size - 1
    record["duration_slope"] = durations[known] - durations[known - 1]
    record["stamp_slope"] = stamps[0, known] - stamps[0, known - 1]
    record["lag"] = durations[1] - stamps[0, 1]
    record["lag_kind"] = STATEFUL if stamps.shape[0] > 1 else UNIFORM
    for s in range(1, known + 1):
        if record["lag_kind"] == UNIFORM and durations[s] - stamps[0, s] != record["lag"]:
            record["lag_kind"] = VARYING
    most = known if record["lag_kind"] == STATEFUL else max(known, common_degrees // t_n)
    record["limit"] = most * t_n
    states = 0 if record["lag_kind"] == UNIFORM else stamps.shape[0]
    size = most * t_n + 1
    record["stamps"] = size
    record["following"] = size * (1 + states)
    record["latest"] = size * (1 + 2 * states)
    tables = np.empty(size * (1 + 2 * states) + latest.size, np.int64)
    _by_degree(durations, t_n, record["duration_slope"], tables[:size])
    for state in range(states):
        _by_degree(stamps[state], t_n, record["stamp_slope"], tables[size * (1 + state) : size * (2 + state)])
        at = size * (1 + states + state)
        _by_degree(following[state], t_n, 0, tables[at : at + size])
    for i in range(latest.shape[0]):
        for k in range(t_vc):
            tables[record["latest"] + i * t_vc + k] = latest[i, k]
    return records, tables


@helper
def _row_table(layout: PhaseLayout, groups: int, target: int, budget: int) -> tuple[IntArray, IntArray, IntArray]:
    """Tabulate one row of the aggregation by its folds, all results being written as they come (Q1 mended).

    Returns `durations` int64 [limit+1], from the last write of the row before to that of this row; `stamps`
    [states, limit+1], from the former to the write of cluster `target` in the last group; and `following`
    [states, limit+1], the next state. The state is the arbiter pointer of the target's line (initially 0);
    durations do not depend on it. Index 0 is unused; a table's last step repeats beyond its end (`_affine_from`).
    `stamps` is empty where the tables would follow more than `budget` results.
    """
    limit = _affine_from(layout) + 1
    durations = np.zeros(limit + 1, np.int64)
    line_ends = np.zeros((1, limit + 1), np.int64)
    zeros = np.zeros((1, limit + 1), np.int64)
    if limit * groups * layout.members.shape[0] > budget:
        return durations, line_ends[:0].copy(), zeros
    counts, target_line, target_place = _line_classes(layout, target)
    own = counts.shape[0] - 1
    begins = np.full((1, layout.classes.shape[0]), 2, np.int64)
    for s in range(1, limit + 1):
        for i in range(own):
            durations[s] = max(durations[s], _line_end(layout, begins, counts[i], s, groups) + 1)
        line_ends[0, s] = _line_end(layout, begins, counts[own], s, groups) + 1
    first = layout.line_ptr[target_line]
    inputs = layout.line_ptr[target_line + 1] - first
    if counts[own, layout.members[first + target_place, 1]] == inputs:
        return durations, line_ends - (inputs - 1 - target_place), zeros
    line = PhaseLayout(
        layout.members[first : first + inputs].copy(),
        np.array([0, inputs]),
        layout.classes,
        layout.offsets,
        layout.links,
    )
    stamps, following = _pointer_tables(line, layout.members.shape[0], groups, target, limit, budget)
    return durations, stamps, following


@helper
def _tile_table(
    layout: PhaseLayout, folds: int, out_width: int, t_g: int, t_vc: int, most: int
) -> tuple[int, int, IntArray]:
    """Tabulate the serial, drained row tiles of the combination, all results being written as they come.

    Returns (cycles a tile, p, `latest` int64 [phases, T_Vc]): each tile ends `cycles` after the one before, and its
    rows 0..k are all written `latest[phase, k]` cycles after that one's end; the phases are tiles 0..phases-1, then
    those from p again and again. p = -1 where the arbiters do not repeat within `most` tiles.
    """
    lines = layout.line_ptr.size - 1
    groups = (out_width + t_g - 1) // t_g
    slots = np.full(layout.members.shape[0], -1, np.int64)
    for k in range(t_vc):
        slots[k * t_g + (out_width - 1) % t_g] = k
    pointers = np.zeros(lines, np.int64)
    seen = np.zeros((2, lines), np.int64)
    latest = np.zeros((1, t_vc), np.int64)
    stamps = np.zeros(t_vc, np.int64)
    job = np.full(1, folds, np.int64)
    cycles = 0
    for t in range(most):
        if t == 1:
            seen, latest = _grown(seen, most + 1), _grown(latest, most)
        cycles = replay(layout, job, groups, 0, 0, False, pointers, slots, t_vc, stamps)
        running = 0
        for k in range(t_vc):
            running = max(running, stamps[k])
            latest[t, k] = running
        for w in range(lines):
            seen[t + 1, w] = pointers[w]
        earlier = 0
        while not _same_rows(seen, earlier, t + 1):
            earlier += 1
        if earlier <= t:
            return cycles, earlier, latest[: t + 1]
    return cycles, -1, latest


@helper
def _grown(rows: IntArray, count: int) -> IntArray:
    """Return a larger two-dimensional array that begins with these rows."""
    grown = np.zeros((count, rows.shape[1]), np.int64)
    for i in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            grown[i, k] = rows[i, k]
    return grown


@helper
def _same_rows(table: IntArray, i: int, j: int) -> bool:
    """Return whether two rows of a table are equal."""
    same = True
    for k in range(table.shape[1]):
        same = same and table[i, k] == table[j, k]
    return same


@helper
def _sort(values: IntArray) -> None:
    """Sort in place (Shell's sort: a tenth of the compile time of numpy's)."""
    gap = values.size // 2
    while gap > 0:
        for i in range(gap, values.size):
            value = values[i]
            k = i
            while k >= gap and values[k - gap] > value:
                values[k] = values[k - gap]
                k -= gap
            values[k] = value
        gap = gap * 5 // 11 if gap > 2 else gap - 1


@helper
def _by_degree(by_fold: IntArray, t_n: int, slope: int, table: IntArray) -> None:
    """Turn a table by folds into one by degrees, and extend it by its slope."""
    known = by_fold.size - 1
    for d in range(table.size):
        s = max(1, (d + t_n - 1) // t_n)
        table[d] = by_fold[min(s, known)] + max(0, s - known) * slope


@helper
def distinct_nodes(start: int, stop: int, block: int, row: int, width: int) -> int:
    """Count the pairs (k // block, identity of k), k in [start, stop), of identities (k // row, k mod width).

    `width` divides `row`; `row` = 0 means one endless row.
    """
    total = 0
    k = start
    while k < stop:
        edge = min(stop, (k // block + 1) * block)
        if row > 0:
            edge = min(edge, (k // row + 1) * row)
        total += min(edge - k, width)
        k = edge
    return total


@helper
def _affine_from(layout: PhaseLayout) -> int:
    """Return a number of folds from which a row's times are affine in the folds.

    A result arrives at folds * a + b, with integers a (which depends on its group) and b. Results of different a are
    then further apart than a line's inputs take to drain, so that the order of all events no longer changes.
    """
    low = NEVER
    high = -NEVER
    for k in range(layout.offsets.shape[0]):
        for c in range(layout.offsets.shape[1]):
            if layout.offsets[k, c] != FREE:
                constant = layout.offsets[k, c] - layout.classes[c, 1]
                low = min(low, constant)
                high = max(high, constant)
    inputs = 0
    for w in range(layout.line_ptr.size - 1):
        inputs = max(inputs, layout.line_ptr[w + 1] - layout.line_ptr[w])
    return inputs + high - low + 3


@helper
def _line_classes(layout: PhaseLayout, target: int) -> tuple[IntArray, int, int]:
    """Return (counts, line, place): the target's `line` and its `place` on it, and the clusters of each kind on a line.

    `counts` int64 [classes+1, kinds] has one row for each distinct line, then a row for the target's line.
    """
    lines = layout.line_ptr.size - 1
    counts = np.zeros((lines + 1, layout.offsets.shape[0]), np.int64)
    own = np.zeros(layout.offsets.shape[0], np.int64)
    classes = 0
    line = 0
    place = 0
    for w in range(lines):
        for k in range(own.size):
            counts[classes, k] = 0
        mine = False
        for i in range(layout.line_ptr[w], layout.line_ptr[w + 1]):
            counts[classes, layout.members[i, 1]] += 1
            if layout.members[i, 0] == target:
                line = w
                place = i - layout.line_ptr[w]
                mine = True
        if mine:
            for k in range(own.size):
                own[k] = counts[classes, k]
        found = 0
        while not _same_rows(counts, found, classes):
            found += 1
        classes = max(classes, found + 1)
    for k in range(own.size):
        counts[classes, k] = own[k]
    return counts[: classes + 1], line, place


@helper
def _line_end(layout: PhaseLayout, begins: IntArray, counts: IntArray, folds: int, groups: int) -> int:
    """Return the cycle in which a line that serves `counts[kind]` clusters emits the last result of a job.

    A line emits whenever it has something, so the cycle is the maximum over t of t - 1 + (results arriving from t on).
    """
    used = 0
    kind = 0
    for k in range(counts.size):
        if counts[k] > 0:
            used += 1
            kind = k
    if used == 1:
        first = _arrival(layout, kind, begins, 0, folds, 0)
        last = _arrival(layout, kind, begins, 0, folds, groups - 1)
        return max(first - 1 + counts[kind] * groups, last - 1 + counts[kind])
    batches = np.empty(used * groups, np.int64)
    filled = 0
    for k in range(counts.size):
        if counts[k] > 0:
            for x in range(groups):
                batches[filled] = _arrival(layout, k, begins, 0, folds, x) * BATCH + counts[k]
                filled += 1
    _sort(batches)
    end = 0
    for i in range(filled):
        end = max(end, batches[i] // BATCH - 1) + batches[i] % BATCH
    return end


@helper
def _pointer_tables(
    line: PhaseLayout, clusters: int, groups: int, target: int, limit: int, budget: int
) -> tuple[IntArray, IntArray]:
    """Follow one line from every pointer that it can reach; states are numbered in order of discovery."""
    inputs = line.members.shape[0]
    stamps = np.zeros((inputs, limit + 1), np.int64)
    following = np.zeros((inputs, limit + 1), np.int64)
    state_of = np.full(inputs, -1, np.int64)
    pointer_of = np.zeros(inputs, np.int64)
    state_of[0] = 0
    states = 1
    slots = np.full(clusters, -1, np.int64)
    slots[target] = 0
    pointers = np.zeros(1, np.int64)
    stamp = np.zeros(1, np.int64)
    job = np.zeros(1, np.int64)
    state = 0
    while state < states:
        if (state + 1) * limit * groups * inputs > budget:
            return stamps[:0].copy(), following[:0].copy()
        for s in range(1, limit + 1):
            pointers[0] = pointer_of[state]
            job[0] = s
            replay(line, job, groups, 0, 1, False, pointers, slots, 1, stamp)
            stamps[state, s] = stamp[0]
            if state_of[pointers[0]] < 0:
                state_of[pointers[0]] = states
                pointer_of[states] = pointers[0]
                states += 1
            following[state, s] = state_of[pointers[0]]
        state += 1
    return stamps[:states].copy(), following[:states].copy()


@helper
def _route(pe: int, rn: int, size: int, v: int, hops: IntArray, line: IntArray, place: IntArray) -> None:
    """Find cluster v's emitter: fill its PEs' hops, its bus line and its place among the line's inputs."""
    if size == 1:
        line[v] = v % rn
        place[v] = v // rn
        return
    levels = _bit_length(pe) - 1
    lo = v * size
    hi = lo + size - 1
    level = levels
    while lo != hi or level == levels:
        level -= 1
        left = lo // 2
        right = hi // 2
        if left != right and left % 2 == 1 and left < (1 << level) - 1:
            edge = (left + 1) << (levels - level)
            if 2 * left + 2 - lo < hi - 2 * left - 1:
                for k in range(v * size, min((v + 1) * size, edge)):
                    hops[k] += 1
                left += 1
                lo = 2 * left
            elif hi < 2 * left + 4:
                for k in range(max(v * size, edge), (v + 1) * size):
                    hops[k] += 1
                right = left
        if left != right and right % 2 == 0 and 2 * right - lo >= hi - 2 * right + 1:
            for k in range(max(v * size, right << (levels - level)), (v + 1) * size):
                hops[k] += 1
            right -= 1
        lo = left
        hi = right
    for k in range(v * size, (v + 1) * size):
        hops[k] += levels - level
    if 0 < lo < (1 << level) - 1:
        pair = (1 << (level - 1)) - level + (lo + 1) // 2 - 1
        if lo % 2 == 0:
            pair = (1 << (level - 1)) - level + lo // 2 - 1
        line[v] = pair % rn
        place[v] = 2 * (pair // rn) + (1 - lo % 2)
    else:
        single = 0 if level == 0 else (2 * level - 1 if lo == 0 else 2 * level)
        paired = pe - 2 * levels
        line[v] = (single + paired) % rn
        place[v] = paired // rn + 1 + single // rn


@helper
def _ports(m: int, used: int, size: int, columns: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return each used port's class, the classes (weight, input packets per fold), and the links of a fold."""
    ports = (used + m - 1) // m
    port_class = np.empty(ports, np.int64)
    classes = np.empty((ports, 2), np.int64)
    links = np.zeros(2, np.int64)
    row = columns * size
    many = 0
    for p in range(ports):
        start = p * m
        stop = min(start + m, used)
        w = distinct_nodes(start, stop, m, row, size)
        n = min(stop - start, row) if columns > 0 else stop - start
        block = 1
        while block <= m:
            links[0] += distinct_nodes(start, stop, block, row, size)
            links[1] += distinct_nodes(start, stop, block, 0, row if columns > 0 else used)
            block *= 2
        found = 0
        while found < many and (classes[found, 0] != w or classes[found, 1] != n):
            found += 1
        classes[found, 0] = w
        classes[found, 1] = n
        port_class[p] = found
        many = max(many, found + 1)
    return port_class, classes[:many].copy(), links


@helper
def _kinds(
    m: int, size: int, clusters: int, columns: int, hops: IntArray, port_class: IntArray, classes: int
) -> tuple[IntArray, IntArray]:
    """Return each cluster's kind and the kinds' constraints [kinds, classes]: largest rank + hops + pipeline depth."""
    used = size * clusters
    depth = 2 if m == 1 else 3
    cluster_kind = np.empty(clusters, np.int64)
    offsets = np.empty((clusters, classes), np.int64)
    kinds = 0
    for v in range(clusters):
        for c in range(classes):
            offsets[kinds, c] = FREE
        for k in range(v * size, (v + 1) * size):
            start = k // m * m
            offset = _rank(k, start, min(start + m, used), columns * size) + hops[k] + depth
            c = port_class[k // m]
            offsets[kinds, c] = max(offsets[kinds, c], offset)
        found = 0
        while not _same_rows(offsets, found, kinds):
            found += 1
        cluster_kind[v] = found
        kinds = max(kinds, found + 1)
    return cluster_kind, offsets[:kinds].copy()


@helper
def _rank(k: int, start: int, stop: int, row: int) -> int:
    """Return the rank of PE k's input packet on its port, which serves the PEs [start, stop)."""
    if row == 0:
        return k - start
    if stop - start >= row:
        return k % row
    wrapped = start % row + stop - start - row
    if wrapped <= 0:
        return k - start
    return k % row if k % row < wrapped else k % row - start % row + wrapped


@helper
def _by_kind(layout: PhaseLayout) -> tuple[IntArray, IntArray, IntArray]:
    """Return each kind's members (pointers, members) and each member's line."""
    kinds = layout.offsets.shape[0]
    clusters = layout.members.shape[0]
    kind_ptr = np.zeros(kinds + 1, np.int64)
    for i in range(clusters):
        kind_ptr[layout.members[i, 1] + 1] += 1
    for k in range(kinds):
        kind_ptr[k + 1] += kind_ptr[k]
    fill = kind_ptr[:-1].copy()
    of_kind = np.empty(clusters, np.int64)
    line_of = np.empty(clusters, np.int64)
    for w in range(layout.line_ptr.size - 1):
        for i in range(layout.line_ptr[w], layout.line_ptr[w + 1]):
            line_of[i] = w
            kind = layout.members[i, 1]
            of_kind[fill[kind]] = i
            fill[kind] += 1
    return kind_ptr, of_kind, line_of


@helper
def _arrival(layout: PhaseLayout, kind: int, begins: IntArray, job: int, folds: int, group: int) -> int:
    """Return the cycle in which a kind's result of (job, group) reaches the bus."""
    latest = -NEVER
    for c in range(layout.offsets.shape[1]):
        if layout.offsets[kind, c] != FREE:
            sent = folds * layout.classes[c, 0] + ((group + 1) * folds - 1) * layout.classes[c, 1]
            latest = max(latest, begins[job, c] + sent + layout.offsets[kind, c])
    return latest


@helper
def _bit_length(value: int) -> int:
    """Return the number of binary digits of a positive integer."""
    bits = 0
    while value > 0:
        value >>= 1
        bits += 1
    return bits
