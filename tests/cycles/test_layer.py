"""The general path against the naive twin, in every mode; the mended rules; bad inputs."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError, GraphError
from gnnsched_env.cycles import CORRECTED, GOLDEN_CORRECTED, NAMED_QUIRKS, REFERENCE, Quirks, simulate_layer
from gnnsched_env.hardware import Composition, PhaseArray
from tests.cycles import layers
from tests.twins import cost_model as naive

pytestmark = pytest.mark.kernels
SPEC = layers.LayerSpec(
    in_features=6,
    combination_features=6,
    out_features=4,
    tiling=layers.Tiling(t_va=2, t_n=2, t_fa=3, t_vc=2, t_g=4, t_fc=2),
    aggregation=PhaseArray(pes=16, distribution_bandwidth=8, reduction_bandwidth=4),
    combination=PhaseArray(pes=16, distribution_bandwidth=16, reduction_bandwidth=16),
)


@given(layers.specs(), layers.degree_lists(least=1), st.sampled_from(sorted(NAMED_QUIRKS)))
@settings(max_examples=120)
def test_every_quantity_agrees_with_the_naive_twin(spec, degrees, mode):
    quirks = NAMED_QUIRKS[mode]
    assume(not quirks.partial_tile_last_row or degrees.size > 1 or spec.tiling.t_va == 1)
    _agree(spec, degrees, quirks)


@given(layers.specs(most_pes=4), layers.degree_lists(), st.sampled_from(["fixed_empty_rows", "corrected"]))
@settings(max_examples=60)
def test_empty_rows_agree_with_the_naive_twin(spec, degrees, mode):
    assume(degrees.size > 1 or spec.tiling.t_va == 1)
    _agree(spec, degrees, NAMED_QUIRKS[mode])


@given(layers.specs(most_pes=4), layers.degree_lists(least=1), st.lists(st.booleans(), min_size=8, max_size=8))
@settings(max_examples=60)
def test_any_set_of_quirks_agrees_with_the_naive_twin(spec, degrees, switches):
    names = [field.name for field in fields(Quirks)]
    assume(degrees.size > 1 or spec.tiling.t_va == 1)
    _agree(spec, degrees, Quirks(**dict(zip(names, switches, strict=True))))


@given(layers.specs(), layers.degree_lists(least=1, most_rows=40))
@settings(max_examples=150)
def test_mended_pp_equals_the_literal_one_where_that_is_sound(spec, degrees):
    t_va, t_vc = spec.tiling.t_va, spec.tiling.t_vc
    t_vp = max(t_va, t_vc)
    degrees = np.resize(degrees, max(degrees.size, 2 * t_vp))
    assume(t_vp % t_va == 0 and t_vp % t_vc == 0)
    literal = simulate_layer(degrees, spec, quirks=replace(CORRECTED, literal_pp=True))
    stamps = literal.ts_cmb
    ends = [*range(t_vp, degrees.size, t_vp), degrees.size]
    assume(all(stamps[end - 1] == stamps[:end].max() for end in ends))
    assert simulate_layer(degrees, spec).pp == literal.pp


def test_the_worked_timeline_of_a_single_row():
    array = PhaseArray(pes=16, distribution_bandwidth=16, reduction_bandwidth=16)
    tiling = layers.Tiling(t_va=1, t_n=1, t_fa=4, t_vc=1, t_g=1, t_fc=1)
    spec = replace(
        SPEC, in_features=4, combination_features=4, out_features=1, tiling=tiling, aggregation=array, combination=array
    )
    row = np.array([2])
    assert simulate_layer(row, spec, quirks=REFERENCE).agg_sim == 10
    assert simulate_layer(row, spec).agg_sim == 2 * 2 + 4


def test_sp_is_never_shorter_than_a_phase():
    tiling = replace(SPEC.tiling, t_vc=1, t_g=1, t_fc=1)
    array = PhaseArray(pes=16, distribution_bandwidth=1, reduction_bandwidth=16)
    spec = replace(SPEC, tiling=tiling, combination=array)
    degrees = np.ones(9, np.int64)
    mended = simulate_layer(degrees, spec)
    literal = simulate_layer(degrees, spec, quirks=GOLDEN_CORRECTED)
    assert mended.sp == max(literal.sp, literal.agg, literal.cmb)


def test_sage_reads_its_own_features_beside_the_aggregated_ones():
    degrees = np.array([1, 2, 3])
    plain, sage = (simulate_layer(degrees, replace(SPEC, combination_features=width)) for width in (6, 12))
    assert sage.combination.sram_w == 2 * plain.combination.sram_w
    assert sage.agg == plain.agg
    assert sage.cmb > plain.cmb


def test_literal_pp_is_undefined_for_few_rows():
    result = simulate_layer(np.array([1, 1, 1]), SPEC, quirks=REFERENCE)
    assert result.pp is None
    with pytest.raises(ConfigError, match="V >= 2"):
        result.cycles(Composition.PP)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"in_features": 0}, "in_features must be at least 1, got 0"),
        ({"aggregation": PhaseArray(pes=12, distribution_bandwidth=4, reduction_bandwidth=4)}, "pes must be a power"),
        (
            {"aggregation": PhaseArray(pes=16, distribution_bandwidth=0, reduction_bandwidth=4)},
            "distribution_bandwidth must be a power of two, got 0",
        ),
        (
            {"combination": PhaseArray(pes=16, distribution_bandwidth=32, reduction_bandwidth=4)},
            "combination: distribution_bandwidth must be at most pes, got 32 > 16",
        ),
        (
            {"combination": PhaseArray(pes=16, distribution_bandwidth=16, reduction_bandwidth=32)},
            "reduction_bandwidth may exceed pes only where T_Fc is 1",
        ),
        ({"tiling": replace(SPEC.tiling, t_va=3)}, r"T_Va\*T_N\*T_Fa must be at most the phase's 16 PEs, got 18"),
        ({"tiling": replace(SPEC.tiling, t_fa=9)}, r"T_N\*T_Fa must be at most the phase's 16 PEs, got 18"),
        ({"tiling": replace(SPEC.tiling, t_vc=3)}, r"T_Vc\*T_G\*T_Fc must be at most the phase's 16 PEs, got 24"),
    ],
)
def test_a_layer_outside_the_domain_is_refused(change, rule):
    with pytest.raises(ConfigError, match=rule):
        simulate_layer(np.array([1, 2, 3]), replace(SPEC, **change))


def test_t_va_is_unchecked_where_the_quirk_is_kept():
    spec = replace(SPEC, tiling=replace(SPEC.tiling, t_va=3))
    assert simulate_layer(np.ones(6, np.int64), spec, quirks=GOLDEN_CORRECTED).agg > 0


@pytest.mark.parametrize(
    ("degrees", "message"),
    [
        (np.array([], dtype=np.int64), "at least one row"),
        (np.array([[1]]), "one-dimensional"),
        (np.array([1.0]), "integers"),
        (np.array([1, -2]), "must not be negative, got -2"),
    ],
)
def test_bad_degrees_are_refused(degrees, message):
    with pytest.raises(GraphError, match=message):
        simulate_layer(degrees, SPEC)


def test_the_reference_refuses_what_it_cannot_run():
    with pytest.raises(GraphError, match="row 1 has no entries"):
        simulate_layer(np.array([1, 0]), SPEC, quirks=REFERENCE)
    with pytest.raises(ConfigError, match="V = 1 needs T_Va = 1"):
        simulate_layer(np.array([1]), SPEC, quirks=REFERENCE)


def _agree(spec, degrees, quirks):
    result = simulate_layer(degrees, spec, quirks=quirks)
    case = layers.naive_case(spec, degrees.size)
    expected, ts_agg, ts_cmb = naive.layer(
        case, degrees.tolist(), combination_width=spec.combination_features, **layers.naive_flags(quirks)
    )
    assert result.quantities() == expected
    assert result.ts_agg.tolist() == ts_agg
    assert result.ts_cmb.tolist() == ts_cmb
