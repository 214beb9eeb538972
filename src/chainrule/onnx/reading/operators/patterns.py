"""What older exporters wrote as several operators where there is one today.

The parts are turned into steps like any other; where the last of them is reached and all of it is
there, one layer takes their place, and the parts are no longer needed.
"""

from __future__ import annotations

import numpy as np

from chainrule.layers import LayerNorm, RMSNorm
from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.operators.arithmetic import by_constant
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import UnsupportedError, Value, flat

__all__ = ["normalized"]

LARGE = 15  # from here on softplus(x) is x, to the last digit of a float32


@operator("Sqrt", "Reciprocal")
def root(reader: Reader, node: Node) -> Result:
    """Leave it open: a normalisation may take it up."""
    x = reader.value(node)
    problem = (node, "there is no layer for it but as a part of a normalisation")
    return x.on(reader.net.open(node.op, [x.step], x.sizes, problem))


@operator("Greater", "GreaterOrEqual", "Less")
def compared(reader: Reader, node: Node) -> Result:
    """Leave it open: a choice that is none may take it up."""
    x = reader.value(node, 0, ("float", "whole"))
    problem = (node, "there is no layer for it")
    step = reader.net.open(node.op, [x.step], x.sizes, problem)
    return Value(step, x.sizes, x.axes, "bool")


@operator("Where")
def where(reader: Reader, node: Node) -> Result:
    """Return what a choice comes to, where it is none.

    "x where it is large, else softplus(x)" is softplus: there the two are equal. And "x + n where x
    is below 0, else x" is x: indices are counted from the end so, and our embedding has none such.
    """
    if isinstance(reader.given(node, 0), np.ndarray):
        return _masked(reader, node)
    condition = reader.maker(node, 0)
    bound = None if condition is None else reader.given(condition, 1)
    if condition is None or not isinstance(bound, np.ndarray) or bound.size != 1:
        raise UnsupportedError("there is no layer that chooses")
    number, compared_name = float(bound.ravel()[0]), condition.inputs[0]
    _, one, other = node.inputs
    soft, longer = reader.maker(node, 2), reader.maker(node, 1)
    large = condition.op != "Less" and number >= LARGE and one == compared_name
    if large and _is(soft, "Softplus") and soft is not None and soft.inputs[0] == one:
        return reader.value(node, 2)
    below_zero = condition.op == "Less" and number == 0 and other == compared_name
    if below_zero and _is(longer, "Add") and longer is not None and other in longer.inputs:
        return reader.value(node, 2, ("whole",))
    raise UnsupportedError("there is no layer that chooses")


def _masked(reader: Reader, node: Node) -> Value:
    """Return a value with a number in the places that a constant mask says."""
    mask = reader.constant(node, 0, "mask")
    at = 1 if isinstance(reader.given(node, 1), Value) else 2
    number = reader.constant(node, 3 - at, "number")
    if mask is None or number is None or number.size != 1:
        raise UnsupportedError("there is no layer that chooses")
    if not np.isfinite(number).all() and not reader.into_softmax(node):
        raise UnsupportedError("there is no layer that chooses")
    kept = mask.astype(bool) if at == 1 else ~mask.astype(bool)
    # Minus infinity times 0 is no number; what is so far below vanishes in a softmax all the same.
    instead = max(float(number.ravel()[0]), float(np.finfo(np.float32).min / 4))
    return by_constant(
        reader, node, None, reader.value(node, at), scale=kept.astype(np.float64),
        shift=np.where(kept, 0.0, instead), learned=False,
    )  # fmt: skip


def normalized(reader: Reader, node: Node) -> Value | None:
    """Return layer or RMS normalisation, if a Div or Mul is the last operator of one.

    That is d / sqrt(mean(d²) + epsilon), with d the deviation from the mean, or the input itself.
    """
    if node.op == "Div":
        deviation, root_node = node.inputs[0], reader.maker(node, 1)
    else:
        found = [i for i in (0, 1) if _is(reader.maker(node, i), "Reciprocal")]
        if len(found) != 1:
            return None
        inverse = reader.maker(node, found[0])
        deviation = node.inputs[1 - found[0]]
        root_node = None if inverse is None else reader.maker(inverse, 0)
    total = reader.maker(root_node, 0) if _is(root_node, "Sqrt") else None
    if total is None or total.op != "Add":
        return None
    at = 0 if isinstance(reader.given(total, 0), Value) else 1
    epsilon, mean_square = reader.given(total, 1 - at), reader.maker(total, at)
    square = reader.maker(mean_square, 0) if _is(mean_square, "ReduceMean") else None
    if not isinstance(epsilon, np.ndarray) or epsilon.size != 1 or square is None:
        return None
    if mean_square is None or not _squares(reader, square, deviation):
        return None
    axes = _axes(reader, mean_square)
    source = _source(reader, deviation, axes)
    x = reader.values.get(deviation if source is None else source)
    if not isinstance(x, Value) or x.kind != "float" or axes is None:
        return None
    gone = sorted({x.axis(a) for a in axes})
    if gone != list(range(gone[0], x.rank)):
        return None
    group = flat([x.inner(a) for a in gone])
    before, _ = reader.net.last(x, group)  # nothing is learned yet, so the order does not matter
    n, number = before.sizes[-1], float(epsilon.ravel()[0])
    if not isinstance(n, int):
        return None
    cls = RMSNorm if source is None else LayerNorm
    layer = cls(n, epsilon=float(str(np.float32(number))), affine=False)
    step = reader.net.layer(reader.filled(layer), before.step, before.sizes)
    return reader.net.split(before, step, group, x)


def _is(node: Node | None, op: str) -> bool:
    return node is not None and node.op == op


def _squares(reader: Reader, square: Node, deviation: str) -> bool:
    """Return whether an operator squares the deviation, or another one that is the same."""
    exponent = reader.given(square, 1)
    squared = (
        square.op == "Pow" and isinstance(exponent, np.ndarray) and (exponent == 2).all()
    ) or (square.op == "Mul" and square.inputs[0] == square.inputs[1])
    if not squared:
        return False
    name = square.inputs[0]
    if name == deviation:
        return True
    one, other = reader.makers.get(name), reader.makers.get(deviation)
    return one is not None and other is not None and (
        (one.op, one.inputs) == (other.op, other.inputs) and one.op == "Sub"
    )  # fmt: skip


def _axes(reader: Reader, mean: Node) -> list[int] | None:
    """Return the axes of a mean that keeps them."""
    if not mean.get("keepdims", 1):
        return None
    return reader.numbers(mean, 1, "axes")


def _source(reader: Reader, deviation: str, axes: list[int] | None) -> str | None:
    """Return the name of what the deviation is from its mean over the axes, if it is that."""
    node = reader.makers.get(deviation)
    mean = None if node is None or node.op != "Sub" else reader.maker(node, 1)
    if node is None or mean is None or mean.op != "ReduceMean":
        return None
    same = mean.inputs[0] == node.inputs[0] and _axes(reader, mean) == axes
    return node.inputs[0] if same else None
