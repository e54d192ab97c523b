"""What networks have in common when they are kept: checkpoints, weights, the sizes they were trained on."""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self
from zipfile import ZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gnnsched_env.errors import ConfigError, FileFormatError
from gnnsched_env.files import write_whole
from gnnsched_env.latency import predictor_file
from gnnsched_env.latency.levels import Level
from gnnsched_env.tables import JobClasses

Shapes = Mapping[str, tuple[int, ...]]

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


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values, "key" among them; a killed write leaves the file before."""
    buffer = io.BytesIO()  # torch would hide what the system says of a write
    torch.save(dict(state), buffer)
    write_whole(path, lambda file: file.write(buffer.getbuffer()))


def read_state(path: Path, key: str, device: torch.device) -> dict[str, Any]:
    """Return what `write_state` was given; nothing in it is executed.

    FileFormatError where the file is damaged or another's; ConfigError where its key is another.
    """
    try:
        with ZipFile(path) as file:  # torch does not look at the sums that tell damage
            damaged = file.testzip()
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True) if damaged is None else {}
        found = state["key"]
    except Exception:  # torch raises many kinds for damaged files, and advises to read them in a way that runs code
        raise FileFormatError(f"checkpoint {path}: not readable; damaged, or another kind of file") from None
    if found != key:
        raise ConfigError(
            f"checkpoint {path}: it belongs to another training configuration or other data; "
            "remove it, or choose another place"
        )
    return state


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight."""
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def check_weights(what: str, expected: Shapes, weights: Mapping[str, NDArray[Any]]) -> None:
    """Raise FileFormatError where a weight is missing, extra or misshapen, or holds other than finite floats."""
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise FileFormatError(
                f"{what}: weight {name!r} must have shape {expected.get(name)}, got {found.get(name)}"
            )
        if weights[name].dtype.kind != "f" or not np.isfinite(weights[name]).all():
            raise FileFormatError(f"{what}: weight {name!r} must hold finite floats")


def _read_domain(source: str, stored: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return least and largest of SIZES from a manifest; FileFormatError where it gives others."""
    domain = {name: (int(low), int(high)) for name, (low, high) in stored.items()}
    if set(domain) != set(SIZES):
        raise FileFormatError(f"{source}: domain must give {', '.join(SIZES)}, got {', '.join(domain)}")
    return domain


def _outside(values: Sequence[int], bounds: tuple[int, int]) -> bool:
    return min(values) < bounds[0] or max(values) > bounds[1]
