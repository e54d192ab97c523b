import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.hardware import GnnModel, Layer, make_model


def widths(model):
    return [(one.in_features, one.combination_features, one.out_features, one.self_loops) for one in model.layers]


def test_the_three_kinds():
    assert widths(make_model("gcn", 7, 2)) == [(7, 7, 16, True), (16, 16, 2, True)]
    assert widths(make_model("gin", 7, 2, hidden=(8, 4))) == [(7, 7, 8, True), (8, 8, 4, True), (4, 4, 2, True)]
    assert widths(make_model("sage", 7, 2)) == [(7, 14, 16, False), (16, 32, 2, False)]
    assert (make_model("gcn", 7, 2).in_features, make_model("gcn", 7, 2).out_features) == (7, 2)


def test_a_bad_model_is_refused():
    with pytest.raises(ConfigError, match="kind must be one of gcn, gin, sage, got 'gcm'; did you mean 'gcn'"):
        make_model("gcm", 7, 2)
    with pytest.raises(ConfigError, match="in_features must be an integer of at least 1, got 0"):
        make_model("gcn", 0, 2)
    with pytest.raises(ConfigError, match="layers must not be empty"):
        GnnModel(name="m", layers=())
    one = Layer(in_features=4, combination_features=4, out_features=3, self_loops=True)
    with pytest.raises(ConfigError, match="in_features of layer 1 must equal out_features of layer 0, got 4 and 3"):
        GnnModel(name="m", layers=(one, one))
    with pytest.raises(ConfigError, match="self_loops must be"):
        Layer(in_features=4, combination_features=4, out_features=3, self_loops=1)
