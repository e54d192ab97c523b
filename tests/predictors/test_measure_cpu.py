"""Three ways to run a GCN layer on the CPU: equal results, and a timing of each."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import Graph

torch = pytest.importorskip("torch", reason="the CPU device needs PyTorch (extra gnn)")

from gnnsched_env.live.devices import layer_ways  # noqa: E402
from scripts.studies import measure_cpu  # noqa: E402


def graph(vertices, edges, seed):
    rng = np.random.default_rng(seed)
    return Graph.from_edges(vertices, rng.integers(vertices, size=edges), rng.integers(vertices, size=edges))


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(0, 120), st.integers(1, 9), st.integers(1, 5), st.sampled_from([64, 1 << 28]))
def test_all_ways_give_what_the_definition_says(vertices, edges, width_in, width_out, piece_bytes):
    own = graph(vertices, edges, seed=edges)
    layer = measure_cpu.layer_input(own, width_in, width_out)
    matrix = np.eye(vertices)
    rows = np.repeat(np.arange(vertices), own.degrees)
    matrix[rows, own.indices] = 1.0
    expected = matrix @ layer.features @ layer.weights
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layer_ways, "PIECE_BYTES", piece_bytes)
        for way in layer_ways.SUMS:
            result = layer_ways.run_layer(way, layer)
            assert result.dtype == np.float32
            assert result == pytest.approx(expected, rel=1e-4)


def test_every_way_is_timed_on_one_thread(monkeypatch):
    monkeypatch.setattr(measure_cpu, "ENOUGH_SECONDS", 0.001)
    before = torch.get_num_threads()
    with measure_cpu.one_thread():
        assert torch.get_num_threads() == 1
        readings = measure_cpu.measure(graph(200, 800, 0), 16, 4)
    assert torch.get_num_threads() == before
    assert tuple(readings) == ("csr_spmm", "gather_scatter", "dense_gemm")
    for reading in readings.values():
        assert 1.0 < reading.microseconds < 1e6
        assert measure_cpu.LEAST_REPEATS <= reading.repeats <= measure_cpu.MOST_REPEATS


def test_more_work_takes_longer():
    with measure_cpu.one_thread():
        small, large = (measure_cpu.measure(graph(size, 4 * size, 0), 64, 4) for size in (50, 1_500))
    for name in measure_cpu.WAYS:
        assert large[name].microseconds > 3 * small[name].microseconds


def test_a_job_that_would_take_minutes_is_refused(monkeypatch):
    monkeypatch.setattr(measure_cpu, "MOST_OPERATIONS", 1_000)
    with pytest.raises(ConfigError, match=r"must be at most 1e\+03 to be measured, got 4.2e\+03"):
        measure_cpu.measure(graph(20, 30, 0), 10, 1)
