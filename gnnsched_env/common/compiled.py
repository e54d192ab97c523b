"""The project's only interface to numba: how kernels are compiled and cached, and operations that numba lacks.

Flavours, each a decorator:

| decorator | called from | may allocate | |
|---|---|---|---|
| `kernel` | Python and kernels | yes | |
| `long_kernel` | Python | yes | for seconds of work: releases the interpreter's lock |
| `bare_kernel` | Python and kernels | no | compiled without reference counts; releases the interpreter's lock |
| `helper` | kernels | yes | not callable from Python; compiles a third faster |
| `inlined` | kernels | no | compiled into its callers, without reference counts |

`docs/design.md` says what reference counts and calls cost. Kernels called from Python are kept on disk
(`kernel_cache`); the others are parts of them. Division by zero gives what numpy gives.

numba's private interfaces are used here only: the options `_nrt` and `forceinline`, a dispatcher's `_cache`,
`CompileResult._reduce` and `_rebuild`, and instructions written through llvmlite and `cgutils`. A new numba may change
them without notice, so `pyproject.toml` bounds its version; `tests/common/test_compiled.py` shows which one broke.
"""

import hashlib
import pickle
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import llvmlite  # type: ignore[import-untyped]
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.extending import intrinsic, overload

from gnnsched_env.common.kernel_cache import PACKAGES, kept_kernels, load_kernel, save_kernel, sources_folder, warn_once

F = TypeVar("F", bound=Callable[..., Any])

_jit: Any = numba.njit  # whose types know none of its private options
_config: Any = numba.config
_COMPILERS = (numba.__version__, llvmlite.__version__, np.__version__)

_announced: set[str] = set()
_forms: dict[Any, Callable[..., Any]] = {}


def kernel(function: F) -> F:
    """Compile a function that Python or kernels call."""
    return _kept(_jit(error_model="numpy")(function))  # type: ignore[no-any-return]


def long_kernel(function: Callable[..., Any]) -> Any:
    """Compile a long-running function that lets other threads run meanwhile."""
    return _kept(_jit(error_model="numpy", nogil=True)(function))


def bare_kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python or kernels call and that allocates nothing."""
    return _kept(_jit(error_model="numpy", nogil=True, _nrt=False)(function))


def helper(function: F) -> F:
    """Compile a function that only kernels call."""
    return _jit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """Compile a function, which allocates nothing, into the kernels that call it."""
    return inlined_with(fastmath=False)(function)


def inlined_with(*, fastmath: bool | set[str]) -> Callable[[F], F]:
    """Return the decorator `inlined` with the given `fastmath` flags of `numba.njit`."""

    def compiled(function: Any) -> Any:
        return _jit(error_model="numpy", _nrt=False, forceinline=True, fastmath=fastmath)(function)

    return compiled


def announced(what: str, seconds: int) -> Callable[[F], F]:
    """Return a decorator of kernels that announces, on stderr, a compilation and about how long it takes.

    Nothing is printed for a kernel that is on disk; each announcement is printed once per process.
    """

    def named(dispatcher: Any) -> Any:
        if not _config.DISABLE_JIT:
            dispatcher._cache.announcement = f"compiling {what}, once; this takes some {seconds} seconds"
        return dispatcher

    return named


def compiled_for(dispatcher: Any, *arguments: Any) -> Callable[..., Any]:
    """Return a kernel as it is compiled for arguments of these types, without the search for them in each call.

    The search takes longer than many a kernel, three times as long where a named tuple is among the arguments. Whoever
    calls what is returned with other types, another layout in memory included, reads and writes where nobody may.
    """
    if _config.DISABLE_JIT:
        return dispatcher  # type: ignore[no-any-return]
    key = (dispatcher, _kind(arguments))
    if key not in _forms:
        _forms[key] = dispatcher.compile(tuple(numba.typeof(one) for one in arguments))
    return _forms[key]


def _kind(value: Any) -> Any:
    """Return what numba's type of a value depends on: found a hundred times as fast."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.ndim, value.flags.num
    return (type(value), *map(_kind, value)) if isinstance(value, tuple) else type(value)


def is_compiled(dispatcher: Any) -> bool:
    """Return whether a kernel is on disk, for this processor and any signature (True if the JIT is off)."""
    return _config.DISABLE_JIT or bool(kept_kernels(*dispatcher._cache.place(dispatcher.targetctx)))


def _kept(dispatcher: Any) -> Any:
    """Cache a kernel on disk; with the JIT off it is a plain function, and is returned unchanged."""
    if not _config.DISABLE_JIT:
        dispatcher._cache = _KernelCache(dispatcher.py_func)
    return dispatcher


class _KernelCache(_Cache):
    """The cache that numba queries before it compiles a kernel and fills afterwards, in the files of `kernel_cache`.

    Only kernels of the project's own packages are kept, and none with a closure, whose values are not in the key.
    """

    def __init__(self, function: Any) -> None:
        package = function.__module__.partition(".")[0]
        self._kept = package in PACKAGES and function.__closure__ is None
        self._folder = sources_folder(function.__module__, *_COMPILERS) if self._kept else ""
        self._name = f"{function.__qualname__}-{function.__code__.co_firstlineno}"
        self.announcement = ""
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """Return the name of the folder for the sources as they are now."""
        return self._folder

    def place(self, target: Any, signature: Any = None) -> tuple[str, str]:
        """Return folder and file name for a signature, or the pattern of the names for all signatures.

        Processor and numba's own options are part of a name.
        """
        machine = (target.codegen().magic_tuple(), _config.OPT, _config.BOUNDSCHECK)
        types_hash = "*" if signature is None else _short_hash(signature)
        return self._folder, f"{self._name}-{_short_hash(machine)}-{types_hash}.nbc"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the kernel for argument types, or None to let numba compile it."""
        target_context.refresh()
        payload = load_kernel(*self.place(target_context, sig)) if self._kept and self._enabled else None
        if payload is not None:
            try:
                return CompileResult._rebuild(target_context, *pickle.loads(payload))
            except Exception as error:  # any failure: the kernel can still be compiled
                warn_once(f"kept kernel {self._folder}/{self._name} is compiled again: {type(error).__name__}: {error}")
        if self.announcement and self.announcement not in _announced:
            _announced.add(self.announcement)
            print(f"gnnsched: {self.announcement} ...", file=sys.stderr, flush=True)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write a kernel that has just been compiled to disk."""
        if self._kept and self._enabled and not data.library.has_dynamic_globals:
            save_kernel(*self.place(data.target_context, sig), dumps(data._reduce()))

    def enable(self) -> None:
        """Read and write files."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write files."""
        self._enabled = False

    def flush(self) -> None:
        """Do nothing: a kernel that numba compiles again overwrites its file."""


def _short_hash(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def copy_cells(target: Any, row: int, to: int, source: Any, source_row: int, start: int, count: int) -> None:
    """Copy `count` cells from a row of a C-ordered 2-D array to a row of another or the same; ranges may overlap."""
    target[row, to : to + count] = source[source_row, start : start + count].copy()


@inlined
def move_cells(array: Any, row: int, to: int, start: int, count: int) -> None:
    """Move `count` cells within a row of a C-ordered 2-D array; the ranges may overlap."""
    copy_cells(array, row, to, array, row, start, count)


def fetch_ahead(array: Any, row: int, place: int) -> None:
    """Prefetch a cell of a C-ordered 2-D array into the cache, which only speeds up a later access."""


def _address(context: Any, builder: Any, kind: Any, array: Any, row: Any, place: Any) -> tuple[Any, Any]:
    """Return a pointer to a cell of a C-ordered 2-D array, and the size of a cell in bytes."""
    cells = context.make_array(kind)(context, builder, array)
    number = builder.add(builder.mul(row, builder.extract_value(cells.shape, 1)), place)
    data = builder.bitcast(cells.data, ir.IntType(8).as_pointer())
    return builder.gep(data, [builder.mul(number, cells.itemsize)]), cells.itemsize


def _memmove_code(
    _: Any, target: Any, row: Any, to: Any, source: Any, source_row: Any, start: Any, count: Any
) -> tuple[Any, Any]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        into, size = _address(context, builder, signature.args[0], *arguments[:3])
        out_of, _ = _address(context, builder, signature.args[3], *arguments[3:6])
        cgutils.raw_memmove(builder, into, out_of, arguments[6], size)
        return context.get_dummy_value()

    place = types.intp
    return types.void(target, place, place, source, place, place, place), generate


_memmove: Any = intrinsic(_memmove_code)


@overload(copy_cells)
def _copy_cells(target: Any, row: Any, to: Any, source: Any, source_row: Any, start: Any, count: Any) -> Any:
    def compiled(target: Any, row: Any, to: Any, source: Any, source_row: Any, start: Any, count: Any) -> None:
        _memmove(target, row, to, source, source_row, start, count)

    return compiled


def _prefetch_code(_: Any, array: Any, row: Any, place: Any) -> tuple[Any, Any]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        cell, _ = _address(context, builder, signature.args[0], *arguments)
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cell.type, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [cell, flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


_prefetch: Any = intrinsic(_prefetch_code)


@overload(fetch_ahead)
def _fetch_ahead(array: Any, row: Any, place: Any) -> Any:
    def compiled(array: Any, row: Any, place: Any) -> None:
        _prefetch(array, row, place)

    return compiled
