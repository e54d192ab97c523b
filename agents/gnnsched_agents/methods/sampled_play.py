"""Compiled: the lanes of one world play on for many decisions, which are drawn from a network's scores.

Everything between two gradient steps of PPO is here, so that threads play worlds at once and Python is not asked at
each decision. Its slow twin is `tests/twins/sampled_play.py`, which asks a reader and a simulation step by step.
"""

import math

import numpy as np

from gnnsched_agents.lane_insights import NUM_INSIGHTS, NUM_PRESENT, see
from gnnsched_baselines.learned.pair_features import NUM_FEATURES
from gnnsched_baselines.learned.pair_kernels import describe_state
from gnnsched_baselines.learned.row_kernels import score
from gnnsched_env.common.compiled import announced, bare_kernel
from gnnsched_env.sim import random_jobs, transition


@announced("training by PPO", 20)
@bare_kernel
def play_on(state, drawing, keys, reading, seeing, foresight, network, uniforms, step, rows, room, scratch, played):
    """Play from decision `step` on, one row of `uniforms` float64 [T, L] each; return the next step, T + 1 at the end.

    It is smaller where `rows` float32 [n, F] had no room for another `room` rows: play on from there with more. Read
    and written: `state` and `drawing`, the arrays of `Simulation.state` and `drawing`; `keys`, its seeds and episodes
    uint64 [L]. Read: `reading`, a Reader's; `seeing`, the world's unit, load, horizons,
    number of accelerators and action that waits; `network`, the weights. Without `foresight`, views show nothing to
    come. Written: `rows`, and `played`: starts int64 [T x L + 1], chosen int64 and log-probabilities float32 [T x L],
    views float32 [(T + 1) x L, VIEW], rewards and elapsed float32 and ended bool [T x L]. `scratch`: pairs int64
    [n, 2], starts int64 [L + 1], insights float32 [L, I], actions int64 [L], and what `draw` takes as scratch.
    """
    _, classes, _, _, _, _, _, lanes, accelerators, jobs, queue, _ = state
    unit, load, horizons, fleet, wait = seeing
    pairs, starts, insights, actions, order, hidden, pooled, scores = scratch
    all_starts, all_chosen, all_logs, all_views, all_rewards, all_elapsed, all_ended = played
    count, steps = len(lanes), len(uniforms)
    for t in range(step, steps + 1):
        here, first = t * count, all_starts[t * count]
        if len(rows) - first < room:
            return t
        see(lanes, accelerators, jobs, classes, unit, load, horizons, insights)
        seen = describe_state(lanes, accelerators, queue, *reading, rows[first:], pairs, order, starts)
        views = all_views[here : here + count]
        average(rows[first:], starts, views)
        for i in range(count):
            for k in range(NUM_INSIGHTS):
                views[i, NUM_FEATURES + k] = insights[i, k] if foresight or k < NUM_PRESENT else np.float32(0.0)
        if t == steps:
            break
        chosen, logs = all_chosen[here : here + count], all_logs[here : here + count]
        draw(rows[first:], starts, network, uniforms[t], order, hidden, pooled, scores, chosen, logs)
        for i in range(count):
            all_starts[here + i] = first + starts[i]
            slot, machine = pairs[starts[i] + chosen[i]]
            actions[i] = slot * fleet + machine if slot >= 0 else wait
        all_starts[here + count] = first + seen
        transition.step(*state, actions, 0, count)
        ended, any_ended = all_ended[here : here + count], False
        for i in range(count):
            all_rewards[here + i] = lanes[i]["reward"]
            all_elapsed[here + i] = lanes[i]["elapsed"] / unit
            ended[i] = lanes[i]["ended"]
            any_ended = any_ended or ended[i]
            keys[1][i] += np.uint64(ended[i])
        if any_ended:
            random_jobs.draw(*drawing, *keys, ended)
            transition.reset(*state, *keys, ended)
    return steps + 1


@bare_kernel
def average(rows, starts, views):
    """Write the means of each lane's rows, as in `draw`, to the first F columns of `views` float32 [L, VIEW]."""
    for i in range(len(views)):
        share = np.float32(1.0) / np.float32(starts[i + 1] - starts[i])
        for f in range(NUM_FEATURES):
            views[i, f] = np.float32(0.0)
        for r in range(starts[i], starts[i + 1]):
            for f in range(NUM_FEATURES):
                views[i, f] += share * rows[r, f]


@bare_kernel
def draw(rows, starts, weights, uniforms, order, hidden, pooled, scores, chosen, logs):
    """Draw a row of each lane by the softmax of the network's scores.

    `rows` float32 [n, F], lane i's from starts[i] to starts[i + 1], one at least; `weights` the arrays of a Network;
    `uniforms` float64 [L] from 0 to 1: what is drawn is the first row whose cumulated probability is greater. Scratch
    for the most rows M of a lane: `order` int64 [M], `hidden` float32 [M, H], `pooled` float32 [2, H], `scores` float32
    [M]. Written: `chosen` int64 [L], the row's number in its lane, and `logs` float32 [L], its log-probability.
    """
    w1, b1, w2, u2, b2, w3, skip = weights
    for r in range(len(scores)):
        order[r] = r
    for i in range(len(chosen)):
        first, count = starts[i], starts[i + 1] - starts[i]
        score(rows[first:], count, order, count, w1, b1, w2, u2, b2, w3, skip, hidden, pooled, scores)
        highest = scores[0]
        for r in range(1, count):
            highest = max(highest, scores[r])
        total = 0.0
        for r in range(count):
            total += math.exp(scores[r] - highest)
        left, taken = uniforms[i] * total, 0
        for r in range(count):
            left -= math.exp(scores[r] - highest)
            taken = r
            if left < 0.0:
                break
        chosen[i] = taken
        logs[i] = scores[taken] - highest - math.log(total)
