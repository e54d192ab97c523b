"""Rank the dataflows of an accelerator for a GNN on a graph, best first: cycles, microseconds, utilisation, accesses.

Examples:
    gnnsched cycles --graph Cora.npz --model gcn --accelerator omega512
    gnnsched cycles --graph karate --explain --dataflow PP1
    gnnsched cycles --graph Cora.npz --order degree rcm
"""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro
from rich.table import Table

from gnnsched_cli.command import print_table, print_text
from gnnsched_cli.cycles_explained import CAPTION as EXPLANATION
from gnnsched_cli.cycles_explained import advice, explanation_record, explanation_table
from gnnsched_env.common.errors import ConfigError, did_you_mean
from gnnsched_env.hardware import Accelerator, GnnModel, load_accelerator, make_model
from gnnsched_env.hardware.fleet import DEFAULT_CLOCK_HZ

if TYPE_CHECKING:
    from gnnsched_env.cycles import CycleCounts, Quirks
    from gnnsched_env.cycles.explanation import LayerParts
    from gnnsched_env.graphs import Graph, GraphSet


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Rank the dataflows of an accelerator for a GNN on a graph, best first."""

    graph: Path
    """Graph or graph set: an npz file, a TU folder, an example (karate, southern_women), or a file that `gnnsched
    graphs convert` reads."""
    accelerator: str = "omega512"
    """Preset name, or a TOML file."""
    model: Literal["gcn", "gin", "sage"] = "gcn"
    """Kind of graph neural network."""
    hidden: tuple[int, ...] = (16,)
    """Widths of the hidden layers; none for a single layer (`--hidden` alone)."""
    features: int | None = None
    """Input width; by default the data set's (an edge list or a matrix has none)."""
    classes: int | None = None
    """Output width; by default the data set's (an edge list or a matrix has none)."""
    batch: int = 1
    """Number of graphs to draw from a set, without replacement, as one block-diagonal batch."""
    seed: int = 0
    """Seed of the draw of a batch."""
    clock_hz: int = DEFAULT_CLOCK_HZ
    """Clock of the accelerator in Hz, which turns cycles into microseconds."""
    quirks: Literal["corrected", "golden_corrected", "fixed_empty_rows", "reference"] = "corrected"
    """Which errors of the OMEGA simulator are kept: "reference" keeps all of them, "corrected" none."""
    explain: tyro.conf.FlagCreatePairsOff[bool] = False
    """Say what the cycles of the best dataflow go to, or those of --dataflow."""
    dataflow: tuple[str, ...] = ()
    """Dataflows that --explain explains."""
    order: tuple[Literal["degree", "rcm"], ...] = ()
    """Also rank with the vertices in another order: by falling degree, or by reverse Cuthill-McKee."""
    as_json: Annotated[bool, tyro.conf.arg(name="json"), tyro.conf.FlagCreatePairsOff] = False
    """Print JSON instead of a table."""


# Columns that a narrow terminal does without, the first one first.
LEAVE_OUT = ("links", "registers", "buffer", "tiles")
CAPTION = """\
tiles: of the first layer, T_Va,T_N,T_Fa | T_Vc,T_G,T_Fc (vertices, neighbours, features side by side in aggregation;
  vertices, outputs, features in combination)
utilisation: useful multiply-accumulates / (cycles * PEs), padding not counted as useful
buffer: words read from and written to the global buffer that all PEs share
registers: reads and writes of the PEs' own register files
links: links of the distribution network that words cross on their way from the buffer to the PEs"""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is ranked: a graph, and which graphs of the set were drawn for it (none drawn where there is only one)."""

    graph: "Graph"
    model: GnnModel
    accelerator: Accelerator
    drawn: tuple[int, ...]
    of: int


def run(arguments: Arguments) -> None:
    """Rank and print."""
    subject = _inputs(arguments)
    rows = _rank(subject.graph, subject.model, subject.accelerator, arguments)
    explained = _explained(subject, arguments, rows)
    ordered = _ordered(subject, arguments)
    if arguments.as_json:
        report = _report(subject, arguments, rows)
        report |= {"explained": {name: explanation_record(layers) for name, layers in explained.items()}}
        print(json.dumps(report | {"orders": ordered}, indent=2))
        return
    _print_table(subject, arguments, rows)
    if ordered:
        _print_orders(rows, ordered)
    for name, layers in explained.items():
        table = explanation_table(name, layers)
        print_table(table, [str(column.header) for column in table.columns[1:-2]])
        print_text(advice(layers))
    if explained:
        print_text(EXPLANATION)


def _explained(
    subject: Subject, arguments: Arguments, rows: list[tuple[str, "CycleCounts"]]
) -> "dict[str, tuple[LayerParts, ...]]":
    """Return what the cycles of the dataflows to explain go to, by name."""
    from gnnsched_env.cycles import explain_cycles

    if not arguments.explain:
        return {}
    flows = {flow.name: flow for flow in subject.accelerator.dataflows}
    return {
        name: explain_cycles(subject.graph, subject.model, subject.accelerator, flows[name])
        for name in arguments.dataflow or (rows[0][0],)
    }


def _ordered(subject: Subject, arguments: Arguments) -> dict[str, dict[str, int]]:
    """Return the cycles of each dataflow in each other order of the vertices."""
    from gnnsched_env.graphs import renumbered

    found: dict[str, dict[str, int]] = {}
    for order in dict.fromkeys(arguments.order):
        rows = _rank(renumbered(subject.graph, order), subject.model, subject.accelerator, arguments)
        found[order] = {name: counts.cycles for name, counts in rows}
    return found


def _print_orders(rows: list[tuple[str, "CycleCounts"]], ordered: dict[str, dict[str, int]]) -> None:
    table = Table(title="Cycles by the order of the vertices, and over those as given", title_justify="left")
    table.add_column("dataflow")
    table.add_column("as given", justify="right")
    for order in ordered:
        table.add_column(order, justify="right")
        table.add_column("over given", justify="right")
    for name, counts in rows:
        cells = [cell for own in ordered.values() for cell in (f"{own[name]:,}", f"{own[name] / counts.cycles:.3f}")]
        table.add_row(name, f"{counts.cycles:,}", *cells)
    print_table(table)


def _inputs(arguments: Arguments) -> Subject:
    from gnnsched_env.graphs import load_graph_set

    for option, value, least in (
        ("batch", arguments.batch, 1),
        ("seed", arguments.seed, 0),
        ("clock-hz", arguments.clock_hz, 1),
    ):
        if value < least:
            raise ConfigError(f"--{option} must be at least {least}, got {value}")
    accelerator = load_accelerator(arguments.accelerator)
    _check_explaining(arguments, accelerator)
    graphs = load_graph_set(arguments.graph, num_features=arguments.features, num_classes=arguments.classes)
    model = make_model(arguments.model, graphs.num_features, graphs.num_classes, arguments.hidden)
    drawn = _draw(graphs, arguments)
    graph = graphs.batch(drawn) if len(drawn) > 1 else graphs[drawn[0] if drawn else 0]
    return Subject(graph=graph, model=model, accelerator=accelerator, drawn=drawn, of=len(graphs))


def _check_explaining(arguments: Arguments, accelerator: Accelerator) -> None:
    names = [flow.name for flow in accelerator.dataflows]
    for name in arguments.dataflow:
        if name not in names:
            told = f"must be a dataflow of {accelerator.name} ({', '.join(names)}), got {name!r}"
            raise ConfigError(f"--dataflow: {told}{did_you_mean(name, names)}")
    if arguments.dataflow and not arguments.explain:
        raise ConfigError("--dataflow: goes with --explain")
    if arguments.explain and arguments.quirks != "corrected":
        raise ConfigError(f"--explain: explains the mended model, not --quirks {arguments.quirks}")


def _draw(graphs: "GraphSet", arguments: Arguments) -> tuple[int, ...]:
    """Return the graphs drawn, without replacement; none where there is one graph only."""
    if arguments.batch > len(graphs):
        raise ConfigError(f"--batch must be at most the set's {len(graphs)} graphs, got {arguments.batch}")
    if len(graphs) == 1:
        return ()
    ids = np.random.default_rng(arguments.seed).choice(len(graphs), arguments.batch, replace=False)
    return tuple(ids.tolist())


def _rank(
    graph: "Graph", model: GnnModel, accelerator: Accelerator, arguments: Arguments
) -> list[tuple[str, "CycleCounts"]]:
    """Return (dataflow, counts), fewest cycles first; ties keep the accelerator's order."""
    from gnnsched_env.cycles import NAMED_QUIRKS, count_cycles

    quirks = NAMED_QUIRKS[arguments.quirks]
    if quirks.literal_pp:
        return _rank_defined(graph, model, accelerator, quirks)
    rows = [(flow.name, count_cycles(graph, model, accelerator, flow, quirks=quirks)) for flow in accelerator.dataflows]
    return sorted(rows, key=lambda row: row[1].cycles)


def _rank_defined(
    graph: "Graph", model: GnnModel, accelerator: Accelerator, quirks: "Quirks"
) -> list[tuple[str, "CycleCounts"]]:
    """Rank with the reference's PP formula, which is undefined on few vertices: those dataflows are left out."""
    from gnnsched_env.cycles import count_cycles

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


def _microseconds(counts: "CycleCounts", arguments: Arguments) -> float:
    return counts.cycles / arguments.clock_hz * 1e6


def _report(subject: Subject, arguments: Arguments, rows: list[tuple[str, "CycleCounts"]]) -> dict[str, Any]:
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
        "graph": subject.graph.name,
        "graphs_in_set": subject.of,
        "drawn": subject.drawn,
        "seed": arguments.seed,
        "vertices": subject.graph.num_vertices,
        "edges": subject.graph.num_edges,
        "model": subject.model.to_dict(),
        "accelerator": subject.accelerator.name,
        "clock_hz": arguments.clock_hz,
        "quirks": arguments.quirks,
        "dataflows": flows,
    }


def _print_table(subject: Subject, arguments: Arguments, rows: list[tuple[str, "CycleCounts"]]) -> None:
    print_text(_header(subject, arguments))
    table = Table()
    table.add_column("dataflow")
    for column in ("cycles", "microseconds", "x best", "utilisation", "buffer", "registers", "links"):
        table.add_column(column, justify="right")
    table.add_column("tiles")
    for name, counts in rows:
        table.add_row(
            name,
            f"{counts.cycles:,}",
            _three_digits(_microseconds(counts, arguments)),
            f"{counts.cycles / rows[0][1].cycles:.2f}",
            f"{counts.utilisation:.2%}",
            *(f"{words:.1e}" for words in (counts.global_buffer, counts.register_file, counts.links)),
            str(counts.layers[0].dataflow.tiling),
        )
    print_table(table, LEAVE_OUT)
    print_text(CAPTION)


def _header(subject: Subject, arguments: Arguments) -> str:
    graph, model, accelerator = subject.graph, subject.model, subject.accelerator
    widths = " -> ".join(str(width) for width in (model.in_features, *(layer.out_features for layer in model.layers)))
    drawn = ""
    if subject.drawn:
        ids = ", ".join(str(i) for i in subject.drawn[:10]) + (", ..." if len(subject.drawn) > 10 else "")
        drawn = f" ({len(subject.drawn)} of {subject.of} graphs drawn with seed {arguments.seed}: {ids})"
    name = graph.name.removesuffix("[0]") if subject.of == 1 else graph.name
    return (
        f"{name}{drawn}: {graph.num_vertices} vertices, {graph.num_edges} stored edges; {model.name} {widths}; "
        f"{accelerator.name}, {accelerator.pes} PEs at {arguments.clock_hz / 1e9:g} GHz; quirks {arguments.quirks}"
    )


def _three_digits(value: float) -> str:
    """Return a positive number with three significant digits, never in scientific notation."""
    rounded = float(f"{value:.2e}")
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(rounded)))}f}"
