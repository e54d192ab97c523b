"""Training: it learns, repeats, resumes, and validates on held-out families."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.nn.checkpoint import write_checkpoint
from gnnsched_env.nn.device import pick_device
from gnnsched_env.predictors import DatasetSpec
from gnnsched_env.predictors.gnn import training_samples as sampling
from gnnsched_env.predictors.gnn.gnn_training import KIND, TrainConfig, train_gnn
from gnnsched_env.predictors.gnn.latency_networks import ModelConfig
from gnnsched_env.predictors.gnn.training_samples import label_samples, training_samples
from gnnsched_env.tables import pair_cycles
from tests.predictors.gnn.jobs import PAIRS, TINY, job_classes, new_run, random_graph


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "most"),
    [(ModelConfig(hidden=24, width=32), 3.0), (ModelConfig(architecture="readout", depth=2, hidden=16, width=32), 6.0)],
)
def test_it_fits_a_handful_of_samples(model, most):
    run = new_run(replace(TINY, steps=250, batch=5, pairs_a_step=9, learning_rate=1e-2, model=model))
    members = np.arange(5)
    before = run.predict(members)
    for _ in range(250):
        run.take_step()
    true = run.samples.cycles[members]
    assert 100 * np.abs(run.predict(members) / true - 1).mean() < most
    assert 100 * np.abs(before / true - 1).mean() > 10.0


def weights_after(run, steps):
    while run.step < steps:
        run.take_step()
        if run.step % run.config.validate_every == 0:
            run.validate()
    return {name: value.clone() for name, value in run.network.state_dict().items()}


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_resumed_training_ends_where_an_uninterrupted_one_does(tmp_path, dropout):
    model = replace(TINY.model, architecture="readout", depth=2, dropout=dropout) if dropout else TINY.model
    config = replace(TINY, model=model)
    whole = new_run(config)
    expected = weights_after(whole, config.steps)
    killed = new_run(config)
    weights_after(killed, 4)
    killed.save(tmp_path / "run.ckpt")
    killed.take_step()  # lost with the kill
    resumed = new_run(config)
    resumed.load(tmp_path / "run.ckpt")
    found = weights_after(resumed, config.steps)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert resumed.history == whole.history
    assert all(torch.equal(resumed.best[name], whole.best[name]) for name in whole.best)


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    new_run().save(tmp_path / "run.ckpt")
    with pytest.raises(ConfigError, match="of another training"):
        new_run(replace(TINY, seed=1)).load(tmp_path / "run.ckpt")


def test_a_damaged_checkpoint_is_refused(tmp_path):
    new_run().save(tmp_path / "run.ckpt")
    (tmp_path / "run.ckpt").write_bytes((tmp_path / "run.ckpt").read_bytes()[:500])
    with pytest.raises(FileFormatError, match="damaged"):
        new_run().load(tmp_path / "run.ckpt")


def test_the_best_validated_weights_are_kept():
    run = new_run()
    run.validate()
    best = run.history[0]["mape"]
    with torch.no_grad():
        run.network.head[-1].bias.add_(2.0)
    run.validate()
    assert run.history[1]["mape"] > best
    assert not torch.equal(run.best["head.4.bias"], run.network.state_dict()["head.4.bias"])


def test_steps_never_see_held_out_families(monkeypatch):
    run = new_run()
    seen = set()
    batch = run.samples.batch
    object.__setattr__(run, "samples", Recorder(batch, seen))
    for _ in range(6):
        run.take_step()
    assert seen and not seen & set(run._held.tolist())


class Recorder:
    """Samples that note which of them were asked for."""

    def __init__(self, batch, seen):
        self._batch, self._seen = batch, seen

    def batch(self, members, columns):
        self._seen.update(members.tolist())
        return self._batch(members, columns)


def test_labels_are_the_cost_models():
    classes = job_classes([random_graph(k, 9 + 8 * k) for k in range(5)], kinds=("gcn", "sage"), hidden=())
    samples = label_samples(classes, PAIRS, layers_a_graph=3)
    assert len(samples) == 15 and (samples.cycles[:5] == pair_cycles(classes, PAIRS)).all()
    graphs, features, geometry, logs = samples.batch(np.array([2, 7]), np.array([0, 3]))
    assert graphs.vertices.tolist() == [25, 25] and features.shape[:2] == geometry.shape[:2] == (2, 2)
    np.testing.assert_allclose(logs.exp().numpy(), samples.cycles[[2, 7]][:, [0, 3]])


def test_a_graph_takes_layers_of_its_own_kind_only(monkeypatch):
    monkeypatch.setattr(sampling, "STRIDE", 1)
    widths = tuple((3 + k, 2) for k in range(6))
    classes = job_classes([random_graph(k, 12) for k in range(6)], kinds=("gcn", "sage"), widths=widths, hidden=())
    samples = label_samples(classes, PAIRS, layers_a_graph=2)
    assert (samples.layer_of[6:] != samples.layer_of[:6]).all()
    assert (samples.sizes[:, 3] == samples.sizes[:, 2] * np.where(samples.graph_of % 2, 2, 1)).all()


@pytest.mark.slow
def test_training_from_synthetic_families_repeats(tmp_path):
    config = TrainConfig(
        graphs=60,
        most_vertices=40,
        layers_a_graph=2,
        small_graphs=24,
        small_layers=2,
        fleet="hetero4",
        held_out=first_family(),
        steps=4,
        batch=4,
        validate_every=2,
        model=ModelConfig(hidden=6, width=8),
    )
    lines = []
    first = train_gnn(config, checkpoint=tmp_path / "run.ckpt", device="cpu", report=lines.append)
    again = train_gnn(config, checkpoint=tmp_path / "run.ckpt", device="cpu", report=lines.append)
    fresh = train_gnn(config, device="cpu")
    assert lines[0].startswith("step 2: held-out families: MAPE") and "resumed at step 4 of 4" in lines
    for name, value in first.weights.items():
        assert np.array_equal(value, again.weights[name]) and np.array_equal(value, fresh.weights[name])


def first_family():
    samples = training_samples(DatasetSpec(graphs=60, seed=0, most_vertices=40), PAIRS[:1], layers_a_graph=1, depth=1)
    return (samples.group_names[samples.groups[0]],)


@pytest.mark.parametrize("field", ["graphs", "steps", "batch", "learning_rate", "validate_every"])
def test_a_wrong_setting_is_refused_by_name(field):
    with pytest.raises(ConfigError, match=field):
        TrainConfig(**{field: 0})


def test_unknown_families_and_devices_are_refused():
    with pytest.raises(ConfigError, match="held_out must name families"):
        new_run(replace(TINY, held_out=("nobody",)))
    with pytest.raises(ConfigError, match="held_out must leave"):
        new_run(replace(TINY, held_out=("held out", "trained on")))
    with pytest.raises(ConfigError, match="device 'abacus'"):
        pick_device("abacus")


def test_a_checkpoint_without_a_field_is_refused_by_its_name(tmp_path):
    run = new_run()
    write_checkpoint(tmp_path / "a.ckpt", KIND, run._key(), {"network": run.network.state_dict()})
    with pytest.raises(FileFormatError, match=r"a\.ckpt: the checkpoint lacks 'optimizer'$"):
        run.load(tmp_path / "a.ckpt")
