"""Recurrent layers, in one direction or two.

ONNX has padding at the end of a sequence alone. Ours may be anywhere, so the real steps are moved
to the front, and their outputs back to where they belong.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.layers import GRU, LSTM, RNN, Bidirectional
from chainrule.layers.recurrent import Recurrent
from chainrule.onnx.exporting.attention import hidden_steps, real_steps
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Value

__all__ = ["bidirectional", "recurrent"]

# Where ONNX's gates stand among ours: it has z, r, n and i, o, f, g.
GATES = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 2, 1, 3]}


@converter(RNN)
@converter(GRU)
@converter(LSTM)
def recurrent(graph: Graph, layer: Recurrent, x: Value) -> Value:
    """Return the outputs of all steps, or of the last real one."""
    return _sequence(graph, [layer], x)


@converter(Bidirectional)
def bidirectional(graph: Graph, layer: Bidirectional, x: Value) -> Value:
    """Return the outputs of both directions side by side."""
    return _sequence(graph, [layer.layer, layer.twin], x)


def _sequence(graph: Graph, layers: Sequence[Recurrent], x: Value) -> Value:
    layer = layers[0]
    x = graph.floats(x)
    if layer.padding is None:
        return _run(graph, layers, x, None)
    real = real_steps(graph, x, layer.padding)
    lengths = graph.node(
        "ReduceSum", real, np.array([1]), shape=x.shape[:1], dtype=np.int64, keepdims=0
    )
    y = _run(graph, layers, _taken(graph, x, _front(graph, real)), lengths)
    if not layer.all_steps:
        return y
    before = graph.node("CumSum", real, np.array(1), dtype=np.int64)
    places = graph.node("Max", graph.node("Sub", before, 1, dtype=np.int64), 0, dtype=np.int64)
    return hidden_steps(graph, _taken(graph, graph.natural(y), places), real, layer.padding)


def _run(graph: Graph, layers: Sequence[Recurrent], x: Value, lengths: Value | None) -> Value:
    """Return the outputs of the operator; ``lengths`` are how many steps of each sample count."""
    layer, both = layers[0], len(layers) == 2
    kind = next(cls.__name__ for cls in (RNN, GRU, LSTM) if isinstance(layer, cls))
    n, (samples, steps, _) = layer.n_hidden, x.shape
    options: dict[str, Any] = {"linear_before_reset": 1} if kind == "GRU" else {}
    if isinstance(layer, RNN):
        options["activations"] = [layer.activation.capitalize()] * len(layers)
    counts = None if lengths is None else graph.cast(lengths, np.int32)
    inputs = [graph.laid(x, (1, 0, 2)), *_parameters(graph, kind, layers), counts]
    each = len(layers)
    every, last = (steps, each, samples, n), (each, samples, n)
    (y,) = graph.nodes(
        kind, inputs, [every] if layer.all_steps else [None, last],
        hidden_size=n, direction="bidirectional" if both else "forward", **options,
    )  # fmt: skip
    # The directions side by side; then the steps and samples change places.
    if layer.all_steps:
        shape, order = (samples, steps, each * n), (1, 0, 2)
        if not both:
            return graph.node("Squeeze", y, np.array([1]), shape=shape, order=order)
        y = graph.node("Transpose", y, shape=(steps, samples, 2, n), perm=[0, 2, 1, 3])
        return graph.node("Reshape", y, np.array([0, 0, 2 * n]), shape=shape, order=order)
    if not both:
        return graph.node("Squeeze", y, np.array([0]), shape=(samples, n))
    y = graph.node("Transpose", y, shape=(samples, 2, n), perm=[1, 0, 2])
    return graph.reshape(y, (samples, 2 * n))


def _parameters(graph: Graph, kind: str, layers: Sequence[Recurrent]) -> list[Value]:
    """Return the weights, recurrent weights and biases as the operator wants them."""
    weights, recurrent, biases = [], [], []
    for layer in layers:
        weights.append(_by_gate(kind, layer, layer.weights))
        recurrent.append(_by_gate(kind, layer, layer.recurrent_weights))
        inner = np.zeros_like(layer.biases)
        if isinstance(layer, GRU):
            inner[2 * layer.n_hidden :] = layer.recurrent_biases
        biases.append([_by_gate(kind, layer, b[None])[:, 0] for b in (layer.biases, inner)])
    return [
        graph.parameter("weights", np.stack(weights)),
        graph.parameter("recurrent_weights", np.stack(recurrent)),
        graph.parameter("biases", np.stack([np.concatenate(pair) for pair in biases])),
    ]


def _by_gate(kind: str, layer: Recurrent, matrix: Array) -> Array:
    """Return (rows, gates * n) as (gates * n, rows), the gates in the order of ONNX."""
    gates = layer._by_gate(matrix)[GATES[kind]]  # (gates, rows, n)
    return gates.transpose(0, 2, 1).reshape(-1, len(matrix))


def _front(graph: Graph, real: Value) -> Value:
    """Return for each sample its steps: first the real ones, then the padding, each in order."""
    steps = graph.steps(real)
    count = graph.length(real, 1)
    padded = graph.node("Sub", 1, real, shape=real.shape, dtype=np.int64)
    late = graph.node("Mul", padded, count, dtype=np.int64)
    keys = graph.node("Add", late, steps, dtype=np.int64)
    number = graph.node("Reshape", count, np.array([1]), shape=(1,), dtype=np.int64)
    _, places = graph.nodes(
        "TopK", [keys, number], [real.shape] * 2, np.int64, axis=1, largest=0, sorted=1
    )
    return places


def _taken(graph: Graph, x: Value, places: Value) -> Value:
    """Return for each sample the steps at these places."""
    where = graph.node("Unsqueeze", places, np.array([2]), shape=(*places.shape, 1), dtype=np.int64)
    return graph.node("GatherND", x, where, batch_dims=1)
