"""Means, sums and maxima over axes."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.layers import MaxPool1d
from chainrule.layers.adaptive_pooling import GlobalAvgPool
from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.folding import axes_of
from chainrule.onnx.reading.lengths import Length, product
from chainrule.onnx.reading.operators.arithmetic import (
    rescaled,
)
from chainrule.onnx.reading.operators.shapes import axes_input
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import UnsupportedError, Value, flat

__all__ = ["reduced"]


@operator("ReduceMean", "ReduceSum", "ReduceMax")
def reduce(reader: Reader, node: Node) -> Result:
    """Return the mean, the sum or the greatest over axes."""
    x = reader.value(node)
    since = 13 if node.op == "ReduceSum" else 18
    axes = axes_of(node, axes_input(reader, node), since)
    if not axes and node.get("noop_with_empty_axes", 0):
        return x
    gone = sorted({x.axis(a) for a in axes} if axes else range(x.rank))
    return reduced(reader, x, gone, node.op, keep=bool(node.get("keepdims", 1)))


def reduced(reader: Reader, x: Value, gone: Sequence[int], op: str, *, keep: bool) -> Value:
    """Return the mean, the sum or the greatest over some axes of the file."""
    inside = flat([x.inner(a) for a in gone])
    if not inside:  # axes of length 1
        kept = [() if i in gone else axis for i, axis in enumerate(x.axes)]
        return Value(x.step, x.sizes, _without(kept, () if keep else gone), x.kind)
    rest = [a for a in range(1, len(x.sizes)) if a not in inside]
    count = product(x.sizes[a] for a in inside)
    width = product(x.sizes[a] for a in rest)
    if op != "ReduceMean" and isinstance(count, Length):
        raise UnsupportedError(
            f"it is over a length that is not known before the net runs: {count}"
        )
    # What stays lies end to end as the channels, so that one layer does it.
    step = reader.net.arranged(x, [inside, rest])
    if op == "ReduceMax":
        step = reader.net.layer(MaxPool1d(int(count)), step, (x.sizes[0], 1, width))  # type: ignore[arg-type]  # a number, as was seen above
    else:
        step = reader.net.layer(GlobalAvgPool(), step, (x.sizes[0], width))
    sizes = (x.sizes[0], *([x.sizes[a] for a in rest] or [1]))
    step = reader.net.reshaped(step, sizes)
    new = {0: 0, **{a: i for i, a in enumerate(rest, start=1)}}
    axes = [() if i in gone else tuple(new[a] for a in axis) for i, axis in enumerate(x.axes)]
    y = Value(step, sizes, _without(axes, () if keep else gone), x.kind)
    return rescaled(reader, y, float(count)) if op == "ReduceSum" else y  # type: ignore[arg-type]  # the same


def _without(axes: Sequence[tuple[int, ...]], gone: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    return tuple(axis for i, axis in enumerate(axes) if i not in gone)
