"""Layers that change the shape alone, and those that do nothing outside training."""

import numpy as np

from chainrule.layers import (
    Dropout,
    Flatten,
    Pad,
    Reshape,
    Slice,
    SpatialDropout,
    Transpose,
)
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Dim, Value

__all__ = ["flatten", "identity", "pad", "part", "reshape", "transpose"]

FAR = 2**63 - 1  # beyond the end of any axis


@converter(Dropout, any_order=True)
@converter(SpatialDropout, any_order=True)
def identity(graph: Graph, layer: Dropout, x: Value) -> Value:
    """Return the input: nothing is dropped outside training."""
    return x


@converter(Flatten, any_order=True)
def flatten(graph: Graph, layer: Flatten, x: Value) -> Value:
    """Return the samples as rows."""
    return graph.flatten(x)


@converter(Reshape)
def reshape(graph: Graph, layer: Reshape, x: Value) -> Value:
    """Return each sample in the layer's shape."""
    size = 1
    for dim in x.shape[1:]:
        size = size * dim if isinstance(dim, int) else 0  # 0: not known
    known = 1
    for n in layer.shape:
        known *= max(n, 1)
    rest: Dim = size // known or graph.new_dim("rest")
    return graph.reshape(x, (x.shape[0], *(rest if n < 0 else n for n in layer.shape)))


@converter(Transpose, any_order=True)
def transpose(graph: Graph, layer: Transpose, x: Value) -> Value:
    """Return the value with its axes named anew: a node comes only where a layer needs one."""
    if x.folded is not None:
        x = graph.natural(x)
    ours = [0, *layer.axes]
    shape = tuple(x.shape[axis] for axis in ours)
    return Value(x.name, shape, tuple(ours.index(axis) for axis in x.order), x.dtype)


@converter(Slice, any_order=True)
def part(graph: Graph, layer: Slice, x: Value) -> Value:
    """Return the part of the axis."""
    if x.folded is not None:
        x = graph.natural(x)
    axis = layer.axis % len(x.shape)
    step = 1 if layer.step is None else layer.step
    far = FAR if step > 0 else -FAR
    start = layer.start if layer.start is not None else 0 if step > 0 else FAR
    stop = far if layer.stop is None else layer.stop
    numbers = (np.array([min(max(n, -FAR), FAR)]) for n in (start, stop))
    n = x.shape[axis]
    left: Dim = graph.new_dim("length")
    if isinstance(n, int):
        left = len(range(n)[layer.start : layer.stop : layer.step])
    shape = (*x.shape[:axis], left, *x.shape[axis + 1 :])
    return graph.node(
        "Slice", x, *numbers, np.array([x.place(axis)]), np.array([step]),
        shape=shape, order=x.order, dtype=x.dtype,
    )  # fmt: skip


@converter(Pad, any_order=True)
def pad(graph: Graph, layer: Pad, x: Value) -> Value:
    """Return the value with its border."""
    x = graph.floats(graph.natural(x) if x.folded is not None else x)
    without = len(x.shape) - 1 - len(layer.widths)
    ours = [[0, 0], *layer.widths, *[[0, 0]] * without]
    shape = tuple(
        n + sum(pair) if isinstance(n, int) else graph.new_dim("length") if any(pair) else n
        for n, pair in zip(x.shape, ours, strict=True)
    )
    pads = [ours[axis][end] for end in (0, 1) for axis in x.order]
    return graph.node("Pad", x, np.array(pads), layer.value, shape=shape, order=x.order)
