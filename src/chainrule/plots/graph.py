"""A net as a directed graph, and where each node of it is drawn.

Nets are compositions: one layer after the other, or branches beside each other that are joined. So
a place is found for every part by the same two rules, and nothing ever lies over anything else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chainrule.layers import (
    Add,
    Bidirectional,
    Concatenate,
    Graph,
    Residual,
    Sequential,
    TransformerBlock,
)
from chainrule.outline import Outline, Part
from chainrule.plots.block import (
    BETWEEN,
    BOX,
    FRAME,
    GAP,
    HEADING,
    JOIN,
    LANE,
    Block,
    Measure,
    Point,
)
from chainrule.plots.figure import pictures_need
from chainrule.plots.figure import words as cut
from chainrule.plots.nodes import graph_of_nodes

__all__ = ["Point", "layers_graph"]

TALLEST = 7.6  # column, in inches
LETTERS = 40  # of a label
SIGNS = {"add": "+", "multiply": "×", "matmul": "matrix product"}


def layers_graph(outline: Outline, most: int, measure: Measure) -> Any:
    """Return a networkx graph of the layers; data flow along its edges.

    Parameters
    ----------
    outline : Outline
        The net.
    most : int
        How many nodes of a chain to draw: of a longer one the middle is a single node.
    measure : function (text) -> float
        How wide a text is, in inches.

    Returns
    -------
    networkx.DiGraph
        Of each node: ``kind`` ("input", "layer", "join" or "more"), ``label``, ``words``, ``size``
        (its number of parameters), ``x``, ``y`` (the middle), ``width``, ``height``. Of each edge:
        ``bends``, the points at which it turns. Of the graph: ``frames``, as (text, left, top,
        width, height); ``width`` and ``height``.
    """
    with pictures_need("networkx"):
        import networkx as nx

    graph = nx.DiGraph(frames=[])
    draw = _Drawing(most, measure)
    shape = "" if outline.input_shape is None else repr(outline.input_shape)
    first = draw.box("input", "input", "input", shape, 0)
    blocks = [first, *draw.shortened(draw.blocks(outline.parts, ""), "")]
    columns = _columns(blocks)
    x, node = 0.0, ""
    route: list[Point] = []
    edges: list[float] = [0.0]
    bottoms: list[float] = []
    for column in columns:
        left, right = max(b.left for b in column), max(b.right for b in column)
        line = x + left
        y = 0.0
        for i, block in enumerate(column):
            if i == 0 and node:  # from the foot of one column to the head of the next
                gutter = x - GAP
                start, foot = graph.nodes[node]["x"], bottoms[-1] - GAP / 2
                start = route[-1][0] if route else start
                route = [*route, (start, foot), (gutter, foot), (gutter, GAP / 2), (line, GAP / 2)]
            node, route = block.place(graph, line, y, node, route)
            y -= block.height + GAP
        bottoms.append(y + GAP)
        x = line + right + 2 * GAP
        edges.append(line + right)
    graph.graph.update(width=edges[-1], height=-min(bottoms))
    return graph


def _columns(blocks: Sequence[Block]) -> list[list[Block]]:
    """Deal the blocks into as few columns as there is height for, all of about the same."""
    total = sum(block.height + GAP for block in blocks)
    count = math.ceil(total / TALLEST)
    limit = total / count
    while len(columns := _dealt(blocks, limit)) > count and limit < TALLEST:
        limit *= 1.05
    return columns


def _dealt(blocks: Sequence[Block], limit: float) -> list[list[Block]]:
    columns: list[list[Block]] = [[]]
    height = 0.0
    for block in blocks:
        if columns[-1] and height + block.height > limit:
            columns.append([])
            height = 0.0
        columns[-1].append(block)
        height += block.height + GAP
    return columns


@dataclass(frozen=True)
class _Drawing:
    """Makes blocks of layers."""

    most: int
    measure: Measure

    def blocks(self, parts: Sequence[Part], above: str) -> list[Block]:
        """Return the blocks of a chain; a chain within it is part of it."""
        blocks = []
        for part in parts:
            if type(part.layer) is Sequential:
                blocks += self.blocks(part.parts, above)
            else:
                blocks.append(self.block(part, above))
        return blocks

    def block(self, part: Part, above: str) -> Block:
        """Return the block of a layer; ``above`` is the path of the frame that it stands in."""
        layer, inner = part.layer, {p.path.rpartition(".")[2]: p for p in part.parts}
        made: Block | None = None
        if isinstance(layer, Residual):
            chain = self.chain(inner["inner"], part.path)
            past = self.chain(inner["shortcut"], part.path) if "shortcut" in inner else _lane()
            made = self.fork([chain, past], f"{part.path} +", "+", straight=True)
        elif isinstance(layer, (Concatenate, Add)):
            word = "+" if isinstance(layer, Add) else "concatenate"
            branches = [self.chain(p, part.path) for p in part.parts]
            made = self.fork(branches, f"{part.path} {word}", word)
        elif isinstance(layer, Bidirectional):
            branches = [self.chain(p, part.path) for p in part.parts]
            made = self.fork(branches, f"{part.path} concatenate", "concatenate")
        elif isinstance(layer, TransformerBlock):
            made = _chain([
                self.fork(
                    [
                        _chain(self.blocks([inner[n] for n in names if n in inner], part.path)),
                        _lane(),
                    ],
                    f"{part.path} + {i}",
                    "+",
                    straight=True,
                )
                for i, names in enumerate(
                    [("norm_1", "attention", "drop_1"), ("norm_2", "net", "drop_2")]
                )
            ])  # fmt: skip
        elif isinstance(layer, Graph) and len(layer.nodes) <= self.most:
            blocks = [
                self.chain(inner[str(i)], part.path)
                if str(i) in inner
                else self.join(f"{part.path} {i} {what}", SIGNS.get(what, what))
                for i, (what, *_) in enumerate(layer.nodes, start=1)
            ]
            made = graph_of_nodes(blocks, [inputs for _, inputs, *_ in layer.nodes])
        if made is None:
            path = _below(part.path, above)
            return self.box(part.path, "layer", f"{path}: {part.label}", _words(part), part.size)
        heading = f"{_below(part.path, above)}: {type(layer).__name__}"
        return self.framed(made, heading)

    def chain(self, part: Part, above: str) -> Block:
        """Return a branch: one layer, or a chain of them."""
        return _chain(self.shortened(self.blocks([part], above), part.path))

    def shortened(self, blocks: list[Block], where: str) -> list[Block]:
        """Return a chain whose middle is one node, where it is too long."""
        if sum(block.nodes for block in blocks) <= self.most or len(blocks) < 4:
            return blocks
        room = self.most // 2
        head = _first_of(blocks, room)
        tail = _first_of(blocks[::-1], room)
        left_out = len(blocks) - head - tail
        if left_out < 2:
            return blocks
        middle = blocks[head : len(blocks) - tail]
        size = sum(block.size for block in middle)
        more = self.box(
            f"{where} …", "more", f"⋮  {len(middle):,} more  ⋮", f"{size:,} parameters", size
        )
        return [*blocks[:head], more, *blocks[len(blocks) - tail :]]

    def box(self, name: str, kind: str, label: str, words: str, size: int) -> Block:
        """Return a node with two lines of text."""
        label = cut(label, LETTERS)
        width = max(self.measure(label), 0.9 * self.measure(words)) + 0.24

        def place(
            graph: Any, x: float, y: float, source: str, route: list[Point]
        ) -> tuple[str, list[Point]]:
            graph.add_node(
                name, kind=kind, label=label, words=words, size=size, x=x, y=y - BOX / 2,
                width=width, height=BOX,
            )  # fmt: skip
            if source:
                graph.add_edge(source, name, bends=route)
            return name, []

        return Block(width / 2, width / 2, BOX, 1, size, place)

    def join(self, name: str, word: str) -> Block:
        """Return the node of a join alone; the edges to it are its graph's matter."""
        width = JOIN if len(word) == 1 else self.measure(word) + 0.16

        def place(
            graph: Any, x: float, y: float, source: str, route: list[Point]
        ) -> tuple[str, list[Point]]:
            graph.add_node(
                name, kind="join", label=word, words="", size=0, x=x, y=y - JOIN / 2, width=width,
                height=JOIN,
            )  # fmt: skip
            graph.add_edge(source, name, bends=route)
            return name, []

        return Block(width / 2, width / 2, JOIN, 1, 0, place)

    def fork(
        self, branches: Sequence[Block], name: str, word: str, *, straight: bool = False
    ) -> Block:
        """Return branches beside each other, and the node that joins them.

        ``straight``: the first branch is on the line of the whole; else its middle is.
        """
        width = JOIN if len(word) == 1 else self.measure(word) + 0.16
        offsets, x = [], 0.0
        for branch in branches:
            offsets.append(x + branch.left)
            x += branch.left + branch.right + BETWEEN
        whole = x - BETWEEN
        line = offsets[0] if straight else _middle(offsets, whole)
        tallest = max(branch.height for branch in branches)

        def place(
            graph: Any, x: float, y: float, source: str, route: list[Point]
        ) -> tuple[str, list[Point]]:
            low = y - tallest - GAP - JOIN / 2
            level = y + GAP / 2
            ends = []
            for branch, offset in zip(branches, offsets, strict=True):
                at = x + offset - line
                way = route if abs(at - x) < 1e-9 else [*route, (x, level), (at, level)]
                ends.append((at, *branch.place(graph, at, y, source, way)))
            graph.add_node(
                name, kind="join", label=word, words="", size=0, x=x, y=low, width=width,
                height=JOIN,
            )  # fmt: skip
            for at, node, way in ends:
                bends = way if abs(at - x) < width / 2 else [*way, (at, low)]
                graph.add_edge(node, name, bends=bends)
            return name, []

        nodes = sum(branch.nodes for branch in branches) + 1
        size = sum(branch.size for branch in branches)
        left, right = max(line, width / 2), max(whole - line, width / 2)
        return Block(left, right, tallest + GAP + JOIN, nodes, size, place)

    def framed(self, inner: Block, heading: str) -> Block:
        """Return a block with a frame round it."""
        heading = cut(heading, LETTERS)
        left, right = inner.left + FRAME, inner.right + FRAME
        # The heading stands to the left of the line, where no edge goes through it.
        left = max(left, self.measure(heading) + 0.26)
        top = HEADING + GAP / 2
        height = top + inner.height + FRAME

        def place(
            graph: Any, x: float, y: float, source: str, route: list[Point]
        ) -> tuple[str, list[Point]]:
            graph.graph["frames"].append((heading, x - left, y, left + right, height))
            return inner.place(graph, x, y - top, source, route)

        return Block(left, right, height, inner.nodes, inner.size, place)


def _chain(blocks: Sequence[Block]) -> Block:
    """Return blocks one under the other."""

    def place(
        graph: Any, x: float, y: float, source: str, route: list[Point]
    ) -> tuple[str, list[Point]]:
        for block in blocks:
            source, route = block.place(graph, x, y, source, route)
            y -= block.height + GAP
        return source, route

    return Block(
        max(block.left for block in blocks),
        max(block.right for block in blocks),
        sum(block.height + GAP for block in blocks) - GAP,
        sum(block.nodes for block in blocks),
        sum(block.size for block in blocks),
        place,
    )


def _lane() -> Block:
    """Return a branch that hands on what it gets."""
    return Block(LANE / 2, LANE / 2, 0, 0, 0, lambda graph, x, y, source, route: (source, route))


def _middle(offsets: Sequence[float], whole: float) -> float:
    """Return where the line runs: through the middle, or the branch that is near to it."""
    near = min(offsets, key=lambda offset: abs(offset - whole / 2))
    return near if abs(near - whole / 2) < BETWEEN else whole / 2


def _first_of(blocks: Sequence[Block], room: int) -> int:
    """Return how many blocks have no more nodes than that; at least one."""
    count = 0
    for block in blocks:
        room -= block.nodes
        if room < 0:
            break
        count += 1
    return max(count, 1)


def _below(path: str, above: str) -> str:
    return path.removeprefix(f"{above}.") if above else path


def _words(part: Part) -> str:
    figures = [part.shape_words] if part.shape is not None else []
    if part.size:
        figures.append(f"{part.size:,} parameters")
    return "  ".join(figures)


def ends(graph: Any, edge: tuple[str, str]) -> list[Point]:
    """Return all points of an edge: from the foot of a node to the head or the side of another."""
    source, target = (graph.nodes[node] for node in edge)
    bends = graph.edges[edge]["bends"]
    start = (source["x"], source["y"] - source["height"] / 2)
    if bends and abs(bends[-1][1] - target["y"]) < 1e-9:  # it comes from the side
        side = target["width"] / 2 * (1 if bends[-1][0] > target["x"] else -1)
        return [start, *bends, (target["x"] + side, target["y"])]
    above = bends[-1][0] if bends else source["x"]
    x = above if abs(above - target["x"]) < target["width"] / 2 else target["x"]
    return [start, *bends, (x, target["y"] + target["height"] / 2)]


def segments(graph: Any, edge: tuple[str, str]) -> list[tuple[Point, Point]]:
    """Return the straight pieces of an edge."""
    points = ends(graph, edge)
    return [(a, b) for a, b in pairwise(points) if a != b]
