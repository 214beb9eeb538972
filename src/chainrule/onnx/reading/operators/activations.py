"""Operators that act on each value alone, and those over one axis: softmax and its logarithm."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from chainrule.layer import Layer
from chainrule.layers import (
    ELU,
    GELU,
    Dropout,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.onnx.reading.files import FLOATS, WHOLE, Node
from chainrule.onnx.reading.operators.arithmetic import by_constant, joined, multiplied, rescaled
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import UnsupportedError, Value, flat

SIMPLE: dict[str, Callable[[Node], Layer]] = {
    "Elu": lambda node: ELU(float(node.get("alpha", 1.0))),
    "LeakyRelu": lambda node: LeakyReLU(float(node.get("alpha", 0.01))),
    "Relu": lambda node: ReLU(),
    "Sigmoid": lambda node: Sigmoid(),
    "Softplus": lambda node: Softplus(),
    "Tanh": lambda node: Tanh(),
}


@operator(*SIMPLE)
def simple(reader: Reader, node: Node) -> Result:
    """Return what a layer of the same kind makes."""
    return reader.net.each(reader.value(node), SIMPLE[node.op](node))


@operator("Gelu")
def gelu(reader: Reader, node: Node) -> Result:
    """Return GELU, exact or by tanh."""
    return reader.net.each(reader.value(node), GELU(node.get("approximate", "none")))


@operator("Erf")
def erf(reader: Reader, node: Node) -> Result:
    """Leave the error function open: what multiplies it makes GELU of it."""
    x = reader.value(node)
    problem = (node, "there is no layer for it but as a part of GELU")
    return x.on(reader.net.open("Erf", [x.step], x.sizes, problem))


@operator("Selu")
def selu(reader: Reader, node: Node) -> Result:
    """Return ELU, times a number."""
    alpha = float(node.get("alpha", 1.6732632423543772))
    y = reader.net.each(reader.value(node), ELU(alpha))
    return rescaled(reader, y, float(node.get("gamma", 1.0507009873554805)))


@operator("Celu")
def celu(reader: Reader, node: Node) -> Result:
    """Return ELU of x / alpha, times alpha."""
    alpha = float(node.get("alpha", 1.0))
    y = reader.net.each(rescaled(reader, reader.value(node), 1 / alpha), ELU())
    return rescaled(reader, y, alpha)


@operator("Swish")
def swish(reader: Reader, node: Node) -> Result:
    """Return SiLU of alpha x, divided by alpha."""
    alpha = float(node.get("alpha", 1.0))
    y = reader.net.each(rescaled(reader, reader.value(node), alpha), SiLU())
    return rescaled(reader, y, 1 / alpha)


@operator("Mish")
def mish(reader: Reader, node: Node) -> Result:
    """Return the input, times the tanh of its softplus."""
    x = reader.value(node)
    return multiplied(reader, x, reader.net.each(reader.net.each(x, Softplus()), Tanh()))


@operator("HardSigmoid")
def hard_sigmoid(reader: Reader, node: Node) -> Result:
    """Return a line, cut off at 0 and 1."""
    alpha, beta = float(node.get("alpha", 0.2)), float(node.get("beta", 0.5))
    return cut_off(reader, rescaled(reader, reader.value(node), alpha, beta), 0.0, 1.0)


@operator("HardSwish")
def hard_swish(reader: Reader, node: Node) -> Result:
    """Return the input, times its hard sigmoid of slope 1/6."""
    x = reader.value(node)
    return multiplied(reader, x, cut_off(reader, rescaled(reader, x, 1 / 6, 0.5), 0.0, 1.0))


@operator("Clip")
def clip(reader: Reader, node: Node) -> Result:
    """Return the input, cut off at two numbers."""
    x = reader.value(node)
    bounds = []
    for i, name in ((1, "min"), (2, "max")):
        given = node.get(name) if node.version < 11 else reader.constant(node, i, "bounds")
        if given is not None and np.size(given) != 1:
            raise UnsupportedError("its bounds must be numbers")
        bounds.append(None if given is None else float(np.ravel(given)[0]))
    return cut_off(reader, x, *bounds)


@operator("Max", "Min")
def max_or_min(reader: Reader, node: Node) -> Result:
    """Return the greater, or the less, of values: max(x, y) = relu(x - y) + y."""
    sign = 1 if node.op == "Max" else -1
    values = [i for i in range(len(node.inputs)) if isinstance(reader.given(node, i), Value)]
    x = rescaled(reader, reader.value(node, values[0]), sign)
    for i in values[1:]:
        y = rescaled(reader, reader.value(node, i), sign)
        above = reader.net.each(joined(reader, "add", [x, rescaled(reader, y, -1)]), ReLU())
        x = joined(reader, "add", [above, y])
    for i in set(range(len(node.inputs))) - set(values):
        bound = reader.constant(node, i, "bounds")
        if bound is None or not np.isfinite(bound).all():
            raise UnsupportedError("a bound that is no finite number")
        c = sign * bound.astype(np.float64)
        x = by_constant(reader, node, None, x, shift=-c, learned=False)
        x = by_constant(reader, node, None, reader.net.each(x, ReLU()), shift=c, learned=False)
    return rescaled(reader, x, sign)


def cut_off(reader: Reader, x: Value, least: float | None, most: float | None) -> Value:
    """Return the value, cut off: max(x, a) = relu(x - a) + a, and min(x, b) = b - relu(b - x)."""
    if least is not None and most is not None and least > most:  # the upper bound counts
        return cut_off(reader, x, most, most)
    if least is not None and math.isfinite(least) and least > np.finfo(np.float32).min:
        x = rescaled(reader, reader.net.each(rescaled(reader, x, 1, -least), ReLU()), 1, least)
    if most is not None and math.isfinite(most) and most < np.finfo(np.float32).max:
        x = rescaled(reader, reader.net.each(rescaled(reader, x, -1, most), ReLU()), -1, most)
    return x


@operator("Abs")
def absolute(reader: Reader, node: Node) -> Result:
    """Return relu(x) + relu(-x)."""
    x = reader.value(node)
    halves = [reader.net.each(each, ReLU()) for each in (x, rescaled(reader, x, -1))]
    return x.on(reader.net.join("add", [half.step for half in halves], x.sizes))


@operator("PRelu")
def prelu(reader: Reader, node: Node) -> Result:
    """Return relu(x), less relu(-x) times a learned number for each channel."""
    x = reader.value(node)
    slope = reader.constant(node, 1, "slopes")
    if slope is None or slope.ndim > x.rank:
        raise UnsupportedError("its slopes must fit the input")
    if slope.size == 1:  # one number for all channels: no layer learns such a one
        return reader.net.each(x, LeakyReLU(float(slope.ravel()[0])))
    below = reader.net.each(rescaled(reader, x, -1), ReLU())
    below = by_constant(reader, node, 1, below, scale=-slope, learned=True)
    return joined(reader, "add", [reader.net.each(x, ReLU()), below])


@operator("Softmax", "LogSoftmax")
def softmax(reader: Reader, node: Node) -> Result:
    """Return softmax along an axis; before version 13 along that axis and all after it, as one."""
    x = reader.value(node)
    new = node.version >= 13
    first = x.axis(node.get("axis", -1 if new else 1))
    axes = [first] if new else range(first, x.rank)
    group = flat([x.inner(a) for a in axes])
    if not group:
        raise UnsupportedError("it is along an axis of length 1")
    layer = Softmax() if node.op == "Softmax" else LogSoftmax()
    before, _ = reader.net.last(x, group)  # the order of the places does not matter
    step = reader.net.layer(layer, before.step, before.sizes)
    return reader.net.split(before, step, group, x)


@operator("Dropout")
def dropout(reader: Reader, node: Node) -> Result:
    """Return dropout, which does nothing but in training."""
    x = reader.value(node)
    training = reader.constant(node, 2, "mode") if node.version >= 12 else None
    ratio = reader.constant(node, 1, "ratio") if node.version >= 12 else node.get("ratio")
    p = 0.5 if ratio is None else float(np.ravel(ratio)[0])
    if training is not None and bool(training.ravel()[0]) and p > 0:
        raise UnsupportedError("it drops values at random in predictions too")
    return reader.net.each(x, Dropout(p)) if p > 0 else x


@operator("Identity")
def identity(reader: Reader, node: Node) -> Result:
    """Return the input itself."""
    return reader.value(node, 0, ("float", "whole", "bool"))


@operator("Cast")
def cast(reader: Reader, node: Node) -> Result:
    """Return the input: as floats, or as whole numbers if it was that before."""
    x = reader.value(node, 0, ("float", "whole", "bool"))
    if node.get("to") in FLOATS:
        return Value(x.step, x.sizes, x.axes, "float")
    if x.kind != "whole" or node.get("to") not in WHOLE:
        raise UnsupportedError("it makes floats of few bits, whole numbers or text of floats")
    return x


@operator("Scaler", domain="ai.onnx.ml")
def scaler(reader: Reader, node: Node) -> Result:
    """Return (x - offset) * scale, as scikit-learn prepares the inputs."""
    x = reader.value(node, 0, ("float", "whole"))
    x = Value(x.step, x.sizes, x.axes, "float")
    offset, scale = (
        np.asarray(node.get(name, d), float) for name, d in (("offset", 0), ("scale", 1))
    )
    return by_constant(reader, node, None, x, scale=scale, shift=-offset * scale)
