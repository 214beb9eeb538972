"""Pooling: windows of one size, and down to a size that is asked for."""

from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.layers import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AvgPool2d,
    GlobalAvgPool,
    MaxPool2d,
)
from chainrule.onnx.exporting.convolutions import channels_first, paddings
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Dim, Value

__all__ = ["adaptive_average", "global_average", "windows"]


@converter(MaxPool2d, any_order=True)
@converter(AvgPool2d, any_order=True)
def windows(graph: Graph, layer: MaxPool2d | AvgPool2d, x: Value) -> Value:
    """Return the greatest value, or the mean, of each window; the 1d layers come here too."""
    axes = layer.axes
    kernel, strides, padding = (
        each[-axes:] for each in (layer._kernel, layer._stride, layer._padding)
    )
    steps: list[Dim] = [
        (n + 2 * p - k) // s + 1 if isinstance(n, int) else graph.new_dim("places")
        for n, k, s, p in zip(x.shape[1:-1], kernel, strides, padding, strict=True)
    ]
    op, options = "MaxPool", dict[str, Any]()
    if isinstance(layer, AvgPool2d):
        op, options = "AveragePool", {"count_include_pad": int(layer.count_padding)}
    return graph.node(
        op, graph.floats(graph.channels_first(x)),
        shape=(x.shape[0], *steps, x.shape[-1]), order=channels_first(axes),
        kernel_shape=kernel, strides=strides,
        pads=paddings([(p, p) for p in padding], axes), **options,
    )  # fmt: skip


@converter(GlobalAvgPool, any_order=True)
def global_average(graph: Graph, layer: GlobalAvgPool, x: Value) -> Value:
    """Return the mean over all places, wherever they lie."""
    if x.order[0] != 0:
        x = graph.natural(x)
    places = sorted(x.place(axis) for axis in range(1, len(x.shape) - 1))
    shape = (x.shape[0], x.shape[-1])
    return graph.node("ReduceMean", graph.floats(x), np.array(places), shape=shape, keepdims=0)


@converter(AdaptiveAvgPool2d, any_order=True)
def adaptive_average(graph: Graph, layer: AdaptiveAvgPool2d, x: Value) -> Value:
    """Return the means of as many windows as asked for; AdaptiveAvgPool1d comes here too.

    Windows of one size are an AveragePool. Others are a product with a matrix for each axis, which
    has 1 / length of the window where a window sees a place.
    """
    axes, outputs = layer.axes, layer._output[-layer.axes :]
    x = graph.floats(graph.channels_first(x))
    shape, order = (x.shape[0], *outputs, x.shape[-1]), channels_first(axes)
    lengths = [n for n in x.shape[1:-1] if isinstance(n, int)]
    if len(lengths) < axes:
        raise ValueError(
            f"{graph.path}: the windows of {layer!r} depend on the size of its input, which must "
            "be known: give numbers in input_shape, or use GlobalAvgPool."
        )
    if all(n % m == 0 for n, m in zip(lengths, outputs, strict=True)):
        kernel = [n // m for n, m in zip(lengths, outputs, strict=True)]
        return graph.node(
            "AveragePool", x, shape=shape, order=order, kernel_shape=kernel, strides=kernel
        )
    along = _windows(lengths[-1], outputs[-1]).T
    y = graph.node("MatMul", x, along, shape=(*shape[:1], *lengths[:-1], *shape[-2:]), order=order)
    if axes == 2:
        y = graph.node("MatMul", _windows(lengths[0], outputs[0]), y, shape=shape, order=order)
    return y


def _windows(length: int, count: int) -> Array:
    """Return the matrix of the means, shape (count, length): the layer tells by its own forward."""
    matrix: Array = AdaptiveAvgPool1d(count).forward(np.eye(length)[None])[0]
    return matrix
