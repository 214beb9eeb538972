"""What the outputs mean: the probabilities and classes that the loss makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Loss, SoftmaxCrossEntropy
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.value import Value

__all__ = ["METHODS", "answer_of"]

# The methods of Model, and what each asks of its loss.
METHODS = {"predict": None, "predict_proba": "probabilities", "predict_classes": "classes"}


def answer_of(graph: Graph, cost: Loss, y: Value, method: str) -> Value:
    """Return what that method of the model makes of the outputs.

    Raises
    ------
    TypeError
        If the loss has no classes, or its own way to tell them.
    """
    asked = METHODS[method]
    if asked is None:
        return y
    if (cls := type(cost)) not in _known(asked):
        getattr(cost, asked)(np.zeros((1, 1)))  # a loss without classes says so itself
        raise TypeError(
            f"{cls.__name__}: its own {asked} cannot be exported. Use method='predict', and apply "
            "it to the outputs."
        )
    return _known(asked)[cls](graph, graph.natural(y))


def _known(asked: str) -> dict[type, Callable[[Graph, Value], Value]]:
    if asked == "probabilities":
        return {CrossEntropy: _same, SoftmaxCrossEntropy: _softmax, BinaryCrossEntropy: _sigmoid}
    return {CrossEntropy: _greatest, SoftmaxCrossEntropy: _greatest, BinaryCrossEntropy: _yes}


def _same(graph: Graph, y: Value) -> Value:
    return y


def _softmax(graph: Graph, y: Value) -> Value:
    return graph.node("Softmax", y, axis=len(y.shape) - 1)


def _sigmoid(graph: Graph, y: Value) -> Value:
    return graph.node("Sigmoid", y)


def _greatest(graph: Graph, y: Value) -> Value:
    options: dict[str, Any] = {"axis": len(y.shape) - 1, "keepdims": 0}
    return graph.node("ArgMax", y, shape=y.shape[:-1], dtype=np.int64, **options)


def _yes(graph: Graph, y: Value) -> Value:
    yes = graph.cast(graph.node("Greater", y, 0.0, dtype=bool), np.int64)
    if y.shape[1:] != (1,):
        return yes
    return graph.node("Squeeze", yes, np.array([1]), shape=y.shape[:1], dtype=np.int64)
