"""A training loop written by hand over the batch, as in single-file implementations, and Gymnasium's wrappers on it."""

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers.vector import NormalizeReward, RecordEpisodeStatistics

from tests.envs.vectors import assert_same, make_loop, make_native

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
QUEUE = "gnnsched/Queue-v0"
LANES, STEPS = 16, 32


class Agent(torch.nn.Module):
    def __init__(self, inputs, actions):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(inputs, 32), torch.nn.Tanh())
        self.policy, self.value = torch.nn.Linear(32, actions), torch.nn.Linear(32, 1)

    def forward(self, observation, mask):
        hidden = self.body(observation)
        logits = self.policy(hidden).masked_fill(~mask, -1e9)
        return torch.distributions.Categorical(logits=logits), self.value(hidden)[:, 0]


def tensors(observation, masks):
    return torch.cat([torch.tensor(array) for array in observation.values()], dim=1), torch.tensor(masks)


def collect(envs, agent, state):
    """Play STEPS steps; return what was seen, done and earned, and the state to go on from."""
    rows, finished = [], []
    for _ in range(STEPS):
        inputs, mask, done = state
        with torch.no_grad():
            distribution, value = agent(inputs, mask)
            action = distribution.sample()
        assert mask.gather(1, action[:, None]).all()
        observation, reward, terminated, _, infos = envs.step(action.numpy())
        if "episode" in infos:
            finished += infos["episode"]["r"][infos["_episode"]].tolist()
        live = ~done  # the step after an end only begins the next episode
        rows.append((inputs, mask, action, distribution.log_prob(action), value, torch.tensor(reward), live))
        state = (*tensors(observation, envs.action_masks()), torch.tensor(terminated))
    return [torch.stack(column) for column in zip(*rows, strict=True)], finished, state


def update(agent, optimiser, rollout):
    """One clipped policy-gradient step on undiscounted rewards-to-go within the rollout."""
    inputs, mask, action, old, value, reward, live = rollout
    to_go = reward.flip(0).cumsum(0).flip(0).float()
    advantage = ((to_go - value) - (to_go - value).mean()) / (to_go.std() + 1e-6)
    distribution, predicted = agent(inputs[live], mask[live])
    ratio = (distribution.log_prob(action[live]) - old[live]).exp()
    clipped = torch.minimum(ratio * advantage[live], ratio.clamp(0.8, 1.2) * advantage[live])
    loss = -clipped.mean() + 1e-3 * (predicted - to_go[live]).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def test_a_hand_written_loop_trains_on_the_batch():
    torch.manual_seed(0)
    envs = gymnasium.make_vec(QUEUE, num_envs=LANES, jobs=8, window=4)
    observation, _ = envs.reset(seed=0)
    state = (*tensors(observation, envs.unwrapped.action_masks()), torch.zeros(LANES, dtype=torch.bool))
    agent = Agent(state[0].shape[1], envs.single_action_space.n)
    optimiser = torch.optim.Adam(agent.parameters(), 1e-3)
    before = agent.policy.weight.detach().clone()
    finished, losses = [], []
    for _ in range(3):
        rollout, ended, state = collect(envs.unwrapped, agent, state)
        losses.append(update(agent, optimiser, rollout))
        finished += ended
        assert (rollout[5][~rollout[6]] == 0).all()  # a beginning earns nothing
        assert (rollout[0][1:] != rollout[0][:-1]).any()  # what is kept does not change under one's hands
    assert np.isfinite(losses).all()
    assert len(finished) > LANES
    assert max(finished) < 0
    assert (agent.policy.weight != before).any()


def test_gymnasiums_wrappers_normalise_alike_on_batch_and_loop():
    wrapped = [
        NormalizeReward(RecordEpisodeStatistics(env), gamma=1.0)
        for env in (
            make_native("queue", 4, gymnasium.vector.AutoresetMode.SAME_STEP, episode_statistics=False),
            make_loop("queue", 4, gymnasium.vector.AutoresetMode.SAME_STEP),
        )
    ]
    for env in wrapped:
        env.reset(seed=2)
    rng, ends = np.random.default_rng(0), 0
    for _ in range(50):
        actions = rng.integers(wrapped[0].single_action_space.n, size=4)
        ours, theirs = (env.step(actions) for env in wrapped)
        assert_same(ours[0], theirs[0])
        assert (ours[1] == theirs[1]).all()
        assert (ours[2] == theirs[2]).all()
        if ours[2].any():
            ends += int(ours[2].sum())
            assert (ours[4]["episode"]["r"] == theirs[4]["episode"]["r"]).all()
            assert (ours[4]["episode"]["l"] == theirs[4]["episode"]["l"]).all()
    assert ends > 4
    assert len(wrapped[0].env.return_queue) == ends
