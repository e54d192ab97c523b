"""Options that say where tasks run, as several commands take them: declared once, here."""

from typing import Annotated

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from gnnsched_cli.command import OutFolder

_ADDRESS = PrimitiveConstructorSpec(
    nargs=(0, 1),
    metavar="[ADDRESS]",
    instance_from_str=lambda words: words[0] if words else "",
    is_instance=lambda value: value is None or isinstance(value, str),
    str_from_instance=lambda value: ["None"] if value is None else [value],
)
Workers = Annotated[int, tyro.conf.arg(help="Number of processes of this machine; results do not depend on it.")]
RAY = (
    "Run on the Ray cluster at HOST:PORT, or on the one that this machine is part of (extra `ray`); "
    "results are the same bytes."
)
Ray = Annotated[str | None, _ADDRESS, tyro.conf.arg(help=RAY)]
KEEP = "Folder in which what is done is kept, so that the same command goes on there after it was stopped or killed."
KeepFolder = Annotated[OutFolder | None, tyro.conf.arg(help=KEEP)]
