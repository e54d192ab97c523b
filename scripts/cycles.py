"""Rank the dataflows of an accelerator for a GNN on a graph, best first: cycles, microseconds, utilisation, accesses.

python -m scripts.cycles --graph Cora.npz --model gcn --accelerator omega512
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from gnnsched_env.cycles import NAMED_QUIRKS, CycleCounts, Quirks, count_cycles
from gnnsched_env.errors import ConfigError, GnnSchedError
from gnnsched_env.graphs import Graph, GraphSet, load_graph_set
from gnnsched_env.hardware import Accelerator, GnnModel, load_accelerator, make_model
from gnnsched_env.hardware.fleet import DEFAULT_CLOCK_HZ


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Rank the dataflows of an accelerator for a GNN on a graph, best first."""

    graph: Path
    """Graph or graph set: an npz file or a TU folder."""
    accelerator: str = "omega512"
    """Preset name, or a TOML file."""
    model: Literal["gcn", "gin", "sage"] = "gcn"
    hidden: tuple[int, ...] = (16,)
    """Widths of the hidden layers; none for a single layer (`--hidden` alone)."""
    features: int | None = None
    """Input width; by default the data set's."""
    classes: int | None = None
    """Output width; by default the data set's."""
    batch: int = 1
    """Graphs drawn from a set of several, as one block-diagonal batch."""
    seed: int = 0
    """Of the draw."""
    clock_hz: int = DEFAULT_CLOCK_HZ
    quirks: Literal["corrected", "golden_corrected", "fixed_empty_rows", "reference"] = "corrected"
    """"reference" = the stock simulator, errors and all."""
    as_json: Annotated[bool, tyro.conf.arg(name="json"), tyro.conf.FlagCreatePairsOff] = False
    """Print JSON instead of a table."""


def main() -> int:
    """Parse, rank, print; return the exit status."""
    arguments = tyro.cli(Arguments, prog="python -m scripts.cycles")
    try:
        graph, model, accelerator = _inputs(arguments)
        rows = _rank(graph, model, accelerator, arguments)
    except (GnnSchedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.as_json:
        print(json.dumps(_report(graph, model, accelerator, arguments, rows), indent=2))
    else:
        _print_table(graph, model, accelerator, arguments, rows)
    return 0


def _inputs(arguments: Arguments) -> tuple[Graph, GnnModel, Accelerator]:
    if arguments.batch < 1:
        raise ConfigError(f"--batch must be at least 1, got {arguments.batch}")
    if arguments.clock_hz < 1:
        raise ConfigError(f"--clock-hz must be at least 1, got {arguments.clock_hz}")
    accelerator = load_accelerator(arguments.accelerator)
    graphs = load_graph_set(arguments.graph)
    width = graphs.num_features if arguments.features is None else arguments.features
    classes = graphs.num_classes if arguments.classes is None else arguments.classes
    return _draw(graphs, arguments), make_model(arguments.model, width, classes, arguments.hidden), accelerator


def _draw(graphs: GraphSet, arguments: Arguments) -> Graph:
    if len(graphs) == 1 and arguments.batch == 1:
        return graphs[0]
    ids = np.random.default_rng(arguments.seed).integers(0, len(graphs), arguments.batch)
    return graphs.batch(ids)


def _rank(
    graph: Graph, model: GnnModel, accelerator: Accelerator, arguments: Arguments
) -> list[tuple[str, CycleCounts]]:
    """Return (dataflow, counts), fewest cycles first; ties keep the accelerator's order."""
    quirks = NAMED_QUIRKS[arguments.quirks]
    if quirks.literal_pp:
        return _rank_defined(graph, model, accelerator, quirks)
    rows = [(flow.name, count_cycles(graph, model, accelerator, flow, quirks=quirks)) for flow in accelerator.dataflows]
    return sorted(rows, key=lambda row: row[1].cycles)


def _rank_defined(
    graph: Graph, model: GnnModel, accelerator: Accelerator, quirks: Quirks
) -> list[tuple[str, CycleCounts]]:
    """Rank with the reference's PP formula, which is undefined on few vertices: those dataflows are left out."""
    rows, refused = [], []
    for flow in accelerator.dataflows:
        try:
            rows.append((flow.name, count_cycles(graph, model, accelerator, flow, quirks=quirks)))
        except ConfigError as error:
            refused.append(f"{flow.name} left out: {error}")
    if not rows:
        raise ConfigError("; ".join(refused))
    for reason in refused:
        print(reason, file=sys.stderr)
    return sorted(rows, key=lambda row: row[1].cycles)


def _microseconds(counts: CycleCounts, arguments: Arguments) -> float:
    return counts.cycles / arguments.clock_hz * 1e6


def _report(
    graph: Graph,
    model: GnnModel,
    accelerator: Accelerator,
    arguments: Arguments,
    rows: list[tuple[str, CycleCounts]],
) -> dict[str, Any]:
    flows = [
        {
            "dataflow": name,
            "cycles": counts.cycles,
            "microseconds": _microseconds(counts, arguments),
            "utilisation": counts.utilisation,
            "global_buffer_accesses": counts.global_buffer,
            "register_file_accesses": counts.register_file,
            "distribution_links": counts.links,
            "layers": [
                {
                    "taxonomy": str(layer.dataflow.taxonomy),
                    "tiles": layer.dataflow.tiling.as_tuple(),
                    "cycles": layer.cycles,
                    "aggregation_cycles": layer.aggregation_cycles,
                    "combination_cycles": layer.combination_cycles,
                    "macs": layer.macs,
                }
                for layer in counts.layers
            ],
        }
        for name, counts in rows
    ]
    return {
        "graph": graph.name,
        "vertices": graph.num_vertices,
        "edges": graph.num_edges,
        "model": model.to_dict(),
        "accelerator": accelerator.name,
        "clock_hz": arguments.clock_hz,
        "quirks": arguments.quirks,
        "dataflows": flows,
    }


def _print_table(
    graph: Graph,
    model: GnnModel,
    accelerator: Accelerator,
    arguments: Arguments,
    rows: list[tuple[str, CycleCounts]],
) -> None:
    widths = " -> ".join(str(width) for width in (model.in_features, *(layer.out_features for layer in model.layers)))
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(
        f"{graph.name}: {graph.num_vertices} vertices, {graph.num_edges} stored edges; {model.name} {widths}; "
        f"{accelerator.name}, {accelerator.pes} PEs at {arguments.clock_hz / 1e9:g} GHz; quirks {arguments.quirks}"
    )
    table = Table()
    table.add_column("dataflow")
    for column in ("cycles", "microseconds", "x best", "utilisation", "buffer", "registers", "links"):
        table.add_column(column, justify="right")
    table.add_column("tiles")
    for name, counts in rows:
        table.add_row(
            name,
            f"{counts.cycles:,}",
            f"{_microseconds(counts, arguments):,.2f}",
            f"{counts.cycles / rows[0][1].cycles:.2f}",
            f"{counts.utilisation:.2%}",
            *(f"{words:.3g}" for words in (counts.global_buffer, counts.register_file, counts.links)),
            str(counts.layers[0].dataflow.tiling),
        )
    console.print(table)
    console.print(
        "buffer, registers: words accessed; links: distribution links crossed; utilisation: useful MACs a PE slot"
    )


if __name__ == "__main__":
    sys.exit(main())
