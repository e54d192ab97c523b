"""How much is known of a job when its latency is predicted."""

from enum import StrEnum


class Level(StrEnum):
    """What a predictor must know of a job; each level includes those before it.

    METADATA: vertices, entries and the model's widths. DEGREES: the row degrees, in order. STRUCTURE: the adjacency,
    summarised. GRAPH: the adjacency itself.
    """

    METADATA = "metadata"
    DEGREES = "degrees"
    STRUCTURE = "structure"
    GRAPH = "graph"

    @property
    def rank(self) -> int:
        """Place in the order of knowledge, from 0."""
        return list(Level).index(self)
