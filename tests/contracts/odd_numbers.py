"""Odd numbers and arrays to call public functions with: they must be refused in our words, or understood."""

import dataclasses
import enum
import math
import types
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
from gymnasium.error import Error as GymnasiumError

from gnnsched_env.common.errors import GnnSchedError

REFUSALS = (GnnSchedError, GymnasiumError)


@dataclasses.dataclass(frozen=True)
class Odd:
    """A value, and the plain number that it may be taken for (None: it must be refused)."""

    name: str
    value: object
    integer: int | None = None
    number: float | None = None


NUMBERS = (
    Odd("2.5", 2.5, number=2.5),
    Odd("True", "same"),
    Odd("text", "3"),
    Odd("None", "any"),
    Odd("nan", math.nan),
    Odd("inf", math.inf),
    Odd("-1", -1, integer=-1, number=-1.0),
    Odd("2^63", 1 << 63, integer=1 << 63, number=2.0**63),
    Odd("2^64", 1 << 64, integer=1 << 64, number=2.0**64),
    Odd("10^400", 10**400, integer=10**400),
    Odd("float64", np.float64(2), number=2.0),
    Odd("float32", np.float32(2.5), number=2.5),
    Odd("bool_", np.bool_(True)),
    Odd("int8", np.int8(3), integer=3, number=3.0),
    Odd("int8(4)", np.int8(4), integer=4, number=4.0),
    Odd("uint64", np.uint64(1 << 63), integer=1 << 63, number=2.0**63),
    Odd("0-d array", np.array(3), integer=3, number=3.0),
    Odd("1-d array", np.array([3])),
    Odd("list", [3]),
    Odd("bytes", b"3"),
    Odd("complex", 3 + 0j),
    Odd("fraction", Fraction(5, 2), number=2.5),
    Odd("decimal", Decimal(2)),
)


def odd_arrays(base):
    """Return (name, array, verdict) for what may be given in place of an array.

    The verdict: "same" where it must be taken for the base, "same or refused", "refused" where it must not be taken,
    and "any" where it means something else that may be right.
    """
    base = np.asarray(base)
    whole = "any" if base.dtype.kind == "f" else "refused"
    plain = np.array(base)
    read_only = plain.copy()
    read_only.flags.writeable = False
    spread = np.repeat(plain, 2, axis=0)[::2] if plain.ndim else plain
    masked = np.ma.masked_array(plain, np.zeros(plain.shape, bool))
    if plain.size:
        masked.mask.flat[0] = True
    infinite = plain.astype(float)
    infinite.flat[:1] = np.nan
    negative = plain.astype(np.int64) if plain.dtype.kind in "iub" else plain.astype(float)
    negative.flat[:1] = -5
    fractions = plain.astype(float)
    fractions.flat[:1] += 0.5
    beyond = plain.astype(np.uint64)
    beyond.flat[:1] = 1 << 63
    return (
        ("read-only", read_only, "same"),
        ("not contiguous", spread, "same"),
        ("big-endian", plain.astype(plain.dtype.newbyteorder(">")), "same or refused"),
        ("fractions", fractions, whole),
        ("nan", infinite, "refused"),
        ("negative", negative, "any"),
        ("2^63", beyond, whole),
        ("complex", plain.astype(complex), "refused"),
        ("bool", plain.astype(bool), "refused" if base.dtype.kind != "b" else "same"),
        ("object", plain.astype(object), "any"),
        ("text", plain.astype(str), "refused"),
        ("masked", masked, "refused"),
        ("another shape", plain[..., np.newaxis], "refused"),
        ("no entries", plain[:0] if plain.ndim else np.zeros(0, plain.dtype), "any"),
        ("a number", 3, "refused"),
        ("ragged", [[1], [1, 2]], "refused"),
        ("bytes", b"3", "refused"),
    )


def outcome(function, arguments):
    """Return ("result", what it returns), ("refused", the error) or ("fault", the error) of a call."""
    try:
        with np.errstate(all="ignore"):
            return "result", function(**arguments)
    except REFUSALS as error:
        return "refused", error
    except Exception as error:
        return "fault", error


PLAIN = (str, bytes, int, float, complex, np.generic, Path, enum.Enum, type, types.FunctionType, type(None))


def alike(one, other):
    """Return whether two results say the same: numbers of one value and type, arrays, dataclasses, objects of ours."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray) and one.dtype.names:  # by field: the bytes between them are anything
        return one.dtype == other.dtype and all(alike(one[name], other[name]) for name in one.dtype.names)
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, PLAIN):
        return bool(one == other) or (one != one and other != other)  # NaN
    parts, others = _parts(one), _parts(other)
    timed = {"decision_s"}  # real time, which no two runs share
    return parts.keys() == others.keys() and all(alike(parts[key], others[key]) for key in parts.keys() - timed)


def _parts(thing):
    """Return what a result is made of, by place or public name; nothing where it is not of this project."""
    if isinstance(thing, dict):
        return thing
    if isinstance(thing, list | tuple):
        return dict(enumerate(thing))
    if dataclasses.is_dataclass(thing):
        return {entry.name: getattr(thing, entry.name) for entry in dataclasses.fields(thing)}
    kept = getattr(thing, "__dict__", {}) if type(thing).__module__.startswith("gnnsched") else {}
    return {name: value for name, value in kept.items() if not name.startswith("_")}
