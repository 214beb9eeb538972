"""Normalisations."""

import math

import numpy as np

from chainrule.layers import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Value

__all__ = ["batch_norm", "group_norm", "layer_norm", "rms_norm"]


@converter(BatchNorm, any_order=True)
def batch_norm(graph: Graph, layer: BatchNorm, x: Value) -> Value:
    """Return the values normalised by the running statistics.

    The operator wants the channels on axis 1. Where they lie last, as after a linear layer, three
    nodes say the same without two transposes.
    """
    x = graph.floats(graph.natural(x) if x.folded is not None else x)
    ones, zeros = np.ones(layer.n, graph.dtype), np.zeros(layer.n, graph.dtype)
    scale, shift = (layer.scale, layer.shift) if layer.affine else (ones, zeros)
    mean, variance = layer.running_mean, layer.running_variance
    if x.place(-1) == 1:
        return graph.node(
            "BatchNormalization", x, graph.parameter("scale", scale),
            graph.parameter("shift", shift), graph.parameter("running_mean", mean),
            graph.parameter("running_variance", variance), epsilon=layer.epsilon,
        )  # fmt: skip
    if x.place(-1) != len(x.shape) - 1:
        x = graph.natural(x)
    slope = scale / np.sqrt(variance + layer.epsilon)
    y = graph.node("Mul", graph.node("Sub", x, mean), slope)
    return graph.node("Add", y, shift) if layer.affine else y


@converter(LayerNorm)
def layer_norm(graph: Graph, layer: LayerNorm, x: Value) -> Value:
    """Return the vectors of channels normalised."""
    scale = layer.scale if layer.affine else np.ones(layer.n, graph.dtype)
    shift = graph.parameter("shift", layer.shift) if layer.affine and layer.bias else None
    return graph.node(
        "LayerNormalization", graph.floats(x), graph.parameter("scale", scale), shift,
        axis=-1, epsilon=layer.epsilon,
    )  # fmt: skip


@converter(RMSNorm)
def rms_norm(graph: Graph, layer: RMSNorm, x: Value) -> Value:
    """Return the vectors of channels divided by the root of their mean square."""
    x = graph.floats(x)
    wide = np.dtype(np.float64 if graph.dtype == np.float64 else np.float32)  # squares overflow
    rows = graph.cast(x, wide)
    squares = graph.node("Mul", rows, rows, dtype=wide)
    mean = graph.node(
        "ReduceMean", squares, np.array([len(x.shape) - 1]), shape=(*x.shape[:-1], 1), dtype=wide
    )
    epsilon = graph.parameter("epsilon", np.array(layer.epsilon, wide))
    root = graph.node("Sqrt", graph.node("Add", mean, epsilon, dtype=wide), dtype=wide)
    y = graph.cast(graph.node("Div", rows, root, dtype=wide), graph.dtype)
    return graph.node("Mul", y, graph.parameter("scale", layer.scale)) if layer.affine else y


@converter(GroupNorm, any_order=True)
def group_norm(graph: Graph, layer: GroupNorm, x: Value) -> Value:
    """Return the groups of channels normalised: each as one instance of a longer row."""
    x = graph.floats(graph.channels_first(x))
    whole = all(isinstance(dim, int) for dim in x.shape[1:])
    size = math.prod(dim for dim in x.shape[1:] if isinstance(dim, int))
    each = size // layer.groups if whole else graph.new_dim("values")
    dims = np.array([0, layer.groups, each if isinstance(each, int) else -1])
    rows = graph.node("Reshape", x, dims, shape=(x.shape[0], layer.groups, each))
    rows = graph.node(
        "InstanceNormalization", rows, np.ones(layer.groups), np.zeros(layer.groups),
        epsilon=layer.epsilon,
    )  # fmt: skip
    back = (
        np.array([0, *x.dims[1:]])
        if whole
        else graph.node("Shape", x, shape=(len(x.shape),), dtype=np.int64)
    )
    y = graph.node("Reshape", rows, back, shape=x.shape, order=x.order)
    if not layer.affine:
        return y
    lengths = (layer.n, *[1] * (len(x.shape) - 2))
    y = graph.node("Mul", y, graph.parameter("scale", layer.scale.reshape(lengths)))
    return graph.node("Add", y, graph.parameter("shift", layer.shift.reshape(lengths)))
