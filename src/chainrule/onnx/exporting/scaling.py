"""Factors and summands, fixed or learned."""

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Rescale, Scale
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Value

__all__ = ["rescale", "scale"]


@converter(Rescale, any_order=True)
def rescale(graph: Graph, layer: Rescale, x: Value) -> Value:
    """Return ``a x + b``, without a node for what changes nothing."""
    x = graph.floats(_plain(graph, x))
    a, b = (np.asarray(numbers, graph.dtype) for numbers in (layer.scale, layer.shift))
    if (a != 1).any():
        x = graph.node("Mul", x, _along(x, a))
    return graph.node("Add", x, _along(x, b)) if b.any() else x


@converter(Scale, any_order=True)
def scale(graph: Graph, layer: Scale, x: Value) -> Value:
    """Return the value times the learned factor, plus the learned summand."""
    x = graph.floats(_plain(graph, x))
    if layer.factor:
        x = graph.node("Mul", x, graph.parameter("scale", _along(x, layer.scale)))
    if layer.summand:
        x = graph.node("Add", x, graph.parameter("shift", _along(x, layer.shift)))
    return x


def _plain(graph: Graph, x: Value) -> Value:
    return graph.natural(x) if x.folded is not None else x


def _along(x: Value, numbers: Array) -> Array:
    """Return numbers in the shape in which they meet our last axis, wherever it lies."""
    behind = len(x.shape) - 1 - x.place(-1)
    return numbers.reshape(-1, *[1] * behind) if numbers.ndim else numbers
