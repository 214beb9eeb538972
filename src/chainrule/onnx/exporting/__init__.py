"""A model as an ONNX graph: a registry from layer class to nodes, one family a file."""

from chainrule.onnx.exporting import (
    activations,
    attention,
    containers,
    convolutions,
    linear,
    normalizations,
    pooling,
    recurrent,
    scaling,
    shapes,
)
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Value
from chainrule.onnx.exporting.writing import export

__all__ = ["Graph", "Value", "converter", "export"]

# Each of these files registers its converters when it is imported.
FAMILIES = (
    activations, attention, containers, convolutions, linear, normalizations, pooling, recurrent,
    scaling, shapes,
)  # fmt: skip
