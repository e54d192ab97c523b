"""Levels of knowledge about a job whose latency is predicted."""

from enum import StrEnum


class Level(StrEnum):
    """The knowledge about a job that a predictor needs; each level includes those before it.

    METADATA: vertices, entries and the model's widths. DEGREES: the row degrees, in order. STRUCTURE: the adjacency,
    summarised. GRAPH: the adjacency itself.
    """

    METADATA = "metadata"
    DEGREES = "degrees"
    STRUCTURE = "structure"
    GRAPH = "graph"

    @property
    def rank(self) -> int:
        """The level's place in the order of knowledge, from 0."""
        return list(Level).index(self)
