"""Layers that change the shape alone, and those that do nothing outside training."""

from chainrule.layers import Dropout, Flatten, Reshape, SpatialDropout, Transpose
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Dim, Value

__all__ = ["flatten", "identity", "reshape", "transpose"]


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
