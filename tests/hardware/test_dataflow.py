import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import (
    Accelerator,
    Composition,
    Dataflow,
    Layer,
    Taxonomy,
    TileRule,
    bind,
    list_dataflows,
    load_accelerator,
    load_dataflow,
    make_model,
)


def expected_tiles(name, f_agg, f_cmb, g_out, p):
    """The nine rules, written down a second time, in plain Python."""

    def div(a, b):
        return max(1, a // b)

    g = min(g_out, p)
    wide, sixteen, sixty_four, eighth = min(f_agg, p), min(f_agg, 16), min(f_agg, 64), min(f_agg, div(p, 8))
    return {
        "Seq1": (1, 1, wide, div(p, g), g, 1),
        "PP1": (1, 1, wide, div(p, g), g, 1),
        "Seq2": (1, 8, eighth, div(p, g), g, 1),
        "PP3": (1, 8, eighth, div(p, g), g, 1),
        "SP1": (1, 1, wide, div(p, wide), 1, wide),
        "SP2": (div(p, sixteen), 1, sixteen, div(p, sixteen), 1, sixteen),
        "PP2": (div(p, sixteen), 1, sixteen, div(p, sixteen), 1, sixteen),
        "SPhighV": (p, 1, 1, p, 1, 1),
        "PP4": (div(p, sixty_four), 1, sixty_four, div(p, g), g, 1),
    }[name]


def accelerator(**changes):
    return dataclasses.replace(load_accelerator("omega512"), **changes)


def layer(features=64, out=16):
    return make_model("gcn", features, out, hidden=()).layers[0]


def dataflow(*, taxonomy="Seq_AC(VsFsNs, VsGsFs)", **tiles):
    rule = {"t_va": "1", "t_n": "1", "t_fa": "1", "t_vc": "1", "t_g": "1", "t_fc": "1"} | tiles
    return Dataflow(name="own", taxonomy=Taxonomy.parse(taxonomy), rule=TileRule(**rule))


@pytest.mark.slow
@pytest.mark.parametrize("name", list_dataflows())
@given(
    kind=st.sampled_from(["gcn", "sage"]),
    features=st.integers(1, 4000),
    out=st.integers(1, 2000),
    log_pes=st.integers(8, 11),
)
def test_presets_follow_the_published_rules_and_always_fit(name, kind, features, out, log_pes):
    preset = load_dataflow(name)
    device = Accelerator(name="a", pes=2**log_pes, dataflows=(preset,))
    first = make_model(kind, features, out, hidden=()).layers[0]
    bound = bind(preset, first, device)
    pes = 2**log_pes // (2 if preset.composition is Composition.PP else 1)
    wanted = expected_tiles(name, features, first.combination_features, out, pes)
    assert bound.tiling.as_tuple() == wanted
    assert bound.aggregation == bound.combination
    assert (bound.aggregation.pes, bound.aggregation.reduction_bandwidth) == (pes, pes)


def test_there_are_nine_presets():
    assert sorted(list_dataflows()) == sorted(["Seq1", "Seq2", "SP1", "SP2", "SPhighV", "PP1", "PP2", "PP3", "PP4"])


def test_the_bound_taxonomy_is_read_off_the_tiles():
    bound = bind(load_dataflow("PP1"), layer(features=64, out=16), accelerator())
    assert str(bound.taxonomy) == "PP_AC(VtFsNt, VsGsFt)"
    assert bound.taxonomy == load_dataflow("PP1").taxonomy


def test_graphsage_combines_twice_the_width():
    sage = make_model("sage", 10, 4, hidden=()).layers[0]
    bound = bind(dataflow(t_fa="F", t_fc="F", t_vc="f", f="F"), sage, accelerator())
    assert (bound.tiling.t_fa, bound.tiling.t_fc, bound.tiling.t_vc) == (10, 20, 10)


@pytest.mark.parametrize(
    ("tiles", "message"),
    [
        ({"t_n": "P", "t_fa": "2"}, r"aggregation: T_N\*T_Fa must be at most the phase's 512 PEs, got 1024"),
        ({"t_va": "P", "t_fa": "2"}, r"aggregation: T_Va\*T_N\*T_Fa must be at most the phase's 512 PEs, got 1024"),
        ({"t_vc": "P", "t_g": "2"}, r"combination: T_Vc\*T_G\*T_Fc must be at most the phase's 512 PEs, got 1024"),
        ({"t_g": "G - 16"}, r"tile t_g must be at least 1, but 'G - 16' is 0"),
    ],
)
def test_tiles_must_fit_the_array(tiles, message):
    with pytest.raises(ConfigError, match=f"dataflow 'own' on accelerator 'omega512': {message}"):
        bind(dataflow(**tiles), layer(), accelerator())


def test_a_temporal_dimension_takes_a_tile_of_one():
    with pytest.raises(ConfigError, match="is temporal in T_N, so it must be 1, got 2"):
        bind(dataflow(taxonomy="Seq_AC(VsFsNt, VsGsFs)", t_n="2"), layer(), accelerator())


@pytest.mark.parametrize("taxonomy", ["PP_CA(FsNtVs, GtFtNs)", "Seq_AC(NsFsVs, VsGsFs)", "Seq_AC(VsFsNs, GsVsFs)"])
def test_what_the_cost_model_does_not_know_is_refused_when_bound(taxonomy):
    with pytest.raises(ConfigError, match="the cost model supports"):
        bind(dataflow(taxonomy=taxonomy), layer(), accelerator())


def test_more_collection_lines_than_pes_only_without_spatial_reduction():
    wide = accelerator(reduction_bandwidth=1024)
    assert bind(dataflow(), layer(), wide).aggregation.reduction_bandwidth == 1024
    for tile in ("t_n", "t_fc"):
        with pytest.raises(ConfigError, match="must be 1 where reduction_bandwidth exceeds"):
            bind(dataflow(**{tile: "2"}), layer(), wide)


@pytest.mark.parametrize("field", ["pes", "distribution_bandwidth", "reduction_bandwidth"])
def test_parallel_pipelines_need_something_to_halve(field):
    values = {"pes": 2, "distribution_bandwidth": 2, "reduction_bandwidth": 2, "dataflows": accelerator().dataflows}
    halved = dataflow(taxonomy="PP_AC(VtFtNt, VtGtFt)")
    assert bind(halved, layer(), Accelerator(name="a", **values)).aggregation.pes == 1
    values |= {"pes": 1, "distribution_bandwidth": 1} if field == "pes" else {field: 1}
    with pytest.raises(ConfigError, match=f"PP gives each phase half of {field}, which must be at least 2, got 1"):
        bind(halved, layer(), Accelerator(name="a", **values))


def test_a_tile_below_one_is_refused_at_birth():
    with pytest.raises(ConfigError, match="layer: out_features must be an integer of at least 1, got 0"):
        Layer(in_features=1, combination_features=1, out_features=0, self_loops=True)
