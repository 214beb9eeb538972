"""Attention, and the steps that are padding."""

import math

import numpy as np

from chainrule.layers import MultiHeadAttention
from chainrule.onnx.exporting.graph import Graph, Input
from chainrule.onnx.exporting.linear import product
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Value

__all__ = ["attention", "hidden_steps", "real_steps"]


@converter(MultiHeadAttention)
def alone(graph: Graph, layer: MultiHeadAttention, x: Value) -> Value:
    """Return what each step takes from the others."""
    x = graph.floats(x)
    real = None if layer.padding is None else real_steps(graph, x, layer.padding)
    return attention(graph, layer, x, real)


def attention(graph: Graph, layer: MultiHeadAttention, x: Value, real: Value | None) -> Value:
    """Return what each step takes from the others; ``real`` says which steps are no padding.

    The heads stand as (samples, heads of keys, queries of each, steps, depth): those that share
    keys meet them by broadcasting.
    """
    depth, shared = layer.width // layer.heads, layer.key_value_heads or layer.heads
    group = layer.heads // shared
    biases = [graph.parameter(n, getattr(layer, n)) if layer.bias else None
              for n in ("biases", "output_biases")]  # fmt: skip
    inner = product(graph, x, graph.parameter("weights", layer.weights), biases[0])
    q, k, v = (
        _heads(graph, part, count, depth)
        for part, count in zip(
            _split(graph, inner, [layer.width, shared * depth, shared * depth]),
            [(shared, group), (shared, 1), (shared, 1)],
            strict=True,
        )
    )
    if layer.positions is not None:
        cosines, sines = _rotations(graph, x, depth)
        q, k = (_turned(graph, part, cosines, sines) for part in (q, k))
    q = graph.node("Mul", q, 1 / math.sqrt(depth))
    turned = graph.node(
        "Transpose", k, shape=(*k.shape[:3], depth, k.shape[3]), perm=[0, 1, 2, 4, 3]
    )
    scores = graph.node("MatMul", q, turned, shape=(*q.shape[:4], k.shape[3]))
    scores = _hide(graph, scores, x, real, causal=layer.causal)
    weights = graph.node("Softmax", scores, axis=4)
    context = graph.node("MatMul", weights, v, shape=q.shape)
    joined = graph.node(
        "Transpose", context, perm=[0, 3, 1, 2, 4],
        shape=(q.shape[0], q.shape[3], shared, group, depth),
    )  # fmt: skip
    joined = graph.reshape(joined, x.shape)
    y = product(graph, joined, graph.parameter("output_weights", layer.output_weights), biases[1])
    return y if real is None else hidden_steps(graph, y, real, layer.padding)


def real_steps(graph: Graph, x: Value, padding: float) -> Value:
    """Return which steps are no padding, shape (samples, steps): 1 or 0, int64."""
    same = graph.node("Equal", x, float(padding), shape=x.shape, dtype=bool)
    same = graph.cast(same, np.int64)
    padded = graph.node(
        "ReduceMin", same, np.array([2]), shape=x.shape[:2], dtype=np.int64, keepdims=0
    )
    return graph.node("Sub", 1, padded, shape=x.shape[:2], dtype=np.int64)


def hidden_steps(graph: Graph, y: Value, real: Value, padding: float | None) -> Value:
    """Return the output with ``padding`` at the steps that are padding."""
    there = _expanded(graph, graph.cast(real, bool), [2])
    return graph.node("Where", there, y, float(padding or 0), shape=y.shape)


def _hide(graph: Graph, scores: Value, x: Value, real: Value | None, *, causal: bool) -> Value:
    """Return the scores, so low that their softmax is 0 where a step may not look."""
    # Finite, so that the softmax of a step that sees nothing is no NaN; its output is not used.
    lowest = float(np.finfo(graph.dtype).min / 4)
    if causal:
        steps = graph.steps(x)
        keys, queries = (_expanded(graph, steps, [axis]) for axis in (0, 1))
        seen = graph.node("LessOrEqual", keys, queries, shape=(x.shape[1],) * 2, dtype=bool)
        scores = graph.node("Where", seen, scores, lowest, shape=scores.shape)
    if real is not None:
        seen = _expanded(graph, graph.cast(real, bool), [1, 2, 3])
        scores = graph.node("Where", seen, scores, lowest, shape=scores.shape)
    return scores


def _split(graph: Graph, x: Value, sizes: list[int]) -> list[Value]:
    """Return the parts of the last axis."""
    shapes = [(*x.shape[:-1], size) for size in sizes]
    return graph.nodes("Split", [x, np.array(sizes)], shapes, axis=len(x.shape) - 1)


def _heads(graph: Graph, x: Value, counts: tuple[int, int], depth: int) -> Value:
    """Return (samples, steps, heads x depth) as (samples, *counts, steps, depth)."""
    samples, steps, _ = x.shape
    parts = graph.reshape(x, (samples, steps, *counts, depth))
    shape = (samples, *counts, steps, depth)
    return graph.node("Transpose", parts, shape=shape, perm=[0, 2, 3, 1, 4])


def _rotations(graph: Graph, x: Value, depth: int) -> list[Input]:
    """Return the cosines and sines of each step's angles, each of shape (steps, depth / 2)."""
    rates = 1 / 10_000 ** (2 * np.arange(depth // 2) / depth)
    if isinstance(x.shape[1], int):
        angles = np.arange(x.shape[1])[:, None] * rates
        return [np.cos(angles), np.sin(angles)]
    # In float64: an angle of float32 is off by more than the angle's own rounding.
    steps = _expanded(graph, graph.cast(graph.steps(x), np.float64), [1])
    table = graph.parameter("rates", rates)
    turns = graph.node("Mul", steps, table, shape=(x.shape[1], depth // 2), dtype=np.float64)
    return [graph.cast(graph.node(f, turns, dtype=np.float64), graph.dtype) for f in ("Cos", "Sin")]


def _turned(graph: Graph, x: Value, cosines: Input, sines: Input) -> Value:
    """Turn each pair (x_i, x_{i + d/2}) of the last axis by the angle of its step."""
    half = int(x.shape[-1]) // 2
    first, second = _split(graph, x, [half, half])
    left = graph.node("Sub", graph.node("Mul", first, cosines), graph.node("Mul", second, sines))
    right = graph.node("Add", graph.node("Mul", second, cosines), graph.node("Mul", first, sines))
    return graph.node("Concat", left, right, shape=x.shape, axis=4)


def _expanded(graph: Graph, x: Value, axes: list[int]) -> Value:
    """Return the value with axes of length 1 put in."""
    rank = len(x.shape) + len(axes)
    rest = iter(x.shape)
    shape = [1 if axis in axes else next(rest) for axis in range(rank)]
    return graph.node("Unsqueeze", x, np.array(axes), shape=shape, dtype=x.dtype)
