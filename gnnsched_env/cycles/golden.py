"""The golden files' format: cases computed by the OMEGA simulator, one JSON object a line, gzipped."""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import FileFormatError, GnnSchedError
from gnnsched_env.cycles.counts import LayerSpec
from gnnsched_env.cycles.domain import check_rows
from gnnsched_env.cycles.layer import QUANTITIES, simulate_layer
from gnnsched_env.cycles.quirks import FIXED_EMPTY_ROWS, GOLDEN_CORRECTED, REFERENCE, Quirks
from gnnsched_env.hardware import PhaseArray, Tiling

MODES: dict[str, Quirks] = {
    "reference": REFERENCE,
    "fixed_empty_rows": FIXED_EMPTY_ROWS,
    "corrected": GOLDEN_CORRECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One quantity of a case: the file's expected value and the model's; for time stamps, the first that differs."""

    quantity: str
    exact: bool
    expected: str
    got: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GoldenCase:
    """One case: its place ("file, line N"), its input, and the simulator's results."""

    where: str
    name: str
    spec: LayerSpec
    quirks: Quirks
    degrees: NDArray[np.int64]
    expect: dict[str, int]
    ts_agg: NDArray[np.int64]
    ts_cmb: NDArray[np.int64]

    def compare(self) -> tuple[Comparison, ...]:
        """Simulate the case and compare every quantity, the time stamps included."""
        result = simulate_layer(self.degrees, self.spec, quirks=self.quirks)
        got = result.quantities()
        scalars = [
            Comparison(quantity=name, exact=got[name] == value, expected=str(value), got=str(got[name]))
            for name, value in self.expect.items()
        ]
        stamps = (
            _compare_stamps("ts_agg", self.ts_agg, result.ts_agg),
            _compare_stamps("ts_cmb", self.ts_cmb, result.ts_cmb),
        )
        return (*scalars, *stamps)


def read_golden(path: Path) -> Iterator[GoldenCase]:
    """Yield the cases of a file, at least one, whose runs all have status "ok" and hold every quantity."""
    number, cases = 0, 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    cases += 1
                    yield _case(f"{path}, line {number}", line)
    except FileNotFoundError:
        raise FileFormatError(f"{path}: not found") from None
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise FileFormatError(f"{path}, line {number + 1}: cannot be read as gzipped text: {error}") from None
    if not cases:
        raise FileFormatError(f"{path}: must hold at least one case, got none")


def _compare_stamps(name: str, expected: NDArray[np.int64], got: NDArray[np.int64]) -> Comparison:
    differing = np.flatnonzero(expected != got)
    if differing.size == 0:
        return Comparison(quantity=name, exact=True, expected="", got="")
    row = int(differing[0])
    return Comparison(quantity=name, exact=False, expected=f"{expected[row]} (row {row})", got=str(got[row]))


def _case(where: str, line: str) -> GoldenCase:
    try:
        return _parse(where, json.loads(line))
    except RecursionError:
        raise FileFormatError(f"{where}: not a golden case: nested too deeply") from None
    except (ValueError, TypeError, OverflowError, GnnSchedError) as error:
        raise FileFormatError(f"{where}: not a golden case: {error}") from None


def _parse(where: str, record: Any) -> GoldenCase:
    if not isinstance(record, dict):
        raise ValueError(f"must be an object, got {_brief(record)}")
    mode = _field(record, "mode")
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {_brief(mode)}")
    if record.get("status", "ok") != "ok":
        raise ValueError(f"status must be 'ok', got {_brief(record['status'])}")
    width, rows = _integer(record, "F"), _integer(record, "V")
    row_ptr = _integers(record, "rowptr", rows + 1)
    spec = LayerSpec(
        in_features=width,
        combination_features=width,
        out_features=_integer(record, "G"),
        tiling=Tiling(**{name.lower(): _integer(record, name) for name in _TILES}),
        aggregation=_array(record, "agg"),
        combination=_array(record, "cmb"),
    )
    return GoldenCase(
        where=where,
        name=f"{mode}-{_field(record, 'id')}",
        spec=spec,
        quirks=MODES[mode],
        degrees=check_rows(np.diff(row_ptr), spec, MODES[mode]),
        expect=_expect(record),
        ts_agg=_integers(record, "ts_agg", rows),
        ts_cmb=_integers(record, "ts_cmb", rows),
    )


_TILES = ("T_Va", "T_N", "T_Fa", "T_Vc", "T_G", "T_Fc")
_LARGEST = 2**62  # differences of two such integers fit int64


def _array(record: dict[str, Any], phase: str) -> PhaseArray:
    return PhaseArray(
        pes=_integer(record, f"pe_{phase}"),
        distribution_bandwidth=_integer(record, f"dn_bw_{phase}"),
        reduction_bandwidth=_integer(record, f"rn_bw_{phase}"),
    )


def _expect(record: dict[str, Any]) -> dict[str, int]:
    """Return the quantities expected: exactly those of the format."""
    expect = _field(record, "expect")
    if not isinstance(expect, dict):
        raise ValueError(f"expect must be an object, got {_brief(expect)}")
    if missing := [name for name in QUANTITIES if name not in expect]:
        raise ValueError(f"expect must hold every quantity; missing: {', '.join(missing)}")
    if unknown := [name for name in expect if name not in QUANTITIES]:
        raise ValueError(f"expect must hold the format's quantities only; unknown: {', '.join(unknown)}")
    return {name: _integer(expect, name) for name in expect}


def _field(record: dict[str, Any], name: str) -> Any:
    if name not in record:
        raise ValueError(f"{name} is missing")
    return record[name]


def _integer(record: dict[str, Any], name: str) -> int:
    value = _field(record, name)
    if type(value) is not int or abs(value) > _LARGEST:
        raise ValueError(f"{name} must be an integer within 2^62, got {_brief(value)}")
    return value


def _integers(record: dict[str, Any], name: str, length: int) -> NDArray[np.int64]:
    values = _field(record, name)
    if not isinstance(values, list):
        raise ValueError(f"{name} must be a list of integers, got {_brief(values)}")
    if len(values) != length:
        raise ValueError(f"{name} must have {length} entries for the case's V, got {len(values)}")
    for value in values:
        if type(value) is not int or abs(value) > _LARGEST:
            raise ValueError(f"{name} must hold integers within 2^62, got {_brief(value)}")
    return np.array(values, dtype=np.int64)


def _brief(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) <= _LARGEST else "an integer beyond 2^62"
    return text if len(text) <= 60 else f"{text[:57]}..."
