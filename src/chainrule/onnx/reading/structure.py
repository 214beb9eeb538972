"""From steps to layers: chains, branches side by side, and a graph where it is neither."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.layer import Layer
from chainrule.layers import (
    Add,
    Concatenate,
    Flatten,
    Graph,
    Rescale,
    Reshape,
    Residual,
    Sequential,
    Slice,
)
from chainrule.layers.recurrent import Recurrent
from chainrule.onnx.reading.attention import with_attention
from chainrule.onnx.reading.net import Net

__all__ = ["layers_of", "needed"]

DEEPEST = 20  # branches within branches; what lies deeper is told as a graph


def needed(net: Net, output: int) -> list[int]:
    """Return the steps that the output needs, in order; the input is none of them."""
    wanted, found = {output}, []
    for i in range(output, 0, -1):
        if i in wanted:
            found.append(i)
            wanted.update(net.steps[i].inputs)
    return found[::-1]


def layers_of(net: Net, output: int) -> list[Layer]:
    """Return the layers of a model whose input is step 0 and whose output is the given step."""
    if output == 0:
        return [Rescale()]
    _last_states(net, output)
    with_attention(net, needed(net, output))
    return _Builder(net, needed(net, output)).chain(0, output, 0)


def _last_states(net: Net, output: int) -> None:
    """Let a recurrent layer of which the last step alone is taken return that step alone."""
    steps = net.steps
    takers: dict[int, list[int]] = {}
    for i in needed(net, output):
        for j in steps[i].inputs:
            takers.setdefault(j, []).append(i)
    for i in needed(net, output):
        layer = steps[i].what
        if not isinstance(layer, Recurrent) or not layer.all_steps or len(takers.get(i, ())) != 1:
            continue
        (cut,) = takers[i]
        part, length = steps[cut].what, steps[i].sizes[1]
        last = length - 1 if isinstance(length, int) else None
        if not isinstance(part, Slice) or part.axis != 1 or part.stop is not None:
            continue
        if part.start not in (-1, last) or part.step is not None:
            continue
        shapes = [steps[j] for j in takers.get(cut, ())]
        wanted = (steps[i].sizes[0], steps[i].sizes[2])
        if shapes and all(
            isinstance(s.what, (Flatten, Reshape)) and s.sizes == wanted for s in shapes
        ):
            layer.all_steps = False
            steps[i].sizes = wanted
            gone = {cut, *takers[cut]}
            for step in steps:
                step.inputs = tuple(i if j in gone else j for j in step.inputs)


class _Builder:
    """Steps as layers; a *chain* leads from one step to another, and nothing else leads in or out.

    Numbers of steps rise along every way, which is what makes the parts of a chain easy to find:
    they are the steps between two numbers.
    """

    def __init__(self, net: Net, steps: Sequence[int]) -> None:
        self.steps = net.steps
        self.takers: dict[int, list[int]] = {}
        for i in steps:
            for j in dict.fromkeys(self.steps[i].inputs):
                self.takers.setdefault(j, []).append(i)
        # For each step the next one through which all ways to the output lead.
        self.after: dict[int, int] = {steps[-1]: steps[-1]}
        for i in reversed(steps[:-1]):
            self.after[i] = self._meeting(self.takers[i])
        self.all = steps

    def _meeting(self, steps: Sequence[int]) -> int:
        """Return the first step through which the ways from all of these lead."""
        at = steps[0]
        for other in steps[1:]:
            a, b = at, other
            while a != b:
                a, b = (self.after[a], b) if a < b else (a, self.after[b])
            at = a
        return at

    def chain(
        self, entry: int, end: int, depth: int, inside: Sequence[int] | None = None
    ) -> list[Layer]:
        """Return the layers from what step ``entry`` makes to what step ``end`` makes."""
        inside = self.all if inside is None else inside
        members = set(inside)
        layers: list[Layer] = []
        while entry != end:
            takers = [i for i in self.takers[entry] if i in members]
            meeting = self._meeting(takers)
            step = self.steps[meeting]
            if takers == [meeting] and isinstance(step.what, Layer):
                layers.append(step.what)
            else:
                between = [i for i in inside if entry < i <= meeting]
                layers.append(self._block(entry, meeting, between, depth))
            entry = meeting
        return layers

    def _block(self, entry: int, end: int, between: list[int], depth: int) -> Layer:
        """Return one layer for several ways from ``entry`` that meet again in ``end``."""
        step = self.steps[end]
        parts = self._branches(entry, end, between)
        # A sum in which lengths of 1 are repeated is the graph's alone.
        repeats = len({self.steps[i].sizes for i in step.inputs}) > 1 and step.what == "add"
        known = step.what in ("add", "concatenate") and not repeats
        if parts is None or not known or depth >= DEEPEST:
            return self._graph(entry, end, between)
        branches = [
            self.chain(entry, last, depth + 1, part) if part else []
            for last, part in zip(step.inputs, parts, strict=True)
        ]
        if step.what == "add" and len(branches) == 2 and any(branches):
            first, second = sorted(branches, key=len)
            shortcut = None if not first else first[0] if len(first) == 1 else Sequential(first)
            return Residual(second, shortcut)
        joined = [b[0] if len(b) == 1 else b or Rescale() for b in branches]
        if step.what == "add":
            return Add(joined)
        return Concatenate(joined, axis=self._axis(end))

    def _axis(self, i: int) -> int:
        """Return the axis of a step that lays side by side; the last one as -1."""
        axis = self.steps[i].axis
        return -1 if axis is None or axis == len(self.steps[i].sizes) - 1 else axis

    def _branches(self, entry: int, end: int, between: list[int]) -> list[list[int]] | None:
        """Return the steps of each input of ``end``, if no two have any in common."""
        members = set(between) - {end}
        parts: list[list[int]] = []
        for last in self.steps[end].inputs:
            part: set[int] = set()
            todo = [] if last == entry else [last]
            while todo:
                i = todo.pop()
                if i in part or i == entry:
                    continue
                if i not in members:
                    return None
                part.add(i)
                todo.extend(self.steps[i].inputs)
            members -= part
            parts.append(sorted(part))
        return parts if not members and len(parts) == len(self.steps[end].inputs) else None

    def _graph(self, entry: int, end: int, between: list[int]) -> Layer:
        numbers = {entry: 0, **{i: k for k, i in enumerate(between, start=1)}}
        nodes = []
        for i in between:
            step = self.steps[i]
            node: list[object] = [step.what, [numbers[j] for j in step.inputs]]
            if step.what == "concatenate":
                node.append(self._axis(i))
            nodes.append(node)
        return Graph(nodes)
