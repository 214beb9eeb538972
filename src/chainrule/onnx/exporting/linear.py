"""Linear layers, embeddings and learned positions."""

import numpy as np

from chainrule.layers import Embedding, LearnedPositions, Linear
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Value

__all__ = ["embedding", "linear", "positions", "product"]


@converter(Linear, any_order=True)
def linear(graph: Graph, layer: Linear, x: Value) -> Value:
    """Return ``x W + b``: one Gemm for rows, a MatMul where there are more axes."""
    if not isinstance(x.shape[-1], int):
        raise ValueError(
            f"{graph.path}: {layer!r} has a weight for each value, and how many there are depends "
            "on a length that is left open: give a number in input_shape."
        )
    weights = layer.weights
    before = x.folded
    if before is None:
        x = graph.natural(x)
    else:  # the rows of the weights go into the order of the features: as other libraries do it
        features = np.arange(layer.n_in).reshape([int(n) for n in before.shape[1:]])
        weights = weights[features.transpose([axis - 1 for axis in before.order[1:]]).ravel()]
    x = graph.floats(x)
    w = graph.parameter("weights", weights)
    biases = graph.parameter("biases", layer.biases) if layer.bias else None
    shape = (*x.shape[:-1], layer.n_out)
    if len(shape) == 2:
        return graph.node("Gemm", x, w, biases, shape=shape)
    return product(graph, x, w, biases)


def product(graph: Graph, x: Value, weights: Value, biases: Value | None) -> Value:
    """Return ``x W + b`` for any number of axes."""
    y = graph.node("MatMul", x, weights, shape=(*x.shape[:-1], weights.shape[-1]))
    return y if biases is None else graph.node("Add", y, biases)


@converter(Embedding)
def embedding(graph: Graph, layer: Embedding, x: Value) -> Value:
    """Return the row of each index; zeros for padding."""
    weights = layer.weights
    if layer.padding is not None:
        weights = weights.copy()
        weights[layer.padding] = 0
    indices = graph.cast(x, np.int64)
    shape = (*x.shape, layer.width)
    return graph.node("Gather", graph.parameter("weights", weights), indices, shape=shape)


@converter(LearnedPositions)
def positions(graph: Graph, layer: LearnedPositions, x: Value) -> Value:
    """Return each step with its vector added."""
    x = graph.floats(x)
    if isinstance(steps := x.shape[1], int):
        return graph.node("Add", x, graph.parameter("table", layer.table[:steps]))
    end = graph.node("Unsqueeze", graph.length(x, 1), np.array([0]), shape=(1,), dtype=np.int64)
    table = graph.parameter("table", layer.table)
    rows = graph.node("Slice", table, np.array([0]), end, np.array([0]), shape=x.shape[1:])
    return graph.node("Add", x, rows)
