"""Slow, obvious twins of the compiled kernels: what a reader can check by eye, and tests can trust.

Cycles: `layer(case, ...)` follows the cost model cycle by cycle, one result, one PE and one packet at a time.
"""

import itertools
from collections import deque


def layer(case, degrees, *, halve, last_row_only, early_launch, literal_pp, literal_sp, wrap, combination_width=None):
    """Simulate one layer; `case` holds the golden files' inputs, the flags name the reference's quirks.

    Returns (quantities, ts_agg, ts_cmb); `pp` is None where the literal formula would read outside its arrays.
    """
    v, f, g = case["V"], case["F"], case["G"]
    fc = combination_width or f
    ts_agg, agg_sim = aggregation_stamps(case, degrees, halve)
    ts_cmb, cmb = combination_stamps(case, fc, halve, early_launch)
    clk = tile_clock(ts_agg, case["T_Va"], last_row_only)
    out = {"agg_sim": agg_sim, "agg": clk[-1], "cmb": cmb}
    out["pp_buffers"] = 2 * max(case["T_Va"], case["T_Vc"]) * f
    out["pp"] = (literal_pipeline if literal_pp else mended_pipeline)(case, ts_agg, ts_cmb, clk)
    out["seq"], out["seq_buffers"] = clk[-1] + cmb, v * f
    row_tiles, fold_count = -(-v // case["T_Vc"]), -(-fc // case["T_Fc"])
    out["redist_saved"] = row_tiles * fold_count * case["pe_cmb"] // case["dn_bw_cmb"]
    out["sp_buffers"] = g * case["T_Vc"] * fold_count
    whole = case["T_Fc"] == fc or (case["T_Fc"] > fc and not literal_sp)
    out["psum_overhead"] = 0 if whole else -(-out["sp_buffers"] // case["pe_cmb"]) * row_tiles
    out["sp"] = out["seq"] - out["redist_saved"] + out["psum_overhead"]
    if not literal_sp:
        out["sp"] = max(out["sp"], out["agg"], cmb)
    out["sp_psum"] = 0 if case["T_Fc"] == fc or (case["T_Fc"] > fc and not literal_sp) else 2 * g * v * fold_count
    out.update(access_counts(case, degrees, fc))
    out["gb_pp_seq"] = sum(out[f"{p}_sram_{q}"] for p in ("agg", "cmb") for q in ("w", "in", "pr", "pw"))
    self_half = v * (fc - f)
    out["gb_sp"] = (
        out["cmb_sram_in"] + out["cmb_sram_pw"] + out["agg_sram_w"] + out["agg_sram_in"] + out["sp_psum"] + self_half
    )
    if wrap:
        for key, value in out.items():
            if value is not None:
                unsigned = "_sram_" in key or "_rf_" in key or "_links" in key
                out[key] = value % 2**32 if unsigned else (value + 2**31) % 2**32 - 2**31
    return out, ts_agg, ts_cmb


def aggregation_stamps(case, degrees, halve):
    """Rows are serial: one configuration cycle each, and the next begins when all of the last is written."""
    folds = [max(1, -(-d // case["T_N"])) for d in degrees]
    clusters, size, pe = case["T_Fa"], case["T_N"], case["pe_agg"]
    ports = aggregation_ports(pe, case["dn_bw_agg"], size, clusters)
    groups = -(-case["F"] // clusters)
    widths = pe, case["dn_bw_agg"], case["rn_bw_agg"]
    written, end = run_phase(folds, groups, clusters, size, *widths, ports, groups * clusters, config=1, halve=halve)
    target = (case["F"] - 1) % clusters
    return [written[r, groups - 1, target] for r in range(len(folds))], end


def combination_stamps(case, width, halve, early_launch):
    """Row tiles: the next may begin once the threshold of results is written and its predecessor is pushed."""
    t_g, t_vc, g, pe = case["T_G"], case["T_Vc"], case["G"], case["pe_cmb"]
    clusters, size = t_vc * t_g, case["T_Fc"]
    ports = combination_ports(pe, case["dn_bw_cmb"], size, t_g, clusters)
    groups, tiles = -(-g // t_g), -(-case["V"] // t_vc)
    folds = [-(-width // size)] * tiles
    threshold = t_vc * (g if early_launch else groups * t_g)
    widths = pe, case["dn_bw_cmb"], case["rn_bw_cmb"]
    written, end = run_phase(folds, groups, clusters, size, *widths, ports, threshold, config=0, halve=halve)
    column = (g - 1) % t_g
    return [written[r // t_vc, groups - 1, r % t_vc * t_g + column] for r in range(case["V"])], end


def aggregation_ports(pe, dn, size, clusters):
    """Return for each port (its PEs, weight packets, input packets, rank of each PE's input packet)."""
    ports = []
    for pes in port_members(pe, dn, size * clusters):
        weights = {k % size for k in pes}
        ports.append((pes, len(weights), len(pes), {k: i for i, k in enumerate(pes)}))
    return ports


def combination_ports(pe, dn, size, t_g, clusters):
    """As `aggregation_ports`: weights are shared by a row's columns, inputs by all rows."""
    row, ports = t_g * size, []
    for pes in port_members(pe, dn, size * clusters):
        weights = {(k // row, k % size) for k in pes}
        inputs = sorted({k % row for k in pes})
        ports.append((pes, len(weights), len(inputs), {k: inputs.index(k % row) for k in pes}))
    return ports


def port_members(pe, dn, used):
    """Return the used PEs of each port that has any."""
    m = pe // dn
    return [range(a, min(a + m, used)) for a in range(0, used, m)]


def run_phase(folds, groups, clusters, size, pe, dn, rn, ports, threshold, *, config, halve):
    """Run jobs to the last write; returns ({(job, group, cluster): write cycle}, cycle of the last write)."""
    emitters, hops = routes(pe, size, clusters)
    lines = wiring(emitters, pe, rn)
    delta = 0 if pe == dn else 1
    fifos = {v: deque() for v in range(clusters)}
    pointers = dict.fromkeys(lines, 0)
    last_departure = [-(10**18)] * len(ports)
    arrivals, emitted, queue, written = {}, [], deque(), {}
    launched, ready, cycle, end, done = 0, 1, 0, 0, 0
    total = len(folds) * groups * clusters
    while done < total:
        cycle += 1
        may_launch = launched < len(folds) and cycle >= ready and done >= launched * threshold
        if may_launch:
            start = cycle + config
            s = folds[launched]
            departures = []
            for p, (pes, w, n, rank) in enumerate(ports):
                begin = max(start, last_departure[p] + 1)
                last_departure[p] = begin + s * w + s * groups * n - 1
                departures.append((pes, begin + s * w, n, rank))
            for x in range(groups):
                step = (x + 1) * s - 1
                at = {k: first + step * n + rank[k] for pes, first, n, rank in departures for k in pes}
                for v in range(clusters):
                    when = max(at[k] + hops[k] for k in range(v * size, (v + 1) * size)) + delta + 2
                    arrivals.setdefault(when, []).append((launched, x, v))
            ready = start + s + s * groups
            launched += 1
        queue.extend(emitted)
        for _ in range(-(-len(queue) // 2) if halve else len(queue)):
            written[queue.popleft()] = end = cycle
        done = len(written)
        for job, x, v in arrivals.pop(cycle, ()):
            fifos[v].append((job, x, v))
        emitted = []
        for line in sorted(lines):
            members = lines[line]
            for i in range(len(members)):
                at = (pointers[line] + i) % len(members)
                if fifos[members[at]]:
                    emitted.append(fifos[members[at]].popleft())
                    pointers[line] = (at + 1) % len(members)
                    break
    return written, end


def routes(pe, size, clusters):
    """Return each cluster's emitting switch (level, index) or None, and the hops of each PE's value to it."""
    if size == 1:
        return [None] * clusters, dict.fromkeys(range(clusters), 0)
    levels = pe.bit_length() - 1
    emitters, hops = [], {}
    for v in range(clusters):
        pes = range(v * size, (v + 1) * size)
        extra = dict.fromkeys(pes, 0)
        lo, hi = pes[0], pes[-1]
        for level in range(levels - 1, -1, -1):
            left, right = lo // 2, hi // 2
            if left != right and left % 2 and left < 2**level - 1:
                inside, outside = 2 * left + 2 - lo, hi - 2 * left - 1
                edge = (left + 1) * 2 ** (levels - level)
                if inside < outside:
                    for k in pes:
                        extra[k] += k <= edge - 1
                    left += 1
                    lo = 2 * left
                elif hi < 2 * left + 4:
                    for k in pes:
                        extra[k] += k >= edge
                    right = left
            if left != right and right % 2 == 0 and 2 * right - lo >= hi - 2 * right + 1:
                for k in pes:
                    extra[k] += k >= right * 2 ** (levels - level)
                right -= 1
            lo, hi = left, right
            if lo == hi:
                emitters.append((level, lo))
                hops.update({k: extra[k] + levels - level for k in pes})
                break
    return emitters, hops


def wiring(emitters, pe, rn):
    """Return {line: clusters in the order of their inputs}."""
    places = []
    levels = pe.bit_length() - 1
    paired = pe - 2 * levels
    for v, emitter in enumerate(emitters):
        if emitter is None:
            line, place = v % rn, v // rn
        else:
            level, j = emitter
            if 0 < j < 2**level - 1:
                odd = j if j % 2 else j - 1
                pair = 2 ** (level - 1) - level + (odd + 1) // 2 - 1
                line, place = pair % rn, 2 * (pair // rn) + (j != odd)
            else:
                single = 0 if level == 0 else 2 * level - 1 if j == 0 else 2 * level
                line, place = (single + paired) % rn, paired // rn + 1 + single // rn
        places.append((line, place, v))
    lines = {}
    for line, _, v in sorted(places):
        lines.setdefault(line, []).append(v)
    return lines


def tile_clock(ts_agg, t_va, last_row_only):
    """Return the clock after each tile of T_Va rows: the tile costs its slowest row."""
    steps = [b - a for a, b in itertools.pairwise([0, *ts_agg])]
    clk, now = [], 0
    for first in range(0, len(steps), t_va):
        tile = steps[first : first + t_va]
        now += tile[-1] if last_row_only and len(tile) < t_va else max(tile)
        clk.append(now)
    return clk


def literal_pipeline(case, ts_agg, ts_cmb, clk):
    """PP as the reference computes it: floored boundaries, unsigned 32-bit comparisons."""
    v, t_va, t_vp = case["V"], case["T_Va"], max(case["T_Va"], case["T_Vc"])
    if v < 2 * t_vp:
        return None
    chunks = v // t_vp
    a = [0] + [ts_agg[i * t_vp - 1] if t_va == 1 else clk[i * t_vp // t_va - 1] for i in range(1, chunks + 1)]
    c = [0] + [ts_cmb[i * t_vp - 1] for i in range(1, chunks + 1)]
    da = [(y - x) % 2**32 for x, y in itertools.pairwise(a)]
    dc = [(y - x) % 2**32 for x, y in itertools.pairwise(c)]
    pp = da[0] + sum(max(x, y) for x, y in zip(da[1:], dc, strict=False))
    if v % t_vp == 0:
        pp += dc[-1]
    else:
        end = ts_agg[-1] if t_va == 1 else clk[-1]
        pp += max((end - a[-1]) % 2**32, dc[-1]) + (ts_cmb[-1] - c[-1]) % 2**32
    return (pp + 2**31) % 2**32 - 2**31


def mended_pipeline(case, ts_agg, ts_cmb, clk):
    """PP defined for every V >= 1: chunk i of aggregation runs beside chunk i-1 of combination."""
    v, t_va, t_vp = case["V"], case["T_Va"], max(case["T_Va"], case["T_Vc"])
    ends = [min(i + t_vp, v) for i in range(0, v, t_vp)]
    a = [ts_agg[e - 1] if t_va == 1 else clk[-(-e // t_va) - 1] for e in ends]
    c = [0] + [max(ts_cmb[:e]) for e in ends]
    pp = a[0] + c[-1] - c[-2]
    for i in range(1, len(ends)):
        pp += max(a[i] - a[i - 1], c[i] - c[i - 1])
    return pp


def access_counts(case, degrees, fc):
    """Return the counters of global buffer, register files and distribution links."""
    v, f, g, e = case["V"], case["F"], case["G"], sum(degrees)
    row_tiles, columns = -(-v // case["T_Vc"]), -(-g // case["T_G"])
    folds = [max(1, -(-d // case["T_N"])) for d in degrees]
    out = {"agg_sram_w": e, "agg_sram_in": e * f, "agg_sram_pr": 0, "agg_sram_pw": v * f}
    out |= {"cmb_sram_w": v * fc, "cmb_sram_in": row_tiles * columns * case["T_G"] * fc}
    out |= {"cmb_sram_pr": 0, "cmb_sram_pw": v * g}
    ports = aggregation_ports(case["pe_agg"], case["dn_bw_agg"], case["T_N"], case["T_Fa"])
    m = case["pe_agg"] // case["dn_bw_agg"]
    weight_links = links(ports, m, lambda k: k % case["T_N"])
    out |= register_counts("agg", case["T_N"] * case["T_Fa"], folds, -(-f // case["T_Fa"]))
    out["agg_dn_links"] = sum(folds) * (weight_links + -(-f // case["T_Fa"]) * links(ports, m, lambda k: k))
    row = case["T_G"] * case["T_Fc"]
    ports = combination_ports(case["pe_cmb"], case["dn_bw_cmb"], case["T_Fc"], case["T_G"], case["T_Vc"] * case["T_G"])
    m = case["pe_cmb"] // case["dn_bw_cmb"]
    weight_links = links(ports, m, lambda k: (k // row, k % case["T_Fc"]))
    folds = [-(-fc // case["T_Fc"])] * row_tiles
    out |= register_counts("cmb", case["T_Vc"] * row, folds, columns)
    out["cmb_dn_links"] = sum(folds) * (weight_links + columns * links(ports, m, lambda k: k % row))
    return out


def register_counts(phase, used, folds, groups):
    """Return the register-file counters of one phase."""
    steps = used * sum(folds) * groups
    out = {f"{phase}_rf_ww": used * sum(folds), f"{phase}_rf_pw": 0}
    out |= {f"{phase}_rf_{q}": steps for q in ("iw", "ir", "pr")}
    out[f"{phase}_rf_wr"] = steps + used * sum(folds[:-1])
    return out


def links(ports, m, identity):
    """Return the distribution links used by one packet of every identity: distinct nodes at each level of a port."""
    total = 0
    for pes, *_ in ports:
        for packet in {identity(k) for k in pes}:
            members = [k for k in pes if identity(k) == packet]
            total += sum(len({k >> y for k in members}) for y in range(m.bit_length()))
    return total
