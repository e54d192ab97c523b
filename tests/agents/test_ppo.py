"""PPO: its estimates against slow twins, what it learns on a toy, and that it goes on exactly after a save."""

import zipfile
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnsched_agents import lanes as lanes_module
from gnnsched_agents.lane_insights import HORIZONS
from gnnsched_agents.lanes import Lanes
from gnnsched_agents.methods.played_decisions import PlayedDecisions, gae, normalised
from gnnsched_agents.methods.ppo import Ppo, clipped_gain
from gnnsched_agents.methods.registry import PpoConfig
from gnnsched_agents.methods.sampled_play import draw
from gnnsched_agents.torch_network import Packing, PairNetwork
from gnnsched_agents.worlds import Workloads, make_world
from gnnsched_baselines.learned.pair_features import NUM_FEATURES
from gnnsched_baselines.learned.pair_network import initial_network, save_network
from gnnsched_baselines.learned.player import Player
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.nn.checkpoint import read_checkpoint, write_checkpoint
from tests.envs.environments import hetero_scenario
from tests.twins import sampled_play as naive_play
from tests.twins import training as naive_training

WORKLOADS = Workloads(sets=2, jobs=40, window=8, loads=(0.8, 1.0))
SMALL = PpoConfig(worlds=2, lanes=4, steps=12, batch=32, width=8, critic_width=8, redraw=2, device="cpu", threads=1)


@pytest.fixture(autouse=True)
def toy_tables(monkeypatch):
    """Give worlds small random tables instead of those of synthetic graphs."""
    monkeypatch.setattr(
        lanes_module, "training_scenario", lambda workloads, number: hetero_scenario(seed=number, noise=0.05)
    )


@given(steps=st.integers(1, 12), lanes=st.integers(1, 4), decay=st.floats(0.0, 1.0), seed=st.integers(0, 1 << 32))
def test_gae_equals_the_sum_of_discounted_errors(steps, lanes, decay, seed):
    rng = np.random.default_rng(seed)
    rewards, values = rng.normal(size=(2, steps, lanes))
    discounts = np.where(rng.random((steps, lanes)) < 0.2, 0.0, rng.random((steps, lanes)))
    last = rng.normal(size=lanes)
    expected = [
        naive_training.gae(rewards[:, i], discounts[:, i], values[:, i].tolist(), last[i], decay) for i in range(lanes)
    ]
    np.testing.assert_allclose(gae(rewards, discounts, values, last, decay), np.transpose(expected), atol=1e-10)


def test_gae_without_decay_is_the_return_less_the_value():
    rewards, values = np.array([[-1.0], [-2.0], [-4.0]]), np.array([[5.0], [6.0], [7.0]])
    advantages = gae(rewards, np.ones((3, 1)), values, np.array([-100.0]), 1.0)
    assert (advantages + values).ravel().tolist() == [-107.0, -106.0, -104.0]
    ended = gae(rewards, np.array([[1.0], [0.0], [1.0]]), values, np.array([-100.0]), 1.0)
    assert (ended + values).ravel().tolist() == [-3.0, -2.0, -104.0]


def test_advantages_are_normalised_in_each_world():
    rng = np.random.default_rng(0)
    advantages = np.concatenate([rng.normal(3.0, 100.0, (50, 4)), rng.normal(-1.0, 0.01, (50, 4))], axis=1)
    scaled = normalised(advantages, 2, 100.0)
    for own in (scaled[:, :4], scaled[:, 4:]):
        assert own.mean() == pytest.approx(0.0, abs=1e-6)
        assert own.std() == pytest.approx(1.0, abs=1e-3)
    assert abs(normalised(advantages, 2, 1.5)).max() == pytest.approx(1.5)
    assert (normalised(np.full((3, 2), 7.0), 1, 4.0) == 0.0).all()


@pytest.mark.parametrize(
    ("ratio", "advantage", "gain", "slope"),
    [
        (1.1, 2.0, 2.2, 2.2),  # inside: d(ratio x advantage) / d(log ratio) = ratio x advantage
        (1.5, 2.0, 2.4, 0.0),  # good and far already: no more
        (0.5, 2.0, 1.0, 1.0),  # good and made rare: back
        (0.5, -2.0, -1.6, 0.0),  # bad and rare already: no more
        (1.5, -2.0, -3.0, -3.0),  # bad and made frequent: back
    ],
)
def test_the_clipped_objective_and_its_slope(ratio, advantage, gain, slope):
    log_ratios = torch.tensor([np.log(ratio)], requires_grad=True)
    value = clipped_gain(log_ratios, torch.tensor([advantage]), 0.2)
    value.backward()
    assert float(value.detach()) == pytest.approx(gain)
    assert float(log_ratios.grad) == pytest.approx(slope)


def test_the_objectives_gradient_is_the_policy_gradient_where_nothing_has_moved():
    """At ratio 1, d/d(score k) = advantage x (1 if chosen else 0 - probability of k), over the number of decisions."""
    scores = torch.tensor([0.5, -0.2, 1.0, 0.3, 0.0], dtype=torch.float64, requires_grad=True)
    packing, chosen = Packing.of(torch.tensor([3, 2])), torch.tensor([1, 4])
    logs = packing.log_softmax(scores)
    clipped_gain(logs[chosen] - logs[chosen].detach(), torch.tensor([2.0, -1.0]), 0.2).backward()
    expected = []
    for own, took, advantage in (([0.5, -0.2, 1.0], 1, 2.0), ([0.3, 0.0], 1, -1.0)):
        shares = naive_training.softmax(own)
        expected += [advantage * ((k == took) - share) / 2 for k, share in enumerate(shares)]
    np.testing.assert_allclose(scores.grad.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(("size", "parts"), [(5, 9), (23, 2), (46, 1), (100, 1), (1, 23)])
def test_batches_hold_every_decision_once_in_equal_parts_of_all_worlds(size, parts):
    played = PlayedDecisions(2, 1, 23)
    batches = list(played.batches(size, np.random.default_rng(0)))
    assert len(batches) == parts
    for own in zip(*batches, strict=True):
        assert sorted(np.concatenate(own).tolist()) == list(range(23))
        assert max(map(len, own)) - min(map(len, own)) <= 1
    first, second = (np.concatenate(own).tolist() for own in zip(*batches, strict=True))
    assert first != second


def test_what_is_played_follows_the_policy():
    ppo = Ppo(SMALL, WORKLOADS, 0)
    figures, played = ppo.play(), ppo.played
    assert len(played) == 2 * 4 * 12
    values = ppo.critic.values(torch.from_numpy(played.views)).detach().numpy()
    for world in range(2):
        starts = played.starts[world]
        sizes, rows = np.diff(starts), played.rows[world][: starts[-1]]
        assert (played.chosen[world] >= 0).all()
        assert (played.chosen[world] < sizes).all()
        packing = Packing.of(torch.from_numpy(sizes))
        with torch.no_grad():
            logs = packing.log_softmax(ppo.actor(torch.from_numpy(rows), packing)).numpy()
        taken = logs[starts[:-1] + played.chosen[world]]
        np.testing.assert_allclose(taken, played.log_probabilities[world], rtol=1e-4, atol=1e-5)
        means = np.add.reduceat(rows, starts[:-1]) / sizes[:, np.newaxis]
        np.testing.assert_allclose(played.views[world, :-4, :NUM_FEATURES], means, rtol=1e-4, atol=1e-5)
        rewards, elapsed, ended = (
            values.reshape(12, 4) for values in (played.rewards[world], played.elapsed[world], played.ended[world])
        )
        own = values[world].reshape(13, 4)
        discounts = np.where(ended, 0.0, np.exp(-elapsed / SMALL.tau))
        raw = gae(rewards, discounts, own[:-1], own[-1], SMALL.gae)
        np.testing.assert_allclose(played.returns[world].reshape(12, 4), raw + own[:-1], rtol=1e-4, atol=1e-4)
        scaled = ((raw - raw.mean()) / raw.std()).clip(-4.0, 4.0)
        np.testing.assert_allclose(played.advantages[world].reshape(12, 4), scaled, rtol=1e-3, atol=1e-3)
    assert figures["jobs"] > 0.0


@given(seed=st.integers(0, 1 << 32), lanes=st.integers(1, 3), steps=st.integers(1, 30), foresight=st.booleans())
@settings(max_examples=15)
def test_what_is_played_is_what_the_slow_twin_plays(seed, lanes, steps, foresight):
    """Some episodes end on the way: they have 40 jobs."""
    network = initial_network(4, np.random.default_rng(seed), prior=1.0)
    uniforms = np.random.default_rng(seed).random((steps, lanes))
    ours, theirs = (Lanes(WORKLOADS, 1, lanes, np.random.default_rng(seed), network) for _ in range(2))
    played = PlayedDecisions(1, lanes, steps)
    played.play(ours, 0, network, uniforms, foresight=foresight)
    rows, chosen, shares, views, (rewards, elapsed, ended) = naive_play.play(
        theirs, 0, network, uniforms, foresight=foresight
    )
    assert played.chosen[0].tolist() == chosen
    assert played.starts[0].tolist() == np.cumsum([0, *map(len, rows)]).tolist()
    assert (played.rows[0][: played.starts[0, -1]] == np.concatenate(rows)).all()
    np.testing.assert_allclose(np.exp(played.log_probabilities[0]), shares, rtol=1e-4)
    np.testing.assert_allclose(played.views[0], views, rtol=1e-4, atol=1e-5)
    for own, other in ((played.rewards, rewards), (played.elapsed, elapsed), (played.ended, ended)):
        assert (own[0] == other).all()
    for own, other in zip(ours.state()[0]["arrays"], theirs.state()[0]["arrays"], strict=True):
        assert (own == other).all()


def test_room_for_rows_is_made_where_it_ends():
    plain, tight = Ppo(SMALL, WORKLOADS, 0), Ppo(SMALL, WORKLOADS, 0)
    tight.played.rows = [rows[:1] for rows in tight.played.rows]
    plain.play()
    tight.play()
    for world, starts in enumerate(plain.played.starts):
        assert (plain.played.rows[world][: starts[-1]] == tight.played.rows[world][: starts[-1]]).all()


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    uniforms=st.lists(st.floats(0.0, 1.0, exclude_max=True), min_size=6, max_size=6),
    seed=st.integers(0, 1 << 32),
)
def test_draws_are_those_of_the_slow_twin(sizes, uniforms, seed):
    rng = np.random.default_rng(seed)
    network = initial_network(4, rng)
    object.__setattr__(network, "w3", rng.normal(size=4).astype(np.float32))
    starts, most = np.concatenate([[0], np.cumsum(sizes)]), max(sizes)
    rows = rng.normal(size=(starts[-1], NUM_FEATURES)).astype(np.float32)
    chosen, logs = np.full(len(sizes), -1), np.zeros(len(sizes), np.float32)
    scratch = np.arange(most), *(np.empty(shape, np.float32) for shape in ((most, 4), (2, 4), most))
    draw(rows, starts, network.arrays, np.array(uniforms[: len(sizes)]), *scratch, chosen, logs)
    scores = network.scores(rows, starts).astype(float)
    for i, own in enumerate(np.split(scores, starts[1:-1])):
        shares = naive_training.softmax(own.tolist())
        below, above = sum(shares[: chosen[i]]), sum(shares[: chosen[i] + 1])
        assert below - 1e-5 <= uniforms[i] <= above + 1e-5
        assert logs[i] == pytest.approx(np.log(shares[chosen[i]]), rel=1e-4, abs=1e-4)


def test_gradients_are_those_of_torchs_autograd():
    """After three updates, so that the policy is away from what played and no layer is zero."""
    ppo = Ppo(replace(SMALL, learning_rate=(0.02, 0.02), kl=1e9, clip=0.1), WORKLOADS, 0)
    for _ in range(3):
        ppo.update()
    batch = next(ppo.played.batches(50, ppo.rng))
    found = []
    for descend in (ppo._compiled, ppo._autograd):
        ppo.optimizer.zero_grad()
        figures = descend(batch, 0.1)
        found.append(([parameter.grad.clone() for parameter in ppo.actor.parameters()], figures))
    (ours, our_figures), (theirs, their_figures) = found
    assert our_figures == pytest.approx(their_figures, rel=1e-3, abs=1e-5)
    assert our_figures["clipped"] > 0.05
    for own, other in zip(ours, theirs, strict=True):
        assert float(other.abs().max()) > 0.0
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-5)


def test_nothing_depends_on_the_number_of_threads():
    results = []
    for threads in (1, 3):
        ppo = Ppo(replace(SMALL, threads=threads), WORKLOADS, 0)
        results.append([ppo.update() for _ in range(3)])
    assert results[0] == results[1]


@pytest.mark.slow
def test_it_learns_on_a_toy_from_scratch():
    """From a policy that draws uniformly, in some seconds: far fewer jobs in the system, and a better greedy policy."""
    config = PpoConfig(
        worlds=2, lanes=16, steps=64, batch=512, width=16, critic_width=32, redraw=1_000, prior=0.0,
        learning_rate=(3e-3, 1e-3), falling=60_000, device="cpu",
    )  # fmt: skip
    ppo = Ppo(config, WORKLOADS, 0)
    figures = [ppo.update() for _ in range(25)]
    assert np.mean([f["jobs"] for f in figures[-3:]]) < 0.7 * np.mean([f["jobs"] for f in figures[:3]])
    world = make_world(WORKLOADS, hetero_scenario(seed=0, noise=0.05), 0.9, 64)
    waiting_last = initial_network(4, np.random.default_rng(0), prior=0.0)  # takes the first row: the oldest job
    means = [
        world.play(Player(world.simulation, world.layout, world.machines, world.unit, network.arrays).act, 1_000).mean()
        for network in (waiting_last, ppo.network())
    ]
    assert means[1] < 0.8 * means[0]


def test_figures_and_schedules():
    ppo = Ppo(replace(SMALL, learning_rate=(1e-2, 1e-3), falling=3 * 96), WORKLOADS, 0)
    rates = []
    for _ in range(5):
        figures = ppo.update()
        rates.append(figures["learning_rate"])
        assert figures["decisions"] == 96.0
        assert all(np.isfinite(value) for value in figures.values())
        assert 1.0 <= figures["epochs"] <= SMALL.epochs
    assert rates == pytest.approx([0.01, 0.007, 0.004, 0.001, 0.001])
    assert ppo.decisions == 5 * 96


def test_passes_end_where_the_policy_has_moved_far_enough():
    ppo = Ppo(replace(SMALL, learning_rate=(0.05, 0.05), kl=1e-6, epochs=10), WORKLOADS, 0)
    assert ppo.update()["epochs"] == 1.0


def test_worlds_are_replaced_in_turn():
    ppo = Ppo(SMALL, WORKLOADS, 0)
    seen = []
    for _ in range(6):
        ppo.update()
        seen.append(tuple(load for _, load in ppo.lanes.drawn))
    assert seen[0] == seen[1]
    assert [a[0] == b[0] for a, b in pairwise(seen)] == [True, True, True, False, True]
    assert [a[1] == b[1] for a, b in pairwise(seen)] == [True, False, True, True, True]


def test_without_foresight_the_critic_sees_nothing_to_come():
    ahead, views = 2 * len(HORIZONS), []
    for foresight in (True, False):
        ppo = Ppo(replace(SMALL, foresight=foresight), WORKLOADS, 0)
        ppo.play()
        views.append(ppo.played.views)
    seeing, blind = views
    assert (blind[..., -ahead:] == 0.0).all()
    assert (seeing[..., -ahead:] != 0.0).any()
    np.testing.assert_array_equal(blind[..., :-ahead], seeing[..., :-ahead])


def test_a_seed_decides_everything_and_torchs_own_generator_nothing():
    results = []
    for seed, own in ((3, 0), (3, 1), (4, 0)):
        torch.manual_seed(own)
        ppo = Ppo(SMALL, WORKLOADS, seed)
        results.append([ppo.update() for _ in range(2)])
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_a_loaded_training_goes_on_exactly(tmp_path):
    path = tmp_path / "ppo.pt"
    first = Ppo(SMALL, WORKLOADS, 0)
    for _ in range(3):
        first.update()
    first.save(path)
    other = Ppo(SMALL, WORKLOADS, 1)
    other.load(path)
    assert other.decisions == first.decisions
    for _ in range(4):  # a world is replaced in them
        assert first.update() == other.update()
    assert all((a == b).all() for a, b in zip(first.network().arrays, other.network().arrays, strict=True))


def test_it_starts_from_given_weights(tmp_path):
    start = initial_network(12, np.random.default_rng(5))
    save_network(tmp_path / "start.npz", start, {})
    ppo = Ppo(replace(SMALL, weights=tmp_path / "start.npz"), WORKLOADS, 0)
    assert all((a == b).all() for a, b in zip(ppo.network().arrays, start.arrays, strict=True))
    ppo.update()
    with pytest.raises(FileFormatError, match="No such file"):
        Ppo(replace(SMALL, weights=tmp_path / "none.npz"), WORKLOADS, 0)


def test_checkpoints_of_others_are_refused(tmp_path):
    path = tmp_path / "ppo.pt"
    ppo = Ppo(SMALL, WORKLOADS, 0)
    ppo.save(path)
    with pytest.raises(ConfigError, match="is of another training"):
        Ppo(replace(SMALL, gae=0.5), WORKLOADS, 0).load(path)
    with pytest.raises(ConfigError, match="is of another training"):
        Ppo(SMALL, replace(WORKLOADS, jobs=41), 0).load(path)
    Ppo(replace(SMALL, threads=2), WORKLOADS, 0).load(path)
    with pytest.raises(FileFormatError, match="no such checkpoint"):
        ppo.load(tmp_path / "none.pt")
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damaged in (b"", b"nonsense", whole[:middle], whole[:middle] + b"?" * 40 + whole[middle + 40 :]):
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError, match="must be a checkpoint"):
            ppo.load(path)
    write_checkpoint(path, "dreaming 1", "", {})
    with pytest.raises(FileFormatError, match="must be a checkpoint of ppo 3, it is of 'dreaming 1'"):
        ppo.load(path)
    write_checkpoint(path, "ppo 3", ppo._key(), {"counters": (1, 2)})
    with pytest.raises(FileFormatError, match=r"ppo\.pt: the checkpoint lacks 'actor'$"):
        ppo.load(path)


def test_a_checkpoint_holds_no_code(tmp_path):
    class Harm:
        def __reduce__(self):
            return (tmp_path.joinpath("harm").touch, ())

    torch.save({"kind": "ppo 3", "key": "", "state": {"x": Harm()}}, tmp_path / "bad.pt")
    with pytest.raises(FileFormatError, match="must be a checkpoint"):
        read_checkpoint(tmp_path / "bad.pt", "ppo 3", "", torch.device("cpu"))
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"worlds": 0}, "worlds must be"),
        ({"lanes": -3}, "lanes must be"),
        ({"width": 5000}, "width must be"),
        ({"tau": 0.0}, "tau must be"),
        ({"tau": float("nan")}, "tau must be"),
        ({"gae": 1.5}, "gae must be"),
        ({"learning_rate": (1e-3, 0.0)}, "learning_rate"),
        ({"learning_rate": (float("inf"), 1e-3)}, "learning_rate"),
        ({"entropy": (-1e-3, 0.0)}, "entropy"),
        ({"prior": float("inf")}, "prior must be"),
    ],
)
def test_bad_values_are_refused(values, message):
    with pytest.raises(ConfigError, match=f"ppo: .*{message}"):
        PpoConfig(**values)


def test_an_unusable_device_is_refused():
    with pytest.raises(ConfigError, match="device 'abacus' is not usable"):
        Ppo(replace(SMALL, device="abacus"), WORKLOADS, 0)


def test_all_counts_alike_where_tau_is_infinite():
    figures = Ppo(replace(SMALL, tau=float("inf")), WORKLOADS, 0).update()
    assert all(np.isfinite(value) for value in figures.values())


def test_the_actor_is_the_network_that_is_returned():
    ppo = Ppo(SMALL, WORKLOADS, 0)
    ppo.update()
    rows = torch.randn(7, NUM_FEATURES, generator=torch.Generator().manual_seed(0))
    packing = Packing.of(torch.tensor([3, 4]))
    with torch.no_grad():
        torch.testing.assert_close(PairNetwork(ppo.network())(rows, packing), ppo.actor(rows, packing))


def test_a_member_that_the_directory_calls_a_folder_is_read_all_the_same(tmp_path):
    """torch itself returns whatever memory holds, and no error."""
    path = tmp_path / "a.pt"
    write_checkpoint(path, "toy 1", "", {"weights": torch.arange(500.0)})
    with zipfile.ZipFile(path, "a") as archive:
        for info in archive.infolist():
            info.external_attr = 0x10
        archive.writestr("archive/note", "the directory is written anew")
    state = read_checkpoint(path, "toy 1", "", torch.device("cpu"))
    assert state["weights"].tolist() == list(range(500))


def test_traces_are_refused(tmp_path, monkeypatch):
    """Only jobs that are drawn are drawn anew in compiled code when an episode ends."""
    name = hetero_scenario().table.class_names[0]
    (tmp_path / "jobs.csv").write_text("time,class\n" + "".join(f"{second},{name}\n" for second in range(50)))
    scenario = hetero_scenario().with_options(arrivals={"trace": str(tmp_path / "jobs.csv")})
    monkeypatch.setattr(lanes_module, "training_scenario", lambda workloads, number: scenario)
    with pytest.raises(ConfigError, match="scenario must be one whose jobs are drawn: PPO does not train on traces"):
        Ppo(SMALL, WORKLOADS, 0)
