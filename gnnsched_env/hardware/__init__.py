"""Hardware: accelerators, dataflows in OMEGA's taxonomy, tile rules, GNN models, fleets and their presets."""

from gnnsched_env.hardware.accelerator import Accelerator
from gnnsched_env.hardware.binding import BoundDataflow, PhaseArray, bind
from gnnsched_env.hardware.catalogue import (
    list_accelerators,
    list_dataflows,
    list_fleets,
    load_accelerator,
    load_dataflow,
    load_fleet,
)
from gnnsched_env.hardware.dataflow import Dataflow
from gnnsched_env.hardware.fleet import Choice, Fleet
from gnnsched_env.hardware.model import MODEL_KINDS, GnnModel, Layer, make_model
from gnnsched_env.hardware.taxonomy import Composition, Loop, PhaseOrder, Taxonomy
from gnnsched_env.hardware.tiling import TileRule, Tiling

__all__ = [
    "MODEL_KINDS",
    "Accelerator",
    "BoundDataflow",
    "Choice",
    "Composition",
    "Dataflow",
    "Fleet",
    "GnnModel",
    "Layer",
    "Loop",
    "PhaseArray",
    "PhaseOrder",
    "Taxonomy",
    "TileRule",
    "Tiling",
    "bind",
    "list_accelerators",
    "list_dataflows",
    "list_fleets",
    "load_accelerator",
    "load_dataflow",
    "load_fleet",
    "make_model",
]
