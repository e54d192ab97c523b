"""The slow twin of `gnnsched_agents.methods.sampled_play`: a reader and a simulation are asked at each decision."""

import numpy as np

from gnnsched_agents.lane_insights import NUM_PRESENT
from tests.twins.training import softmax


def play(lanes, world, network, uniforms, *, foresight):
    """What PPO learns of a world's T x L decisions, as lists: rows a decision, chosen, shares, views, and what came."""
    reader, count = lanes.readers[world], lanes.lanes_each
    insights = np.zeros((count, lanes.insights.shape[1]), np.float32)
    rows, chosen, shares, views, steps = [], [], [], [], []
    for drawn in [*uniforms, None]:
        lanes.describe_world(world, insights)
        own = [reader.rows[first:stop].copy() for first, stop in zip(reader.starts, reader.starts[1:], strict=False)]
        told = insights if foresight else np.where(np.arange(insights.shape[1]) < NUM_PRESENT, insights, 0.0)
        views += [np.concatenate([part.mean(axis=0), seen]) for part, seen in zip(own, told, strict=True)]
        if drawn is None:
            break
        taken = []
        for part, uniform in zip(own, drawn, strict=True):
            likely = softmax(network.scores(part, np.array([0, len(part)])).astype(float).tolist())
            below = [k for k in range(len(part)) if sum(likely[: k + 1]) > uniform]
            taken.append(below[0] if below else len(part) - 1)
            shares.append(likely[taken[-1]])
        rows += own
        chosen += taken
        steps.append(lanes.step_world(world, reader.starts[:-1] + taken))
    return rows, chosen, shares, views, [np.concatenate(values) for values in zip(*steps, strict=True)]
