"""Graph segment training: programs cut into runs of consecutive operations, so that memory does not grow with them.

After Cao et al. (2023), "Learning large graph property prediction via graph segment training": a step follows
gradients through one segment; the others run forward only, and are summed. Operations are numbered after those whose
output they take, so that few edges cross from one run to another; those that do are left out. Prediction cuts as
training does. Where the paper keeps the others' embeddings from earlier steps, they are computed anew here: nothing is
stale, and with the segment's gradient multiplied by the number of segments, the expected gradient is the whole one's.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnsched_env.forecast.encoding.reference_rows import reference_rows
from gnnsched_env.forecast.encoding.samples import Sample
from gnnsched_env.forecast.models.network import ForecastNetwork, Part
from gnnsched_env.forecast.models.network_settings import NetworkShape
from gnnsched_env.nn.adjacency import Adjacency

IntArray = NDArray[np.int64]

ROWS_AT_ONCE = 128_000
"""Operations times configurations of one forward pass without gradients."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pieces:
    """A sample on a device, in parts. `references`: float32 [R, nc, L] or [R, T], or None without attention."""

    sample: Sample
    parts: Sequence[Part]
    references: Tensor | None
    device: torch.device

    def configs(self, rows: IntArray) -> Tensor:
        """Return encoded configurations of places `rows` in the sample, float32 [K, nc, L] or [K, T], on the device."""
        return torch.from_numpy(self.sample.configs(rows)).to(self.device)


def cut(sample: Sample, shape: NetworkShape, device: torch.device) -> Pieces:
    """Return a sample in as few parts of at most `shape.segment` consecutive operations as will do, of equal sizes."""
    count = -(-sample.num_nodes // shape.segment)
    bounds = np.linspace(0, sample.num_nodes, count + 1).round().astype(np.int64)
    parts = [_part(sample, shape, int(a), int(b), device) for a, b in itertools.pairwise(bounds)]
    references = None
    if shape.attended:
        rows = reference_rows(sample.raw, shape.attended)
        references = torch.from_numpy(sample.configs(rows)).to(device)
    return Pieces(sample=sample, parts=parts, references=references, device=device)


def training_scores(model: ForecastNetwork, pieces: Pieces, rows: IntArray, chosen: int) -> Tensor:
    """Return scores [K] of some configurations, with gradients through part `chosen` only."""
    configs = pieces.configs(rows)
    part = pieces.parts[chosen]
    summaries = summaries_of(model, pieces, chosen)
    sums: Tensor = model(part, _of(configs, part), summaries)
    if len(pieces.parts) > 1:
        rest = [k for k in range(len(pieces.parts)) if k != chosen]
        with torch.no_grad():
            others = sum((_sums(model, pieces, k, configs) for k in rest), torch.zeros_like(sums))
        share = len(pieces.parts)
        sums = others + sums * share - sums.detach() * (share - 1)
    return _scores(model, pieces, sums)


def predict(model: ForecastNetwork, pieces: Pieces, rows: IntArray) -> Tensor:
    """Return scores float32 [K] of some configurations, without gradients, some at a time."""
    if not len(rows):
        return torch.zeros(0)
    with torch.no_grad():
        summaries = [summaries_of(model, pieces, k) for k in range(len(pieces.parts))]
        largest = max(len(part.opcodes) for part in pieces.parts)
        scores = []
        for few in torch.split(torch.from_numpy(rows), max(1, ROWS_AT_ONCE // largest)):
            configs = pieces.configs(few.numpy())
            sums = torch.stack(
                [model(part, _of(configs, part), known) for part, known in zip(pieces.parts, summaries, strict=True)]
            ).sum(dim=0)
            scores.append(_scores(model, pieces, sums))
    return torch.cat(scores)


def summaries_of(model: ForecastNetwork, pieces: Pieces, k: int) -> list[Tensor]:
    """Return what attention keeps of the program's references for part k; nothing without attention."""
    if pieces.references is None:
        return []
    return model.summarise(pieces.parts[k], _of(pieces.references, pieces.parts[k]))


def _sums(model: ForecastNetwork, pieces: Pieces, k: int, configs: Tensor) -> Tensor:
    """Return the sums of part k, some configurations at a time."""
    part = pieces.parts[k]
    summaries = summaries_of(model, pieces, k)
    few = max(1, ROWS_AT_ONCE // len(part.opcodes))
    return torch.cat([model(part, _of(some, part), summaries) for some in torch.split(configs, few)])


def _scores(model: ForecastNetwork, pieces: Pieces, sums: Tensor) -> Tensor:
    return model.score(sums, nodes=pieces.sample.num_nodes, configurable=len(pieces.sample.configurable))


def _of(configs: Tensor, part: Part) -> Tensor:
    """Return the configurations of a part's own operations."""
    return configs if part.is_tile else configs[:, part.places]


def _part(sample: Sample, shape: NetworkShape, start: int, stop: int, device: torch.device) -> Part:
    places = np.flatnonzero((sample.configurable >= start) & (sample.configurable < stop))
    adjacency = against = None
    if (weighting := shape.weighting) is not None:
        inside = ((sample.edge_index >= start) & (sample.edge_index < stop)).all(axis=0)
        edges = torch.from_numpy(sample.edge_index[:, inside] - start).to(device)
        if shape.both_ways:
            adjacency = Adjacency.of(edges, stop - start, weighting)
            against = Adjacency.of(edges.flip(0), stop - start, weighting)
        else:
            adjacency = Adjacency.of(torch.cat((edges, edges.flip(0)), dim=1), stop - start, weighting)
    return Part(
        nodes=torch.from_numpy(sample.nodes[start:stop]).to(device),
        opcodes=torch.from_numpy(sample.opcodes[start:stop]).to(device),
        adjacency=adjacency,
        against=against,
        configurable=torch.from_numpy(sample.configurable[places] - start).to(device),
        places=torch.from_numpy(places).to(device),
        is_tile=sample.is_tile,
    )
