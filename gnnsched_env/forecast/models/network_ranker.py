"""The face of a trained model: scores of a program's configurations, and its file (npz without pickles)."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from gnnsched_env.common import store
from gnnsched_env.common.files import reading
from gnnsched_env.common.store import FORECAST_NETWORK, Format, Stored
from gnnsched_env.forecast.encoding.samples import LAYOUT_ENCODED, NODE_WIDTH, TILE_ENCODED, Sample
from gnnsched_env.forecast.models import segments
from gnnsched_env.forecast.models.network import ForecastNetwork, Widths
from gnnsched_env.forecast.models.network_settings import NetworkShape
from gnnsched_env.forecast.models.ranker import ENCODING, check_encoding, check_kind, places_of
from gnnsched_env.nn.weights import check_weights, shapes_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkRanker:
    """A trained network. `provenance`: how it was made.

    With attention, a score depends on the program's `references` (see there) besides the configuration: prepare the
    whole file, and ask for `rows` of it.
    """

    shape: NetworkShape
    network: ForecastNetwork
    is_tile: bool
    hops: int | None
    provenance: Mapping[str, Any]
    format: Format = FORECAST_NETWORK

    @classmethod
    def of(
        cls,
        shape: NetworkShape,
        weights: Mapping[str, NDArray[Any]],
        *,
        is_tile: bool,
        hops: int | None,
        provenance: Mapping[str, Any],
        format: Format = FORECAST_NETWORK,
    ) -> Self:
        """Return a ranker with these weights; a FileFormatError names one that is missing, extra or misshapen."""
        with torch.random.fork_rng():
            network = ForecastNetwork(shape, widths(is_tile))
        check_weights("forecast ranker", shapes_of(network), weights)
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
        return cls(
            shape=shape,
            network=network.eval(),
            is_tile=is_tile,
            hops=hops,
            provenance=dict(provenance),
            format=format,
        )

    def to(self, device: torch.device) -> Self:
        """Move the network there, and return itself."""
        self.network.to(device)
        return self

    def predict(self, sample: Sample, rows: IntArray | None = None) -> FloatArray:
        """Return scores float64 [u], smaller is faster, or those of places `rows` in the sample, [k]."""
        check_kind(sample, is_tile=self.is_tile)
        pieces = segments.cut(sample, self.shape, self.network.shift.device)
        found = segments.predict(self.network, pieces, places_of(sample, rows))
        scores: FloatArray = found.double().cpu().numpy()
        return scores

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file without pickles, whole or not at all."""
        fields = {
            "encoding": ENCODING,
            "config": dataclasses.asdict(self.shape),
            "is_tile": self.is_tile,
            "hops": self.hops,
            "provenance": dict(self.provenance),
        }
        weights = {name: value.cpu().numpy() for name, value in self.network.state_dict().items()}
        store.save(path, self.format, fields, weights)

    @classmethod
    def from_stored(cls, stored: Stored, shape: type[NetworkShape]) -> Self:
        """Return a ranker, whose shape is of a class, from a file's content; FileFormatError says what is wrong."""
        manifest, source = stored.manifest, stored.source
        check_encoding(stored)
        with reading(source):
            return cls.of(
                shape(**manifest["config"]),
                stored.arrays,
                is_tile=bool(manifest["is_tile"]),
                hops=manifest["hops"],
                provenance=manifest["provenance"],
                format=stored.format,
            )


def widths(is_tile: bool) -> Widths:
    """Return how wide encoded operations and configurations are."""
    return Widths(nodes=NODE_WIDTH, configs=TILE_ENCODED if is_tile else LAYOUT_ENCODED, is_tile=is_tile)
