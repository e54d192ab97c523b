"""Files in the data set's form, with the real files' types; configurations are written a block at a time."""

import zipfile
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gnnsched_env.common.errors import ConfigError
from gnnsched_env.common.files import write_whole
from gnnsched_env.forecast.data import array_rules as rules
from gnnsched_env.forecast.data.npz_streaming import BLOCK_BYTES
from gnnsched_env.forecast.data.program import ProgramGraph
from gnnsched_env.forecast.data.schema import LAYOUT_WIDTH, TILE_WIDTH

Array = NDArray[Any]

_TIME = (1980, 1, 1, 0, 0, 0)  # of every member, so that equal arrays give equal bytes


def write_program(
    path: str | Path,
    *,
    graph: ProgramGraph,
    configurations: Array,
    runtimes: Array,
    configurable: Array | None = None,
    normalizers: Array | None = None,
    splits: Array | None = None,
) -> None:
    """Write a program whole, deflated; missing folders are made; equal arrays give equal bytes.

    A layout program has `configurable` nodes [nc], `configurations` int8 or float32 [c, nc, 18] (written as float32)
    and `splits` [s] (None: one computation); a tile program has neither, `configurations` float32 [c, 24] and
    `normalizers` [c] ns. `runtimes`: [c] ns, all 0 for an unlabelled file. ConfigError where an array breaks a rule of
    the format; OSError, which names the file, where it cannot be written.
    """
    nodes = graph.num_nodes
    is_tile = configurable is None
    if is_tile == (normalizers is None) or (is_tile and splits is not None):
        raise ConfigError("a program must have either configurable nodes (and splits) or normalizers, got both or none")
    row: tuple[int, ...] = (TILE_WIDTH,)
    name = rules.CONFIG_FEAT
    arrays: dict[str, Array] = {
        rules.EDGE_INDEX: graph.edges,
        rules.NODE_FEAT: graph.node_features,
        rules.NODE_OPCODE: graph.opcodes,
    }
    if configurable is not None:
        ids = rules.check_configurable(np.asarray(configurable), nodes)
        name, row = rules.NODE_CONFIG_FEAT, (len(ids), LAYOUT_WIDTH)
        arrays |= {rules.NODE_CONFIG_IDS: ids, rules.NODE_SPLITS: rules.check_splits(splits, nodes)[None]}
    count = rules.check_config_shape(name, configurations.shape, configurations.dtype, row)
    arrays[rules.CONFIG_RUNTIME] = rules.check_times(rules.CONFIG_RUNTIME, np.asarray(runtimes), count, smallest=0)
    if normalizers is not None:
        arrays[rules.NORMALIZERS] = rules.check_times(rules.NORMALIZERS, np.asarray(normalizers), count, smallest=1)

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for key, array in arrays.items():
                with _member(archive, key) as member:
                    npy.write_array(member, array, allow_pickle=False)
            with _member(archive, name) as member:
                _write_rows(member, configurations, is_tile=is_tile)

    write_whole(path, write)


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    info = zipfile.ZipInfo(f"{name}.npy", _TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(info, "w", force_zip64=True)


def _write_rows(member: IO[bytes], configurations: Array, *, is_tile: bool) -> None:
    npy.write_array_header_1_0(
        member,
        {"descr": "<f4", "fortran_order": False, "shape": configurations.shape},  # type: ignore[arg-type]
    )
    step = max(1, BLOCK_BYTES // (4 * max(1, configurations[0].size)))
    for first in range(0, len(configurations), step):
        block = configurations[first : first + step]
        numbers = np.arange(first, first + len(block))
        checked = rules.check_tiles(block, numbers) if is_tile else rules.check_layouts(block, numbers)
        member.write(np.ascontiguousarray(checked, dtype="<f4").data)
