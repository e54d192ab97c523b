"""Changes bytes of a file again and again, and looks at how its reader ends."""

from collections import Counter
from pathlib import Path

import numpy as np

from gnnsched_env.common.errors import GnnSchedError
from tests.fuzz.kind import Kind


class Foreign(AssertionError):
    """A reader raised an error that is not the project's own."""


class Silent(AssertionError):
    """A change of what a checksum covers was not noticed."""


def changed(content: bytes, rng: np.random.Generator) -> bytes:
    """Return the content with a few bits flipped, bytes replaced, a part cut out or doubled, or its end cut off."""
    made = bytearray(content)
    manner = rng.integers(6)
    if manner == 0 and made:
        del made[int(rng.integers(len(made))) :]
    elif manner == 1 and made:
        first, length = int(rng.integers(len(made))), int(rng.integers(1, 9))
        del made[first : first + length]
    elif manner == 2 and made:
        first, length = int(rng.integers(len(made))), int(rng.integers(1, 9))
        made[first:first] = made[first : first + length]
    else:
        for place in rng.integers(len(made), size=int(rng.integers(1, 4))):
            made[place] = int(rng.integers(256)) if manner == 3 else made[place] ^ (1 << int(rng.integers(8)))
    return bytes(made)


def flip(kind: Kind, folder: Path, flips: int, seed: int) -> Counter[str]:
    """Read `flips` changed files; return how many were "read" and "refused". Raise Foreign or Silent for a fault."""
    path = folder / f"file{kind.ending}"
    kind.write(path)
    valid = path.read_bytes()
    whole = kind.read(path)
    expected = None if kind.content is None else kind.content(whole)
    rng = np.random.default_rng(seed)
    told: Counter[str] = Counter()
    for number in range(flips):
        content = changed(valid, rng)
        path.write_bytes(content)
        try:
            found = kind.read(path)
        except GnnSchedError:
            told["refused"] += 1
            continue
        except Exception as error:
            raise Foreign(f"flip {number} of seed {seed}: {type(error).__name__}: {error}") from error
        told["read"] += 1
        if kind.content is not None and kind.content(found) != expected:
            raise Silent(f"flip {number} of seed {seed}: was read as another content")
    return told
