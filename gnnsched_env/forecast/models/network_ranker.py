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
from gnnsched_env.common.errors import ConfigError, FileFormatError
from gnnsched_env.common.store import FORECAST_NETWORK, Stored
from gnnsched_env.forecast.encoding.samples import LAYOUT_ENCODED, NODE_WIDTH, TILE_ENCODED, Sample
from gnnsched_env.forecast.models import boosting
from gnnsched_env.forecast.models.boosting import ENCODING
from gnnsched_env.forecast.models.model_config import ModelConfig
from gnnsched_env.forecast.models.network import ForecastModel, Widths
from gnnsched_env.forecast.training import segments
from gnnsched_env.nn.weights import check_weights, shapes_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkRanker:
    """A trained network. `provenance`: how it was made.

    With attention, a score depends on the program's `references` (see there) besides the configuration: prepare the
    whole file, and ask for `rows` of it.
    """

    config: ModelConfig
    network: ForecastModel
    is_tile: bool
    hops: int | None
    provenance: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        config: ModelConfig,
        weights: Mapping[str, NDArray[Any]],
        *,
        is_tile: bool,
        hops: int | None,
        provenance: Mapping[str, Any],
    ) -> Self:
        """Return a ranker with these weights; a FileFormatError names one that is missing, extra or misshapen."""
        with torch.random.fork_rng():
            network = ForecastModel(config, widths(is_tile))
        check_weights("forecast ranker", shapes_of(network), weights)
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
        return cls(config=config, network=network.eval(), is_tile=is_tile, hops=hops, provenance=dict(provenance))

    def to(self, device: torch.device) -> Self:
        """Move the network there, and return itself."""
        self.network.to(device)
        return self

    def predict(self, sample: Sample, rows: IntArray | None = None) -> FloatArray:
        """Return scores float64 [u], smaller is faster, or those of places `rows` in the sample, [k]."""
        if sample.is_tile != self.is_tile:
            raise ConfigError(
                f"{sample.name}: this ranker ranks {_kind(self.is_tile)} configurations, "
                f"got {_kind(sample.is_tile)} ones"
            )
        asked = np.arange(sample.num_configs) if rows is None else np.asarray(rows, np.int64)
        pieces = segments.cut(sample, self.config, self.network.shift.device)
        scores: FloatArray = segments.predict(self.network, pieces, asked).double().cpu().numpy()
        return scores

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file without pickles, whole or not at all."""
        fields = {
            "encoding": ENCODING,
            "config": dataclasses.asdict(self.config),
            "is_tile": self.is_tile,
            "hops": self.hops,
            "provenance": dict(self.provenance),
        }
        weights = {name: value.cpu().numpy() for name, value in self.network.state_dict().items()}
        store.save(path, FORECAST_NETWORK, fields, weights)

    @classmethod
    def from_stored(cls, stored: Stored) -> Self:
        """Return a ranker from a file's content; FileFormatError says what is wrong with it."""
        manifest, source = stored.manifest, stored.source
        boosting.check_encoding(manifest, source)
        try:
            return cls.of(
                ModelConfig(**manifest["config"]),
                stored.arrays,
                is_tile=bool(manifest["is_tile"]),
                hops=manifest["hops"],
                provenance=manifest["provenance"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{source}: {error}") from None


def widths(is_tile: bool) -> Widths:
    """Return how wide encoded operations and configurations are."""
    return Widths(nodes=NODE_WIDTH, configs=TILE_ENCODED if is_tile else LAYOUT_ENCODED, is_tile=is_tile)


def _kind(is_tile: bool) -> str:
    return "tile" if is_tile else "layout"
