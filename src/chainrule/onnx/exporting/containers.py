"""Layers made of layers."""

from chainrule.layers import Add, Concatenate, Residual, Sequential, TransformerBlock
from chainrule.onnx.exporting.attention import attention, hidden_steps, real_steps
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Dim, Value

__all__ = ["add", "concatenate", "residual", "sequential", "transformer_block"]


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
    first, *_ = values = graph.alike([graph.natural(v) if v.folded else v for v in values])
    axis = layer.axis % len(first.shape)
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
