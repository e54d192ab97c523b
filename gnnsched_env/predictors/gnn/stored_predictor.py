"""What networks have in common when they are kept: checkpoints, weights, the sizes they were trained on."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import nn

from gnnsched_env.common import store as predictor_file
from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.predictors.levels import Level
from gnnsched_env.workload import JobClasses

SIZES = ("vertices", "entries", "in_features", "combination_features", "out_features")


class StoredPredictor:
    """What latency predictors of networks have in common: level, domain, digest, and files (npz without pickles).

    KIND names it in messages; FORMAT, VERSION and ENCODING (what its numbers mean, by name) stand in its files, whose
    `config` is a CONFIG. Subclasses are dataclasses with the fields below and `network`, which `_network` makes.
    """

    __slots__ = ()

    KIND: ClassVar[str]
    FORMAT: ClassVar[str]
    VERSION: ClassVar[int]
    ENCODING: ClassVar[Mapping[str, Sequence[str]]]
    CONFIG: ClassVar[type[Any]]

    config: Any
    weights: Mapping[str, NDArray[Any]]
    domain: Mapping[str, tuple[int, int]]
    provenance: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        config: Any,
        weights: Mapping[str, NDArray[Any]],
        *,
        domain: Mapping[str, tuple[int, int]],
        provenance: Mapping[str, Any],
    ) -> Self:
        """Return a predictor with these weights; a FileFormatError names one that is missing, extra or misshapen."""
        return cls(  # type: ignore[call-arg]
            config=config,
            network=cls._network(config, weights).double().eval(),
            weights=dict(weights),
            domain=dict(domain),
            provenance=dict(provenance),
        )

    @classmethod
    def _network(cls, config: Any, weights: Mapping[str, NDArray[Any]]) -> nn.Module:
        """Return the network with its weights, checked."""
        raise NotImplementedError

    @property
    def level(self) -> Level:
        """What it must know of a job."""
        return Level.GRAPH

    def out_of_domain(self, classes: JobClasses) -> tuple[tuple[str, ...], ...]:
        """Return, for each class, which of SIZES lie outside the training range, in any of its layers."""
        flags = []
        for degrees, model in zip(classes.degrees, classes.models, strict=True):
            values = {"vertices": [degrees.size], "entries": [int(degrees.sum())]}
            values |= {name: [getattr(layer, name) for layer in model.layers] for name in SIZES[2:]}
            flags.append(tuple(name for name in SIZES if _outside(values[name], self.domain[name])))
        return tuple(flags)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of it as arrays, a manifest in JSON among them; `from_arrays` undoes it."""
        fields = {
            **{name: list(known) for name, known in self.ENCODING.items()},
            "config": asdict(self.config),
            "domain": {name: list(bounds) for name, bounds in self.domain.items()},
            "provenance": dict(self.provenance),
        }
        weights = {name: np.asarray(value) for name, value in self.weights.items()}
        return predictor_file.pack(self.FORMAT, self.VERSION, fields, weights)

    @classmethod
    def from_arrays(cls, stored: Mapping[str, NDArray[Any]], source: str) -> Self:
        """Return a predictor from `arrays()`; FileFormatError says what is wrong with them."""
        manifest, arrays = predictor_file.unpack(stored, cls.FORMAT, cls.VERSION, source, kind=cls.KIND)
        for name, known in cls.ENCODING.items():
            if manifest.get(name) != list(known):
                raise FileFormatError(
                    f"{source}: its {name} must be, in this order, {', '.join(known)}; got {manifest.get(name)}"
                )
        try:
            return cls.of(
                cls.CONFIG(**manifest["config"]),
                arrays,
                domain=_read_domain(source, manifest["domain"]),
                provenance=manifest["provenance"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileFormatError(f"{source}: {error}") from None

    def digest(self) -> str:
        """Return a hash (SHA-256, hexadecimal) of all that predictions depend on."""
        return predictor_file.digest({"config": asdict(self.config)}, self.weights)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file without pickles; equal predictors give equal bytes, a killed write the file before."""
        predictor_file.write(path, self.arrays())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; FileFormatError says what is wrong with a file."""
        source = f"{cls.KIND} {os.fspath(path)}"
        return cls.from_arrays(predictor_file.read(path, source), source)


def _read_domain(source: str, stored: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return least and largest of SIZES from a manifest; FileFormatError where it gives others."""
    domain = {name: (int(low), int(high)) for name, (low, high) in stored.items()}
    if set(domain) != set(SIZES):
        raise FileFormatError(f"{source}: domain must give {', '.join(SIZES)}, got {', '.join(domain)}")
    return domain


def _outside(values: Sequence[int], bounds: tuple[int, int]) -> bool:
    return min(values) < bounds[0] or max(values) > bounds[1]
