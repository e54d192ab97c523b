"""Which accelerators of each kind are free soonest, compiled; it imports little, so that few edits compile it anew."""

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.compiled import inlined
from gnnsched_env.common.policy import BoolArray, IntArray


@inlined
def keep_soonest(
    remaining: NDArray[np.float64], members: IntArray, starts: IntArray, most: int, kept: BoolArray, numbers: IntArray
) -> int:
    """Write the numbers of the `most` accelerators of each kind that are free soonest, in order; return how many.

    `remaining` float64 [A]; `members` and `starts` as in `tables.Kinds`; `kept` bool [A] is scratch; `numbers` int64
    has room for them, and for `most`.
    """
    for a in range(len(members)):
        kept[a] = False
    for g in range(len(starts) - 1):
        count = 0
        for p in range(starts[g], starts[g + 1]):  # numbers[:count] are the soonest of those seen, the soonest first
            a = members[p]
            if count < most:
                place = count
                count += 1
            elif remaining[a] < remaining[numbers[count - 1]]:
                place = count - 1
            else:
                continue
            while place > 0 and remaining[a] < remaining[numbers[place - 1]]:
                numbers[place] = numbers[place - 1]
                place -= 1
            numbers[place] = a
        for place in range(count):
            kept[numbers[place]] = True
    count = 0
    for a in range(len(members)):
        if kept[a]:
            numbers[count] = a
            count += 1
    return count
