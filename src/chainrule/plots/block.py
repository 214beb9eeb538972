"""A part of the drawing of a net, and the measures that all parts share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["BETWEEN", "BOX", "FRAME", "GAP", "HEADING", "JOIN", "LANE", "Block", "Measure", "Point"]

# In inches, at the full size of the letters.
GAP = 0.26  # between a node and the next
BETWEEN = 0.24  # branches
BOX = 0.42  # the height of a layer
JOIN = 0.2
LANE = 0.24  # a branch with nothing in it
FRAME = 0.12
HEADING = 0.2

Point = tuple[float, float]
Measure = Callable[[str], float]


@dataclass(frozen=True)
class Block:
    """A part of the drawing: how much room it takes about the line on which the data flow.

    ``place(graph, x, y, source, route)`` draws it under ``y`` about the line at ``x``, behind the
    node ``source``, by way of the points of ``route``; it returns its last node, and the points by
    which an edge goes on from there.
    """

    left: float
    right: float
    height: float
    nodes: int
    size: int  # number of parameters
    place: Callable[[Any, float, float, str, list[Point]], tuple[str, list[Point]]]
