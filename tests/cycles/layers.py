"""Random small layers for property tests, and their inputs as the naive twin takes them."""

from dataclasses import asdict

import numpy as np
from hypothesis import strategies as st

from gnnsched_env.cycles import CORRECTED, LayerSpec
from gnnsched_env.hardware import PhaseArray, Tiling


@st.composite
def phases(draw, *, most_pes):
    """Return (PhaseArray, spatial-reduction tile, PEs left for the other tiles)."""
    pes = 2 ** draw(st.integers(0, most_pes))
    size = draw(st.one_of(st.just(1), st.integers(1, pes)))
    dn = 2 ** draw(st.integers(0, pes.bit_length() - 1))
    rn = 2 ** draw(st.integers(0, pes.bit_length() - 1 + (1 if size == 1 else 0)))
    return PhaseArray(pes=pes, distribution_bandwidth=dn, reduction_bandwidth=rn), size, pes // size


@st.composite
def specs(draw, *, most_pes=5, most_width=12):
    """Return a valid LayerSpec, whose T_Va fits the aggregation's array."""
    aggregation, t_n, room = draw(phases(most_pes=most_pes))
    t_fa = draw(st.integers(1, room))
    t_va = draw(st.integers(1, room // t_fa))
    combination, t_fc, room = draw(phases(most_pes=most_pes))
    t_g = draw(st.integers(1, room))
    t_vc = draw(st.integers(1, room // t_g))
    width = draw(st.integers(1, most_width))
    return LayerSpec(
        in_features=width,
        combination_features=width * draw(st.integers(1, 2)),
        out_features=draw(st.integers(1, most_width)),
        tiling=Tiling(t_va=t_va, t_n=t_n, t_fa=t_fa, t_vc=t_vc, t_g=t_g, t_fc=t_fc),
        aggregation=aggregation,
        combination=combination,
    )


def degree_lists(*, least=0, most=12, most_rows=14):
    """Row degrees, int64 [V]."""
    lists = st.lists(st.integers(least, most), min_size=1, max_size=most_rows)
    return lists.map(lambda degrees: np.array(degrees, dtype=np.int64))


def naive_case(spec, rows):
    """Return the inputs by the golden files' names."""
    tiles = dict(zip(("T_Va", "T_N", "T_Fa", "T_Vc", "T_G", "T_Fc"), spec.tiling.as_tuple(), strict=True))
    case = {"V": rows, "F": spec.in_features, "G": spec.out_features, **tiles}
    for phase, array in (("agg", spec.aggregation), ("cmb", spec.combination)):
        case |= {f"pe_{phase}": array.pes, f"dn_bw_{phase}": array.distribution_bandwidth}
        case[f"rn_bw_{phase}"] = array.reduction_bandwidth
    return case


def naive_flags(quirks=CORRECTED):
    """Return the naive twin's flags."""
    names = {
        "halve": "write_halving",
        "last_row_only": "partial_tile_last_row",
        "early_launch": "early_launch",
        "literal_pp": "literal_pp",
        "literal_sp": "literal_sp",
        "wrap": "wrap_32_bit",
    }
    values = asdict(quirks)
    return {flag: values[name] for flag, name in names.items()}
