"""numba's private corners, each by itself, so that a new numba that changes one is known by the test that fails."""

import re
import tomllib
from pathlib import Path

import numba
import numpy as np
import pytest

from gnnsched_env.common import compiled

ROOT = Path(__file__).resolve().parents[2]
REMEDY = (
    "numba {version} changed a private corner that gnnsched_env/common/compiled.py uses: {corner}. Mend that file "
    "(nothing else touches it), or keep numba below this version in pyproject.toml."
)

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="the JIT is off")


def broken(corner):
    return REMEDY.format(version=numba.__version__, corner=corner)


def llvm(kernel):
    (text,) = kernel.inspect_llvm().values()
    return text


def fill(cells):
    for i in range(len(cells)):
        cells[i] = i


def double(number):
    return 2 * number


def test_bare_kernels_count_no_references():
    bare, counting = compiled.bare_kernel(fill), compiled.kernel(lambda n: np.zeros(n))
    cells = np.zeros(3)
    bare(cells)
    counting(3)
    assert cells.tolist() == [0, 1, 2]
    assert "NRT_" in llvm(counting)  # the test can tell
    assert "NRT_" not in llvm(bare), broken("the option `_nrt` of njit, with which `bare_kernel` leaves out counts")


def test_inlined_parts_are_marked_for_it():
    part, whole = compiled.inlined(double), compiled.bare_kernel(double)
    assert part(np.float64(2)) == whole(np.float64(2)) == 4
    assert "alwaysinline" not in llvm(whole)  # the test can tell
    assert "alwaysinline" in llvm(part), broken("the option `forceinline` of njit, which `inlined` uses")


@pytest.mark.parametrize(("to", "start", "count"), [(0, 1, 4), (1, 0, 4), (2, 2, 3), (5, 0, 0)])
def test_cells_are_moved_as_the_plain_function_does(to, start, count):
    move_cells = compiled.move_cells

    @compiled.bare_kernel
    def move(array, to, start, count):
        move_cells(array, 1, to, start, count)

    array = np.arange(12.0).reshape(2, 6)
    expected = array.copy()
    move_cells.py_func(expected, 1, to, start, count)
    move(array, to, start, count)
    assert array.tolist() == expected.tolist(), broken(
        "instructions by `intrinsic`, `cgutils.raw_memmove` and llvmlite"
    )


def test_memory_is_asked_for_ahead():
    fetch = compiled.fetch_ahead

    @compiled.bare_kernel
    def ask(array):
        fetch(array, 1, 2)

    ask(np.zeros((2, 3)))
    assert "llvm.prefetch" in llvm(ask), broken("instructions by `intrinsic` and llvmlite: the call of llvm.prefetch")


def test_a_kernel_is_had_in_the_form_for_some_arguments():
    kernel = compiled.bare_kernel(fill)
    wide, narrow = np.zeros(3), np.zeros(3, np.float32)
    form = compiled.compiled_for(kernel, wide)
    form(wide)
    assert wide.tolist() == [0, 1, 2], broken("what `dispatcher.compile` returns")
    assert compiled.compiled_for(kernel, np.ones(5)) is form
    others = (narrow, np.zeros(6)[::2], np.zeros((1, 1)), (wide, wide))
    assert len({id(compiled._forms.get((kernel, compiled._kind((one,))), one)) for one in (wide, *others)}) == 5
    compiled.compiled_for(kernel, narrow)(narrow)
    assert narrow.tolist() == [0, 1, 2]


def test_numba_is_bounded_above_by_a_version_that_passed():
    (bounds,) = (
        line
        for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        if line.startswith("numba")
    )
    above = re.search(r"<(\d+)\.(\d+)$", bounds)
    assert above, f"pyproject.toml must bound numba above, got {bounds!r}"
    version = tuple(int(part) for part in numba.__version__.split(".")[:2])
    assert version < tuple(int(part) for part in above.groups()), f"numba {numba.__version__} is beyond {bounds}"
