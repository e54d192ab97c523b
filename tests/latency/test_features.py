"""Features and closed-form estimates against slow twins and numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnsched_env.errors import ConfigError
from gnnsched_env.hardware import load_accelerator, load_dataflow, make_model
from gnnsched_env.latency import FEATURE_NAMES, job_features, job_inputs, kernels
from gnnsched_env.latency.estimates import composed_estimates, phase_estimates
from gnnsched_env.tables import JobClasses, pair_cycles, synthetic_classes
from tests import naive_latency

degree_lists = st.lists(st.integers(0, 300), min_size=1, max_size=80)


def classes_of(*degree_lists, in_features=5, out_features=3):
    count = len(degree_lists)
    return JobClasses(
        names=tuple(str(i) for i in range(count)),
        models=(make_model("gcn", in_features, out_features),) * count,
        degrees=tuple(np.array(degrees, np.int64) for degrees in degree_lists),
        weights=np.full(count, 1 / count),
        groups=np.zeros(count, np.int64),
        group_names=("toy",),
    )


@pytest.mark.kernels
@given(degree_lists, st.integers(1, 70), st.sampled_from([1, 8]))
def test_tile_folds_agree_with_the_naive_twin(degrees, t_va, t_n):
    array = np.array(degrees, np.int64)
    assert kernels.tile_folds(array, t_va, t_n) == naive_latency.tile_folds(degrees, t_va, t_n)


@pytest.mark.kernels
@given(degree_lists)
def test_moments_agree_with_the_naive_twin(degrees):
    moments = kernels.degree_moments(np.array(degrees, np.int64))
    assert moments.tolist() == pytest.approx(naive_latency.degree_moments(degrees), abs=1e-9)


@pytest.mark.kernels
@given(degree_lists)
def test_the_histogram_counts_every_row_once(degrees):
    counts = kernels.degree_histogram(np.array(degrees, np.int64), 100)
    assert counts.tolist() == [sum(min(d, 99) == k for d in degrees) for k in range(100)]


@pytest.mark.kernels
def test_features_of_a_small_graph_by_hand():
    (row,) = job_features(classes_of([1, 1, 2, 4]))
    features = dict(zip(FEATURE_NAMES, row, strict=True))
    assert features["log_vertices"] == pytest.approx(np.log(4))
    assert features["log_entries"] == pytest.approx(np.log(8))
    assert features["log_in_features"] == pytest.approx(np.log(5))
    assert features["mean_degree"] == 2.0
    assert features["log_max_degree"] == pytest.approx(np.log(5))
    assert (features["share_up_to_1"], features["share_up_to_2"], features["share_up_to_4"]) == (0.5, 0.75, 1.0)
    assert (features["degree_quantile_50"], features["degree_quantile_99"]) == (1, 4)
    assert features["fold_waste"] == 4 * 8 / 8
    assert features["imbalance_8"] == 8 * 4 / 8


@pytest.mark.kernels
@given(degree_lists)
def test_features_are_finite(degrees):
    assert np.isfinite(job_features(classes_of(degrees))).all()


@pytest.mark.kernels
def test_estimates_by_hand():
    """512 PEs, F = 600, G = 2, two rows of 3 and 9 entries; one layer."""
    model = make_model("gcn", 600, 2, hidden=())
    classes = classes_of([3, 9])
    classes = JobClasses(**{name: getattr(classes, name) for name in classes.__slots__} | {"models": (model,)})
    accelerator = load_accelerator("omega512")
    pairs = [(accelerator, load_dataflow(name)) for name in ("Seq1", "Seq2", "PP1")]
    phases = phase_estimates(classes, pairs)[0, :, 0]
    # Seq1: T_Fa 512, T_Vc 256; Seq2: T_N 8, T_Fa 64; PP1 on half the array: T_Fa 256.
    assert phases.tolist() == [[12 * 2 + 2, 600], [3 * 10 + 2, 600], [12 * 3 + 2, 600]]
    assert composed_estimates(phases[None, :, None], pairs).tolist() == [[626, 632, 600]]


def test_inputs_refuse_models_of_different_depths():
    deep, shallow = synthetic_classes(4, hidden=(16, 16)), synthetic_classes(4)
    both = JobClasses(
        names=deep.names + shallow.names,
        models=deep.models + shallow.models,
        degrees=deep.degrees + shallow.degrees,
        weights=np.full(8, 1 / 8),
        groups=np.zeros(8, np.int64),
        group_names=("both",),
    )
    with pytest.raises(ConfigError, match=r"same number of layers, got \[2, 3\]"):
        job_inputs(both, [(load_accelerator("omega512"), load_dataflow("PP1"))])


def test_estimates_explain_most_of_the_cycles():
    classes = synthetic_classes(32)
    accelerator = load_accelerator("omega512")
    pairs = [(accelerator, dataflow) for dataflow in accelerator.dataflows]
    ratios = pair_cycles(classes, pairs) / job_inputs(classes, pairs).estimates
    assert ratios.min() > 0.8
    assert ratios.max() < 8.0
