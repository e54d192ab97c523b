"""The reference simulator's quirks as named switches, and the named sets of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Switches of the reference simulator's quirks: True keeps its behaviour, False mends it.

    write_halving: only half of the queued results are written in a cycle (Q1).
    partial_tile_last_row: a last row tile that is not full costs its last row, not its slowest (Q2).
    early_launch: padded columns advance the combination's progress counter, so that row tiles overlap (Q3).
    empty_rows_hang: a row without entries never ends, so it raises ConfigError; mended, it costs a fold of zeros (Q4).
    literal_pp: PP's chunk boundaries are floored, compared as unsigned 32-bit, and undefined for few rows (Q6).
    unchecked_row_parallelism: T_Va * T_N * T_Fa may exceed the aggregation's PEs (Q7).
    literal_sp: partial sums cost where T_Fc exceeds the width, and SP may end before either phase would alone (Q8).
    wrap_32_bit: cycles wrap to signed, counters to unsigned 32-bit integers (Q10).
    """

    write_halving: bool = False
    partial_tile_last_row: bool = False
    early_launch: bool = False
    empty_rows_hang: bool = False
    literal_pp: bool = False
    unchecked_row_parallelism: bool = False
    literal_sp: bool = False
    wrap_32_bit: bool = False


REFERENCE = Quirks(
    write_halving=True,
    partial_tile_last_row=True,
    early_launch=True,
    empty_rows_hang=True,
    literal_pp=True,
    unchecked_row_parallelism=True,
    literal_sp=True,
    wrap_32_bit=True,
)
FIXED_EMPTY_ROWS = Quirks(
    write_halving=True,
    partial_tile_last_row=True,
    early_launch=True,
    literal_pp=True,
    unchecked_row_parallelism=True,
    literal_sp=True,
    wrap_32_bit=True,
)
GOLDEN_CORRECTED = Quirks(literal_pp=True, unchecked_row_parallelism=True, literal_sp=True, wrap_32_bit=True)
CORRECTED = Quirks()

NAMED_QUIRKS: dict[str, Quirks] = {
    "reference": REFERENCE,
    "fixed_empty_rows": FIXED_EMPTY_ROWS,
    "golden_corrected": GOLDEN_CORRECTED,
    "corrected": CORRECTED,
}
