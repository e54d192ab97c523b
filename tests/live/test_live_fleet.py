"""The files of live fleets, and the devices: all choices of a device compute the same numbers."""

import numpy as np
import pytest

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.graphs import load_graph_set
from gnnsched_env.hardware import make_model
from gnnsched_env.live.devices.live_device import DeviceJobs, make_device
from gnnsched_env.live.live_fleet import LiveFleet, list_live_fleets, load_live_fleet
from tests.extras import needs

KARATE = load_graph_set("karate")[0]


def jobs(kind="gcn", choices=("csr_spmm",), graph=KARATE):
    return DeviceJobs(names=("karate",), graphs=(graph,), models=(make_model(kind, 34, 4),), choices=choices)


@needs("torch")
@pytest.mark.parametrize("kind", ["gcn", "sage"])
def test_all_choices_of_all_devices_compute_the_same_numbers(kind):
    looped = np.eye(34, dtype=np.float32) * (kind == "gcn") + KARATE.to_scipy().toarray().clip(0, 1)
    results = []
    for device in (make_device("cpu", {}), make_device("cuda", {"device": "cpu"})):
        device.load(jobs(kind, tuple(device.choices())))
        results += [device.run(0, choice) for choice in device.choices()]
        inputs = getattr(device, "_stacks", [None])[0]
        if inputs is not None:
            shown = inputs.features
            for place, layer in enumerate(inputs.inputs):
                shown = np.maximum(shown, 0) if place else shown
                total = looped @ shown
                shown = (np.hstack([total, shown]) if kind == "sage" else total) @ layer.weights
            results.append(shown)
    assert len(results) == 8 and results[0].shape == (34, 4)
    for result in results:
        assert np.allclose(result, results[0], rtol=1e-4, atol=1e-3)


@needs("torch")
def test_a_graph_that_is_too_large_for_dense_products_is_named(monkeypatch):
    monkeypatch.setattr("gnnsched_env.live.devices.stack.MOST_DENSE", 40_000)
    device = make_device("cpu", {})
    device.load(jobs())
    with pytest.raises(ConfigError, match=r"dense_gemm takes jobs of at most .* but 'karate' of 34 vertices has"):
        device.load(jobs(choices=("csr_spmm", "dense_gemm")))


def test_presets_and_dicts_are_read_back():
    for name in list_live_fleets():
        fleet = load_live_fleet(name)
        assert fleet.name == name and LiveFleet.from_dict(fleet.to_dict()) == fleet
    assert load_live_fleet("cpu2").choice_names == load_live_fleet("sleep2").choice_names


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "device must be an array of tables"),
        ("[[device]]\nname='a'\n", "device 'a': key 'kind' is missing"),
        ("[[device]]\nname='a'\nkind='gpu'\n", "kind must be one of cpu, cuda, sleep, module:Class, got 'gpu'"),
        ("[[device]]\nname='a'\nkind='none:Such'\n", "must be module:Class of something importable"),
        ("[[device]]\nname='a'\nkind='json:dumps'\n", "must be a class with the methods choices, load and run"),
        ("[[device]]\nname='a'\nkind='cpu'\nchoices=['fast']\n", "choices must be among csr_spmm"),
        ("[[device]]\nname='a'\nkind='cpu'\nchoices=[]\n", "must be a list of at least 1"),
        ("[[device]]\nname='a'\nkind='cpu'\noptions={x=1}\n", "cannot be made from options"),
        ("[[device]]\nname='a'\nkind='sleep'\n", "choices must be named"),
        ("[[device]]\nname='a'\nkind='cpu'\ncount=0\n", "count must be an integer of at least 1, got 0"),
        ("[[device]]\nname='a'\nkind='cpu'\n[[device]]\nname='a'\nkind='cpu'\n", "device names must differ"),
        ("[[device]]\nname='a/b'\nkind='cpu'\n", "name must be a non-empty string without '/'"),
        ("[[device]]\nname='a'\nkind='cpu'\ncores=2\n", "unknown key 'cores'"),
        ("clock=1\n[[device]]\nname='a'\nkind='cpu'\n", "unknown key 'clock'"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(text, told, tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"^{path}: .*{told}"):
        load_live_fleet(path)
