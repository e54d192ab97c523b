"""What the cycles of a dataflow go to, as a table: a row for each part, a column for each phase of each layer."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from gnnsched_env.cycles.explanation import LayerParts

MEANINGS = {
    "useful": "useful multiply-accumulates, as if every PE always did one",
    "unmapped": "PEs beyond the tiles",
    "padding": "places of the tiles without work",
    "slowest_row": "rows of a tile that wait for its slowest one",
    "distribution": "too few distribution ports",
    "reduction": "too few collection lines",
    "filling": "configuring, filling and draining the array between tiles",
}
COMPOSING = "composing"
CAPTION = """\
composing: what the two phases together take less (or more) than one after the other; Seq: nothing
ports and lines: cycles that an array with one for each PE would not take; docs/reference/cycles.md"""
WORTH_SAYING = 0.05  # share of the cycles


def explanation_table(name: str, layers: "Sequence[LayerParts]") -> Table:
    """Return the table of one dataflow; cells are cycles, the last column their share of all."""
    total = sum(layer.cycles for layer in layers)
    table = Table(title=f"{name}: {total:,} cycles", title_justify="left")
    table.add_column("cycles of")
    for number, _ in enumerate(layers, 1):
        table.add_column(f"aggregation {number}", justify="right")
        table.add_column(f"combination {number}", justify="right")
    table.add_column("all", justify="right")
    table.add_column("share", justify="right")
    for part, meaning in MEANINGS.items():
        cells = [getattr(phase, part) for layer in layers for phase in (layer.aggregation, layer.combination)]
        table.add_row(meaning, *map(_cell, cells), _cell(sum(cells)), f"{sum(cells) / total:.1%}")
    saved = [layer.composing for layer in layers]
    cells = [cell for layer in layers for cell in ("", _cell(layer.composing))]
    table.add_row(COMPOSING, *cells, _cell(sum(saved)), f"{sum(saved) / total:.1%}")
    alone = [phase.cycles for layer in layers for phase in (layer.aggregation, layer.combination)]
    table.add_section()
    table.add_row("all", *map(_cell, alone), f"{total:,}", "100.0%")
    return table


def advice(layers: "Sequence[LayerParts]") -> str:
    """Return sentences: the largest part but the useful one, and stalls of a pipeline where they matter."""
    total = sum(layer.cycles for layer in layers)
    phases = [phase for layer in layers for phase in (layer.aggregation, layer.combination)]
    shares = {part: sum(getattr(phase, part) for phase in phases) / total for part in MEANINGS if part != "useful"}
    largest = max(shares, key=lambda part: shares[part])
    sentences = [f"Most goes to: {MEANINGS[largest]} ({shares[largest]:.0%})."]
    stalls = sum(layer.stall for layer in layers)
    if stalls >= WORTH_SAYING * total:
        sentences.append(f"One phase of the pipeline waits for the other in {stalls:,} cycles ({stalls / total:.0%}).")
    return " ".join(sentences)


def explanation_record(layers: "Sequence[LayerParts]") -> list[dict[str, Any]]:
    """Return what `explanation_table` shows as JSON values, layer by layer."""
    return [dict(_entries(layer)) for layer in layers]


def _entries(layer: "LayerParts") -> Iterator[tuple[str, Any]]:
    for entry in fields(layer):
        if entry.name != "dataflow":
            value = getattr(layer, entry.name)
            yield entry.name, value if isinstance(value, int) else asdict(value)


def _cell(cycles: float) -> str:
    """Return cycles as whole numbers, fractions of one as they are."""
    return f"{cycles:,.0f}" if abs(cycles) >= 1 or cycles == 0 else f"{cycles:.1g}"
