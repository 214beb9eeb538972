"""Activations and the softmax. They work in any order of the axes."""

import math

from chainrule.layers import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Value

__all__ = ["gelu", "softmax"]


@converter(ReLU, any_order=True)
def relu(graph: Graph, layer: ReLU, x: Value) -> Value:
    """Return ``max(x, 0)``."""
    return graph.node("Relu", graph.floats(x))


@converter(LeakyReLU, any_order=True)
def leaky_relu(graph: Graph, layer: LeakyReLU, x: Value) -> Value:
    """Return ``x`` where positive, else ``slope * x``."""
    return graph.node("LeakyRelu", graph.floats(x), alpha=layer.slope)


@converter(ELU, any_order=True)
def elu(graph: Graph, layer: ELU, x: Value) -> Value:
    """Return ``x`` where positive, else ``alpha (exp(x) - 1)``."""
    return graph.node("Elu", graph.floats(x), alpha=float(layer.alpha))


@converter(Softplus, any_order=True)
def softplus(graph: Graph, layer: Softplus, x: Value) -> Value:
    """Return ``log(1 + exp(x))``."""
    return graph.node("Softplus", graph.floats(x))


@converter(Sigmoid, any_order=True)
def sigmoid(graph: Graph, layer: Sigmoid, x: Value) -> Value:
    """Return ``1 / (1 + exp(-x))``."""
    return graph.node("Sigmoid", graph.floats(x))


@converter(Tanh, any_order=True)
def tanh(graph: Graph, layer: Tanh, x: Value) -> Value:
    """Return ``tanh(x)``."""
    return graph.node("Tanh", graph.floats(x))


@converter(SiLU, any_order=True)
def silu(graph: Graph, layer: SiLU, x: Value) -> Value:
    """Return ``x sigmoid(x)``."""
    x = graph.floats(x)
    return graph.node("Mul", x, graph.node("Sigmoid", x))


@converter(GELU, any_order=True)
def gelu(graph: Graph, layer: GELU, x: Value) -> Value:
    """Return ``x Phi(x)``, in the nodes that runtimes know to fuse."""
    x = graph.floats(x)
    if layer.approximate == "none":
        inside = graph.node("Erf", graph.node("Div", x, math.sqrt(2)))
    else:
        cube = graph.node("Mul", graph.node("Mul", x, x), x)
        inside = graph.node("Add", x, graph.node("Mul", cube, 0.044715))
        inside = graph.node("Tanh", graph.node("Mul", inside, math.sqrt(2 / math.pi)))
    return graph.node("Mul", graph.node("Mul", x, graph.node("Add", inside, 1.0)), 0.5)


@converter(Softmax, any_order=True)
@converter(LogSoftmax, any_order=True)
def softmax(graph: Graph, layer: Softmax | LogSoftmax, x: Value) -> Value:
    """Return the (logarithms of the) probabilities along our last axis, wherever it lies."""
    if x.folded is not None:
        x = graph.natural(x)
    return graph.node(type(layer).__name__, graph.floats(x), axis=x.place(-1))
