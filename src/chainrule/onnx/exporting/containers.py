"""Layers made of layers."""

from collections.abc import Sequence

from chainrule import layers
from chainrule.layer import Layer
from chainrule.layers import Add, Concatenate, Residual, Sequential, TransformerBlock
from chainrule.onnx.exporting.attention import attention, hidden_steps, real_steps
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Dim, Value

__all__ = ["add", "any_graph", "concatenate", "residual", "sequential", "transformer_block"]


@converter(Sequential, any_order=True)
def sequential(graph: Graph, layer: Sequential, x: Value) -> Value:
    """Return the output of the last layer."""
    for name, part in layer.children().items():
        x = graph.convert(part, x, name)
    return x


@converter(Residual, any_order=True)
def residual(graph: Graph, layer: Residual, x: Value) -> Value:
    """Return the sum of the two paths."""
    past = graph.floats(x)
    if layer.shortcut is not None:
        past = graph.convert(layer.shortcut, x, "shortcut")
    through = graph.convert(layer.inner, x, "inner")
    return graph.node("Add", *graph.alike([through, past]))


@converter(Add, any_order=True)
def add(graph: Graph, layer: Add, x: Value) -> Value:
    """Return the sum of the branches."""
    values = [graph.convert(branch, x, name) for name, branch in layer.children().items()]
    return graph.node("Sum", *graph.alike(values))


@converter(Concatenate, any_order=True)
def concatenate(graph: Graph, layer: Concatenate, x: Value) -> Value:
    """Return the outputs of the branches side by side."""
    values = [graph.convert(branch, x, name) for name, branch in layer.children().items()]
    return _side_by_side(graph, values, layer.axis)


@converter(layers.Graph, any_order=True)
def any_graph(graph: Graph, layer: layers.Graph, x: Value) -> Value:
    """Return the output of the last node."""
    values = [x]
    for i, (what, inputs, *axis) in enumerate(layer.nodes, start=1):
        if isinstance(what, Layer):
            values.append(graph.convert(what, values[inputs[0]], str(i)))
            continue
        taken = [graph.floats(values[j]) for j in inputs]
        if what == "concatenate":
            values.append(_side_by_side(graph, taken, *axis))
        elif what == "matmul":
            a, b = map(graph.natural, taken)
            shape = (*_met(graph, a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
            values.append(graph.node("MatMul", a, b, shape=shape))
        else:
            y, *others = graph.alike(taken)
            for other in others:
                shape = _met(graph, y.shape, other.shape)
                op = "Add" if what == "add" else "Mul"
                if shape == y.shape:
                    y = graph.node(op, y, other)
                else:
                    y = graph.node(op, y, other, shape=shape, order=y.order)
            values.append(y)
    return values[-1]


def _met(graph: Graph, a: Sequence[Dim], b: Sequence[Dim]) -> tuple[Dim, ...]:
    """Return the shape of two values that meet place by place: lengths of 1 are repeated."""
    return tuple(
        n if m in (1, n) else m if n == 1 else graph.new_dim("length")
        for n, m in zip(a, b, strict=True)
    )


def _side_by_side(graph: Graph, values: Sequence[Value], axis: int = -1) -> Value:
    first, *_ = values = graph.alike([graph.natural(v) if v.folded else v for v in values])
    axis %= len(first.shape)
    known = [v.shape[axis] for v in values if isinstance(v.shape[axis], int)]
    length: Dim = sum(map(int, known)) if len(known) == len(values) else graph.new_dim("length")
    shape = (*first.shape[:axis], length, *first.shape[axis + 1 :])
    return graph.node("Concat", *values, shape=shape, order=first.order, axis=first.place(axis))


@converter(TransformerBlock)
def transformer_block(graph: Graph, layer: TransformerBlock, x: Value) -> Value:
    """Return the input with what attention and the small net add to it."""
    x = graph.floats(x)
    real = None if layer.padding is None else real_steps(graph, x, layer.padding)
    taken = graph.convert(layer.norm_1, x, "norm_1")
    with graph.inside("attention"):
        taken = attention(graph, layer.attention, taken, real)
    u = graph.node("Add", x, taken)
    made = graph.convert(layer.net, graph.convert(layer.norm_2, u, "norm_2"), "net")
    y = graph.node("Add", u, made)
    return y if real is None else hidden_steps(graph, y, real, layer.padding)
