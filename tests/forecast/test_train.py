"""Training: it learns, repeats itself, resumes exactly, keeps the best weights, refuses what it cannot use."""

import dataclasses

import numpy as np
import pytest
import torch

from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.forecast.encoding.portions import Portion
from gnnsched_env.forecast.models.model_list import MODELS
from gnnsched_env.forecast.models.network_settings import ConvolutionShape, Loss, NetworkSettings
from gnnsched_env.forecast.scoring.rank_scores import kendall_tau
from gnnsched_env.forecast.training import network_training as training
from gnnsched_env.forecast.training.network_training import Training, train_network
from gnnsched_env.nn.checkpoint import write_checkpoint
from tests.forecast.little_samples import layout_sample, tile_sample

CPU = torch.device("cpu")
SMALL = ConvolutionShape(width=16, depth=2, norm="instance", residual=True, attention=True, references=4, segment=8)
CONFIG = NetworkSettings(model=SMALL, loss=Loss.HINGE, steps=12, configs_a_step=16, validate_every=5, rate=1e-2)


@pytest.fixture(scope="module")
def portions():
    sample = layout_sample()
    return [Portion(sample=sample, rows=np.arange(40))], [Portion(sample=sample, rows=np.arange(40, 60))]


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("loss", "target"), [(Loss.MSE, "log"), (Loss.MSE, "rank"), (Loss.HINGE, "log"), (Loss.LIST_MLE, "log")]
)
def test_it_learns_what_each_configuration_costs(loss, target):
    sample = layout_sample(configurable=5, configs=200, copies=0.0)
    run = learn(sample, loss=loss, target=target, steps=50, rate=5e-3)
    before, after = (entry["tau"] for entry in run.history)
    assert after > 0.85 > 0.65 > before


@pytest.mark.slow
def test_edges_tell_where_neighbours_disagree():
    """Copies between operations that disagree are most of the runtime here: a network without edges cannot see them."""
    sample = layout_sample(configurable=5, configs=240)
    nn, sage = (
        learn(sample, loss=Loss.HINGE, steps=100, rate=3e-3, configs_a_step=64, model=model).history[-1]["tau"]
        for model in (ConvolutionShape(conv="none", width=32, depth=2), ConvolutionShape(width=64, depth=4))
    )
    assert nn < 0.6 < 0.75 < sage


def learn(sample, *, steps, model=SMALL, **options):
    """Train on three quarters of the configurations, validated on the others before and after."""
    rows = np.arange(sample.num_configs)
    train, held = Portion(sample=sample, rows=rows[rows % 4 > 0]), Portion(sample=sample, rows=rows[rows % 4 == 0])
    options = {"model": dataclasses.replace(model, segment=100), "steps": steps, "configs_a_step": 48} | options
    run = Training(dataclasses.replace(CONFIG, **options), [train], [held], CPU)
    run.validate()
    for _ in range(steps):
        run.take_step()
    run.validate()
    return run


def test_several_programs_of_tiles_are_learned_and_a_new_one_ranked():
    train = [Portion(sample=tile_sample(seed=seed)) for seed in range(3)]
    new = tile_sample(seed=9)
    config = dataclasses.replace(MODELS["sage"], steps=40, graphs_a_step=2, configs_a_step=20, rate=1e-2)
    ranker = train_network(config, train, [Portion(sample=new)], device="cpu").ranker()
    assert kendall_tau(ranker.predict(new), new.targets) > 0.5


def test_equal_seeds_give_equal_weights_and_others_do_not(portions):
    runs = [Training(dataclasses.replace(CONFIG, seed=seed), *portions, CPU) for seed in (0, 0, 1)]
    losses = [[run.take_step() for _ in range(3)] for run in runs]
    assert losses[0] == losses[1] != losses[2]
    assert_equal(weights(runs[0].network), weights(runs[1].network))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_killed_training_goes_on_as_if_it_had_not_been(dropout, portions, tmp_path):
    config = dataclasses.replace(CONFIG, model=dataclasses.replace(SMALL, dropout=dropout))
    whole = train_network(config, *portions, device="cpu").ranker()
    first = Training(config, *portions, CPU)
    for _ in range(5):
        first.take_step()
    first.validate()
    first.save(tmp_path / "checkpoint")
    lines = []
    resumed = train_network(
        config, *portions, checkpoint=tmp_path / "checkpoint", device="cpu", report=lines.append
    ).ranker()
    assert lines[0] == "resumed at step 5 of 12"
    assert resumed.provenance == whole.provenance
    assert_equal(weights(resumed.network), weights(whole.network))


def test_training_leaves_the_global_generator_alone(portions):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    config = dataclasses.replace(CONFIG, model=dataclasses.replace(SMALL, dropout=0.5))
    Training(config, *portions, CPU).take_step()
    assert torch.equal(torch.rand(1), expected)


def test_the_best_weights_are_kept(portions):
    run = Training(CONFIG, *portions, CPU)
    for _ in range(10):
        run.take_step()
    run.validate()
    best = weights(run.averaged)
    with torch.no_grad():
        for value in run.averaged.parameters():
            value.zero_()
    run.validate()
    assert run.history[0]["tau"] > run.history[1]["tau"] == 0.0
    assert_equal(weights(run.ranker().network), best)


def test_kept_weights_are_the_mean_of_the_first_steps_then_a_running_one(portions):
    run = Training(dataclasses.replace(CONFIG, average=0.75), *portions, CPU)
    seen = []
    for _ in range(6):
        run.take_step()
        seen.append(run.network.each.weight.detach().clone())
    expected = torch.stack(seen[:4]).mean(dim=0)
    for value in seen[4:]:
        expected = 0.75 * expected + 0.25 * value
    torch.testing.assert_close(run.averaged.each.weight.detach(), expected)
    plain = Training(dataclasses.replace(CONFIG, average=0.0), *portions, CPU)
    plain.take_step()
    plain.take_step()
    assert_equal(weights(plain.averaged), weights(plain.network))


def test_steps_and_seeds_draw_other_configurations(portions):
    losses = set()
    for seed in (0, 1):
        run = Training(dataclasses.replace(CONFIG, seed=seed, rate=1e-12, average=0.0), *portions, CPU)
        with torch.no_grad():
            for value in run.network.parameters():
                value.fill_(0.05)
            run.network.opcode.weight.copy_(torch.linspace(-1, 1, 121 * 16).reshape(121, 16))
        losses |= {run.take_step() for _ in range(3)}
    assert len(losses) == 6


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_refused(content, portions, tmp_path):
    (tmp_path / "checkpoint").write_bytes(content)
    with pytest.raises(FileFormatError, match="checkpoint"):
        train_network(CONFIG, *portions, checkpoint=tmp_path / "checkpoint", device="cpu")


def test_a_checkpoint_of_another_training_is_refused(portions, tmp_path):
    run = Training(CONFIG, *portions, CPU)
    run.take_step()
    run.save(tmp_path / "checkpoint")
    train, held = portions
    for other, own in (
        (dataclasses.replace(CONFIG, seed=1), train),
        (CONFIG, [Portion(sample=train[0].sample, rows=np.arange(30))]),
    ):
        with pytest.raises(ConfigError, match="of another training"):
            Training(other, own, held, CPU).load(tmp_path / "checkpoint")


def test_programs_with_nothing_to_rank_are_left_out_by_name(portions):
    sample = layout_sample()
    blank = dataclasses.replace(sample, targets=np.zeros(60), name="blank")
    single = Portion(sample=dataclasses.replace(sample, name="single"), rows=np.array([4]))
    train, held = portions
    run = Training(CONFIG, [*train, Portion(sample=blank), single], held, CPU)
    assert run.left_out == ["blank", "single"]
    with pytest.raises(ConfigError, match="got 0 to train on and 1"):
        Training(CONFIG, [single], held, CPU)
    with pytest.raises(ConfigError, match="both"):
        Training(CONFIG, [*train, Portion(sample=tile_sample())], held, CPU)


def test_a_training_that_diverges_is_told_with_its_step(portions):
    run = Training(dataclasses.replace(CONFIG, rate=1e30), *portions, CPU)
    with pytest.raises(ConfigError, match=r"diverged, the loss of step \d+ is nan; rate must be smaller, got 1e\+30"):
        for _ in range(12):
            run.take_step()


def test_a_checkpoint_is_written_between_validations_too(portions, tmp_path, monkeypatch):
    """A killed training loses half a minute at most."""
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    config = dataclasses.replace(CONFIG, validate_every=10)
    seen = []
    monkeypatch.setattr(Training, "save", lambda self, path: seen.append(self.step))
    train_network(config, *portions, checkpoint=tmp_path / "checkpoint", device="cpu")
    assert seen == list(range(1, 13))
    monkeypatch.setattr(training, "SAVE_EVERY", 1e9)
    seen.clear()
    train_network(config, *portions, checkpoint=tmp_path / "checkpoint", device="cpu")
    assert seen == [10, 12]


def test_an_unusable_device_is_refused(portions):
    with pytest.raises(ConfigError, match="device 'abacus'"):
        train_network(CONFIG, *portions, device="abacus")


def test_half_precision_trains_too(portions, monkeypatch):
    """What a GPU does, on the CPU: forward in bfloat16, weights and losses in float32."""
    run = Training(CONFIG, *portions, CPU)
    plain = run.take_step()
    other = Training(CONFIG, *portions, CPU)
    other.half = True
    assert other.take_step() == pytest.approx(plain, rel=0.15)  # scores begin small, and are standardised
    assert all(value.dtype is torch.float32 for value in other.network.parameters())


def test_tensorboard_has_losses_and_taus(portions, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train_network(CONFIG, *portions, device="cpu", logs=tmp_path)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Scalars("training/loss")] == list(range(1, 13))
    assert [event.step for event in events.Scalars("validation/tau")] == [5, 10, 12]


def test_a_checkpoint_without_a_field_is_refused_by_its_name(portions, tmp_path):
    run = Training(CONFIG, *portions, CPU)
    run.take_step()
    run.validate()
    state = {
        "network": run.network.state_dict(),
        "averaged": run.averaged.state_dict(),
        "optimizer": run._optimizer.state_dict(),
        "best": run.best,
        "step": 1,
        "history": run.history,
    }
    for name in state:
        part = {other: value for other, value in state.items() if other != name}
        write_checkpoint(tmp_path / "a.pt", training.KIND, run._key, part)
        with pytest.raises(FileFormatError, match=rf"^{tmp_path}/a\.pt: the checkpoint lacks '{name}'$"):
            run.load(tmp_path / "a.pt")
    write_checkpoint(tmp_path / "a.pt", training.KIND, run._key, {**state, "network": {}})
    with pytest.raises(FileFormatError, match=r"a\.pt: the checkpoint is incomplete or damaged: .*Missing key"):
        run.load(tmp_path / "a.pt")
