"""Which value of a graph is the net's output, and which loss it is trained on."""

from __future__ import annotations

from typing import Any

import chainrule.losses
from chainrule.layer import Layer
from chainrule.layers import LogSoftmax, Sequential, Sigmoid, Softmax
from chainrule.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)
from chainrule.onnx.reading.files import File, Node
from chainrule.storage import one_line

__all__ = ["OURS", "chosen_output", "fitting_loss", "own_loss", "without_link"]

OURS = "chainrule"  # the producer of what chainrule.onnx.export wrote


def chosen_output(file: File, wanted: str | None) -> tuple[str, list[Any] | None]:
    """Return the name of the output, and the names of the classes if the file has them.

    A classifier of scikit-learn has two: labels, and probabilities in a dictionary. The net's is
    the array of probabilities that both come from.
    """
    makers = {name: node for node in file.nodes for name in node.outputs if name}
    names = [each.name for each in file.outputs]
    if wanted is not None:
        if wanted not in makers:
            raise ValueError(
                f"{file.path}: there is no value {one_line(wanted, 80)!r}; the outputs are "
                f"{one_line(', '.join(names))}."
            )
        return _unwrapped(wanted, makers)
    kinds = {each.name: each.kind for each in file.outputs}
    floats = [n for n in names if kinds[n] == "float" or _is(makers.get(n), "ZipMap")]
    if len(floats) != 1:
        raise ValueError(
            f"{file.path}: choose one of its outputs, by output=NAME: {one_line(', '.join(names))}."
        )
    return _unwrapped(floats[0], makers)


def _unwrapped(name: str, makers: dict[str, Node]) -> tuple[str, list[Any] | None]:
    node = makers.get(name)
    if node is not None and _is(node, "ZipMap"):
        labels = node.get("classlabels_int64s") or node.get("classlabels_strings")
        return node.inputs[0], None if labels is None else list(labels)
    return name, None


def _is(node: Node | None, op: str) -> bool:
    return node is not None and node.op == op and node.domain == "ai.onnx.ml"


def fitting_loss(layers: list[Layer], shape: tuple[object, ...], producer: str) -> Loss:
    """Return the loss that fits what the net ends in."""
    last = _last(layers)
    if isinstance(last, Softmax):
        return CrossEntropy()
    if isinstance(last, LogSoftmax):
        return SoftmaxCrossEntropy()  # the softmax of logarithms of probabilities is themselves
    several = len(shape) == 2 and isinstance(shape[1], int) and shape[1] > 1
    # scikit-learn's classifiers end in probabilities, so this is a regression.
    if several and not isinstance(last, Sigmoid) and producer != "skl2onnx":
        return SoftmaxCrossEntropy()
    return MeanSquaredError()


def own_loss(file: File, layers: list[Layer]) -> Loss | None:
    """Return the loss that a model of ours had when it was exported, if it fits the end still.

    It is told as code; nothing is executed, names and numbers are taken out of it.
    """
    import ast

    if file.producer != OURS or not file.metadata.get("cost"):
        return None
    try:
        call = ast.parse(file.metadata["cost"][:1000], mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            return None
        if call.func.id not in chainrule.losses.__all__:
            return None
        options = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
        loss = getattr(chainrule.losses, call.func.id)(**options)
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        return None
    # Exported to answer with probabilities, it ends in what was part of the loss.
    of_logits = isinstance(loss, (SoftmaxCrossEntropy, BinaryCrossEntropy))
    linked = of_logits and isinstance(_last(layers), (Softmax, Sigmoid))
    return None if linked or not isinstance(loss, Loss) else loss


def without_link(layers: list[Layer]) -> tuple[list[Layer], Loss | None]:
    """Return the layers without a softmax or sigmoid at their end, and the loss for logits."""
    last = _last(layers)
    if isinstance(last, (Softmax, LogSoftmax)) and len(layers) > 1:
        return layers[:-1], SoftmaxCrossEntropy()
    if isinstance(last, Sigmoid) and len(layers) > 1:
        return layers[:-1], BinaryCrossEntropy()
    return layers, None


def _last(layers: list[Layer]) -> Layer:
    last = layers[-1]
    return _last(list(last.layers)) if isinstance(last, Sequential) else last
