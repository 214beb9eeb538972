"""Where the nodes of a graph without a loop are drawn.

They stand in rows: each below all whose values it takes. A value that is taken further down than in
the next row goes past the rows between in a lane, which has its place there as a node has. So edges
turn only between the rows, each value on a level of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, median_low
from typing import Any

from chainrule.plots.block import BETWEEN, GAP, LANE, Block, Point

__all__ = ["graph_of_nodes"]

STEP = 0.09  # from one level between two rows to the next, in inches


@dataclass
class _Item:
    """A value in a row: where it is made, or a lane in which it goes past."""

    value: int
    block: Block | None = None  # None for a lane, and for the input
    above: list["_Item"] = field(default_factory=list)
    below: list["_Item"] = field(default_factory=list)
    x: float = 0.0

    @property
    def left(self) -> float:
        return LANE / 2 if self.block is None else self.block.left

    @property
    def right(self) -> float:
        return LANE / 2 if self.block is None else self.block.right

    @property
    def height(self) -> float:
        return 0.0 if self.block is None else self.block.height


def graph_of_nodes(blocks: Sequence[Block], inputs: Sequence[Sequence[int]]) -> Block:
    """Return the nodes as one part of the drawing.

    Parameters
    ----------
    blocks : sequence of Block
        Each node. That of a join draws the first edge that comes to it; the others follow here.
    inputs : sequence of sequence of int
        The values that each takes: 0 is what comes to the graph, i the output of node i, from 1.
    """
    rows = _rows(blocks, inputs)
    for row in rows[1:]:
        _stand(row)
    items = [item for row in rows[1:] for item in row]
    levels = [_levels(row) for row in rows]
    spaces = [GAP + STEP * max(len(each) - 1, 0) for each in levels]
    spaces[0] -= GAP  # there is one above already
    heights = [max((item.height for item in row), default=0.0) for row in rows]

    def place(
        graph: Any, x: float, y: float, source: str, route: list[Point]
    ) -> tuple[str, list[Point]]:
        # What is known of each item: the node that its value comes from, and the way from there.
        ways: dict[int, tuple[str, list[Point]]] = {id(rows[0][0]): (source, route)}
        foot = y + GAP  # of the row above
        for number, row in enumerate(rows[1:]):
            level = {id(item): foot - GAP / 2 - STEP * i for i, item in enumerate(levels[number])}
            top = y - spaces[0] if number == 0 else foot - spaces[number]
            for item in row:
                # The outer ones of those that meet in a join come to its sides.
                came = sorted(item.above, key=lambda one: one.x)
                arrivals = []
                for one, at in zip(came, _ports(item, len(came)), strict=True):
                    node, way = ways[id(one)]
                    if abs(one.x - at) > 1e-9:
                        way = [*way, (x + one.x, level[id(one)]), (x + at, level[id(one)])]
                    arrivals.append((node, way))
                if item.block is None:
                    ways[id(item)] = arrivals[0]
                    continue
                name, way = item.block.place(graph, x + item.x, top, *arrivals[0])
                ways[id(item)] = name, way
                for node, bends in arrivals[1:]:
                    graph.add_edge(node, name, bends=bends)
            foot = top - heights[number + 1]
        return ways[id(rows[-1][0])]

    return Block(
        max(item.left - item.x for item in items),
        max(item.right + item.x for item in items),
        sum(spaces[:-1]) + sum(heights),
        sum(block.nodes for block in blocks),
        sum(block.size for block in blocks),
        place,
    )


def _rows(blocks: Sequence[Block], inputs: Sequence[Sequence[int]]) -> list[list[_Item]]:
    """Return the items row by row, in the order of the nodes; the first row is the input."""
    depth = [0]
    for taken in inputs:
        depth.append(1 + max(depth[j] for j in taken))
    rows: list[list[_Item]] = [[] for _ in range(max(depth) + 1)]
    rows[0].append(_Item(0))
    there = {(0, 0): rows[0][0]}  # by value and row
    for i, (block, taken) in enumerate(zip(blocks, inputs, strict=True), start=1):
        item = there[i, depth[i]] = _Item(i, block)
        for j in dict.fromkeys(taken):
            last = there[j, depth[j]]
            for row in range(depth[j] + 1, depth[i]):
                if (j, row) not in there:
                    lane = there[j, row] = _Item(j)
                    _join(last, lane)
                    rows[row].append(lane)
                last = there[j, row]
            _join(last, item)
        rows[depth[i]].append(item)
    return rows


def _join(above: _Item, below: _Item) -> None:
    above.below.append(below)
    below.above.append(above)


def _stand(row: list[_Item]) -> None:
    """Give each item of a row its place: as near as there is room to those that it comes from."""
    wanted = {id(item): fmean(one.x for one in item.above) for item in row}
    row.sort(key=lambda item: (wanted[id(item)], item.block is None))
    edge = float("-inf")
    for item in row:
        item.x = max(wanted[id(item)], edge + BETWEEN + item.left)
        edge = item.x + item.right
    # So that one edge at least is straight.
    shift = median_low(wanted[id(item)] - item.x for item in row)
    # The last node stands on the line, so that the net goes on from there.
    for item in row:
        item.x = item.x + shift if item.below else 0.0


def _levels(row: list[_Item]) -> list[_Item]:
    """Return the items whose edges turn below the row, the highest level first.

    One that goes where another stands has to turn below that one's level, if there is a choice.
    """
    left = [
        item for item in row
        if any(abs(at - item.x) > 1e-9 for at in _arrivals(item))
    ]  # fmt: skip
    order = []
    while left:
        free = [
            item
            for item in left
            if not any(
                abs(at - other.x) < STEP / 2
                for other in left
                if other is not item
                for at in _arrivals(item)
            )
        ]
        order.append((free or left)[0])
        left.remove(order[-1])
    return order


def _arrivals(item: _Item) -> list[float]:
    """Return where the edges of a value come to the items below."""
    return [
        _ports(below, len(below.above))[sorted(below.above, key=lambda one: one.x).index(item)]
        for below in item.below
    ]


def _ports(item: _Item, count: int) -> list[float]:
    """Return where as many edges come to an item, side by side."""
    if item.block is None or count == 1:
        return [item.x] * count
    width = item.left + item.right
    return [item.x + width * ((i + 0.5) / count - 0.5) for i in range(count)]
