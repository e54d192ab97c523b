"""Slow, obvious twins: dense adjacency, one row after another, colours by comparing multisets."""

import math

import numpy as np

from gnnsched_env.predictors.gnn.pair_encoding import FEATURES, GEOMETRY


def follow_order(rows, tile, lag, t_va, t_vc, t_vp, is_sp, saved, saved_per, overhead):
    """Return the cycles of one class under one pair from the times of its rows, as a list."""
    count = len(rows)
    longest = [max(rows[first : first + t_va]) for first in range(0, count, t_va)]
    row_tiles = math.ceil(count / t_vc)
    if is_sp:
        total = sum(longest) + row_tiles * tile + row_tiles * overhead - row_tiles * saved // saved_per
        return max(total, sum(longest), row_tiles * tile)
    ends = [min(first + t_vp, count) for first in range(0, count, min(t_vp, count))]
    a = [sum(longest[: math.ceil(end / t_va)]) for end in ends]
    c = [tile * math.ceil(end / t_vc) for end in ends]
    steps_a, steps_c = np.diff([0.0, *a]), np.diff([0.0, *c])
    return steps_a[0] + sum(max(steps_a[i], steps_c[i - 1]) for i in range(1, len(ends))) + steps_c[-1] - lag


def colours(graph, depth):
    """Return each vertex's place among the distinct neighbourhoods of so many hops."""
    names = [()] * graph.num_vertices
    for _ in range(depth):
        names = [
            (names[v], tuple(sorted(names[u] for u in graph.indices[slice(*graph.indptr[v : v + 2])])))
            for v in range(graph.num_vertices)
        ]
    return [names.index(name) for name in names]


def tile_cycles(network, graph, features, geometry):
    """Return cycles [P] of a `TileModel` of one convolution, on the dense matrix that is aggregated over."""
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    dense = np.zeros((graph.num_vertices, graph.num_vertices))
    for v in range(graph.num_vertices):
        dense[v, graph.indices[graph.indptr[v] : graph.indptr[v + 1]]] = 1.0
    x = np.ones((graph.num_vertices, 1))
    embedding = dense @ x @ weights["stack.convs.0.lin_l.weight"].T + weights["stack.convs.0.lin_l.bias"]
    embedding += x @ weights["stack.convs.0.lin_r.weight"].T
    basis = np.concatenate((x, embedding[:, :1], np.maximum(0.0, 1.0 - np.abs(embedding))), axis=1)
    return [_pair_cycles(weights, basis, features[p], geometry[p]) for p in range(len(features))]


def _pair_cycles(weights, basis, features, geometry):
    g = dict(zip(GEOMETRY, geometry.tolist(), strict=True))
    scaled = (features - weights["shift"]) / weights["scale"]
    trees = [
        weights[f"trees.{k}.weight"][min(len(weights[f"trees.{k}.weight"]) - 1, g[name])]
        for k, name in enumerate(("t_fc", "tree_columns", "tree_layout"))
    ]
    inputs = np.concatenate((scaled, *trees))
    out = _perceptron(weights, "head", inputs)
    channels = basis.shape[1]
    per_row = out[:channels] * g["steps"] + out[channels : 2 * channels]
    rows = np.maximum(1.0, basis @ per_row)
    tile = max(1.0, g["tile_folds"] * (1 + g["tile_groups"]) + out[-2] * g["tile_groups"] + out[-1])
    last = (len(rows) - 1) % g["t_vc"] + 1
    filled = np.array([last / g["t_vc"], np.log2(last) / 4.0])
    filled = np.concatenate((inputs, filled, weights["filled.weight"][min(64, last)]))
    spared = 1.0 / (1.0 + np.exp(-_perceptron(weights, "tail", filled)[0]))
    pipelined = features[FEATURES.index("is_pp")] == 1.0
    lag = tile * spared if pipelined and last < g["t_vc"] else 0.0
    order = [g[name] for name in ("t_va", "t_vc", "t_vp", "is_sp", "saved", "saved_per", "overhead")]
    return follow_order(rows.tolist(), tile, lag, *order)


def _perceptron(weights, name, x):
    places = sorted(int(key.split(".")[1]) for key in weights if key.startswith(f"{name}.") and key.endswith("weight"))
    for place in places:
        x = weights[f"{name}.{place}.weight"] @ x + weights[f"{name}.{place}.bias"]
        if place != places[-1]:
            x = x / (1.0 + np.exp(-x))
    return x
