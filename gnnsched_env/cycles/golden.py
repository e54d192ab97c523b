"""The golden files' format: cases computed by the OMEGA simulator, one JSON object a line, gzipped."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.cycles.counts import LayerSpec
from gnnsched_env.cycles.layer import simulate_layer
from gnnsched_env.cycles.quirks import FIXED_EMPTY_ROWS, GOLDEN_CORRECTED, REFERENCE, Quirks
from gnnsched_env.errors import FileFormatError
from gnnsched_env.hardware import PhaseArray, Tiling

MODES: dict[str, Quirks] = {
    "reference": REFERENCE,
    "fixed_empty_rows": FIXED_EMPTY_ROWS,
    "corrected": GOLDEN_CORRECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GoldenCase:
    """One case: what goes in, and what the simulator gave."""

    name: str
    spec: LayerSpec
    quirks: Quirks
    degrees: NDArray[np.int64]
    expect: dict[str, int]
    ts_agg: NDArray[np.int64]
    ts_cmb: NDArray[np.int64]

    def compare(self) -> dict[str, bool]:
        """Simulate the case; say for every quantity, the time stamps included, whether it is exact."""
        result = simulate_layer(self.degrees, self.spec, quirks=self.quirks)
        quantities = result.quantities()
        exact = {name: quantities.get(name) == value for name, value in self.expect.items()}
        exact["ts_agg"] = np.array_equal(result.ts_agg, self.ts_agg)
        exact["ts_cmb"] = np.array_equal(result.ts_cmb, self.ts_cmb)
        return exact


def read_golden(path: Path) -> Iterator[GoldenCase]:
    """Yield the cases of a file, whose runs all have status "ok"."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _case(path, number, line)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: cannot be read as gzipped text: {error}") from None


def _case(path: Path, number: int, line: str) -> GoldenCase:
    try:
        return _parse(json.loads(line))
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{path}, line {number}: not a golden case: {error!r}") from None


def _parse(record: dict[str, Any]) -> GoldenCase:
    if record["mode"] not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {record['mode']!r}")
    if record.get("status", "ok") != "ok":
        raise ValueError(f"status must be 'ok', got {record['status']!r}")
    tiles = {name.lower(): record[name] for name in ("T_Va", "T_N", "T_Fa", "T_Vc", "T_G", "T_Fc")}
    row_ptr = np.asarray(record["rowptr"], dtype=np.int64)
    degrees = row_ptr[1:] - row_ptr[:-1]
    if degrees.size != record["V"]:
        raise ValueError(f"rowptr must have V + 1 = {record['V'] + 1} entries, got {degrees.size + 1}")
    spec = LayerSpec(
        in_features=record["F"],
        combination_features=record["F"],
        out_features=record["G"],
        tiling=Tiling(**tiles),
        aggregation=_array(record, "agg"),
        combination=_array(record, "cmb"),
    )
    return GoldenCase(
        name=f"{record['mode']}-{record['id']}",
        spec=spec,
        quirks=MODES[record["mode"]],
        degrees=degrees,
        expect={name: int(value) for name, value in record["expect"].items()},
        ts_agg=np.asarray(record["ts_agg"], dtype=np.int64),
        ts_cmb=np.asarray(record["ts_cmb"], dtype=np.int64),
    )


def _array(record: dict[str, Any], phase: str) -> PhaseArray:
    return PhaseArray(
        pes=record[f"pe_{phase}"],
        distribution_bandwidth=record[f"dn_bw_{phase}"],
        reduction_bandwidth=record[f"rn_bw_{phase}"],
    )
