"""Hand-made samples whose runtimes are known: each operation's own cost, and a copy where neighbours disagree."""

import numpy as np

from gnnsched_env.forecast.data.schema import Collection
from gnnsched_env.forecast.encoding.samples import NODE_WIDTH, Sample

LAYOUTS = np.full((3, 18), -1, np.int8)
LAYOUTS[1, [0, 1]] = 0, 1
LAYOUTS[2, [0, 1]] = 1, 0


def layout_sample(*, nodes=12, configurable=4, configs=60, seed=0, copies=1.0, name="little"):
    """Return a chain of operations, every third or so configurable; no two configurations are equal."""
    rng = np.random.default_rng(seed)
    places = np.linspace(1, nodes - 2, configurable).astype(np.int64)
    choices = np.array(np.unravel_index(rng.permutation(3**configurable)[:configs], (3,) * configurable)).T
    weights = rng.uniform(1.0, 3.0, configurable)
    own = (choices == 1) @ weights + 0.5 * (choices == 2) @ weights[::-1]
    disagree = (choices[:, 1:] != choices[:, :-1]).sum(axis=1)
    targets = 1e8 * (1.0 + 0.05 * own + 0.1 * copies * disagree + 1e-4 * rng.random(len(choices)))
    features = rng.normal(size=(nodes, NODE_WIDTH)).astype(np.float32)
    return Sample(
        name=name,
        collection=Collection.LAYOUT_XLA_RANDOM,
        nodes=features,
        opcodes=rng.integers(1, 120, nodes),
        edge_index=np.stack([np.arange(nodes - 1), np.arange(1, nodes)]),
        configurable=places,
        shapes=np.full((configurable, 6), 8.0, np.float32),
        raw=LAYOUTS[choices],
        targets=np.rint(targets),
        rows=np.arange(len(choices)),
        groups=np.arange(len(choices)),
    )


def tile_sample(*, nodes=6, configs=40, seed=0, name="tile"):
    """Return a tile program: small tiles are slow."""
    rng = np.random.default_rng(seed)
    raw = np.zeros((configs, 24), np.float32)
    raw[:, 8:10] = 2.0 ** rng.integers(0, 7, (configs, 2))
    raw[:, 8] += np.arange(configs)  # no two are equal
    sample = layout_sample(nodes=nodes, configurable=2, configs=3, seed=seed)
    return Sample(
        name=name,
        collection=Collection.TILE_XLA,
        nodes=sample.nodes,
        opcodes=sample.opcodes,
        edge_index=sample.edge_index,
        configurable=np.zeros(0, np.int64),
        shapes=np.zeros((0, 6), np.float32),
        raw=raw,
        targets=1.0 / (1.0 + raw[:, 8] * raw[:, 9]),
        rows=np.arange(configs),
        groups=np.arange(configs),
    )
