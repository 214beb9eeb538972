"""Sums and products: of values of the net with each other, and with constants."""

from __future__ import annotations

import math

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers import (
    GELU,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    GroupNorm,
    LayerNorm,
    LearnedPositions,
    Linear,
    Rescale,
    RMSNorm,
    Scale,
    Sigmoid,
    SiLU,
)
from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import Filled, UnsupportedError, Value, flat

__all__ = ["aligned", "by_constant", "for_each", "joined", "multiplied", "repeated", "rescaled"]

# More fixed numbers than these become parameters: they would fill the model's description.
MOST_FIXED = 4096
# Numbers from here down, added before a softmax, hide a place.
HIDDEN = -1e4
MOST_REPEATED = 256


def rescaled(reader: Reader, x: Value, scale: float, shift: float = 0.0) -> Value:
    """Return the value times a number, plus a number; of several in a row one is made."""
    net = reader.net
    before = net.steps[x.step]
    scale, shift = float(scale), float(shift)
    if not (math.isfinite(scale) and math.isfinite(shift)):
        raise UnsupportedError("its numbers are not finite")
    if isinstance(before.what, Rescale) and _is_number(before.what):
        shift += scale * before.what.shift
        scale *= before.what.scale
        x = x.on(before.inputs[0])
    return x if (scale, shift) == (1, 0) else net.each(x, Rescale(scale, shift))


def _is_number(layer: Rescale) -> bool:
    return np.ndim(layer.scale) == 0 == np.ndim(layer.shift)


def by_constant(
    reader: Reader,
    node: Node,
    i: int | None,
    x: Value,
    *,
    scale: Array | None = None,
    shift: Array | None = None,
    learned: bool | None = None,
) -> Value:
    """Return the value times a constant, plus a constant, each as it broadcasts in the file.

    What stands before every layer with parameters prepares the inputs, and is fixed; the rest is
    learned. ``i`` is the operator's input that the constant comes from.
    """
    scale, shift = (None if c is None else for_each(reader, x, c) for c in (scale, shift))
    constant = scale if scale is not None else shift
    if constant is None:
        return x
    if constant.ndim > x.rank:
        x = Value(x.step, x.sizes, ((),) * (constant.ndim - x.rank) + x.axes, x.kind)
    long = [x.rank - constant.ndim + a for a, n in enumerate(constant.shape) if n != 1]
    for a in long:
        if x.axes[a] == (0,) or 0 in x.axes[a]:
            raise UnsupportedError("its constant differs from sample to sample")
        if x.shape[a] == 1:
            x = repeated(reader, x, a, constant.shape[a - x.rank])
        if x.shape[a] != constant.shape[a - x.rank]:
            raise UnsupportedError(
                f"a constant of shape {constant.shape} does not fit the shape {x.shape}"
            )
    if not long:
        one = reader.net.steps[x.step].what
        bias = None if shift is None or scale is not None else np.ravel(shift)
        if (
            isinstance(one, (Linear, Conv1d, Conv2d))
            and (one.n_out == 1 and bias is not None and reader.only(node, x.step))
            and _taken_up(reader, x.step, None, bias)
        ):
            return x
        factor = 1.0 if scale is None else float(scale.ravel()[0])
        return rescaled(reader, x, factor, 0.0 if shift is None else float(shift.ravel()[0]))
    if learned is None:
        learned = reader.net.steps[x.step].learns or constant.size > MOST_FIXED
    if learned and i is not None:
        reader.parameter(node, i, "constants")
    if learned and len(long) == 2 and shift is not None and scale is None:
        found = _positions(reader, node, x, constant)
        if found is not None:
            return found
    group = flat([x.axes[a] for a in long])
    before, order = reader.net.last(x, group)

    def row(part: Array | None) -> Array | None:
        if part is None:
            return None
        flat_part = np.broadcast_to(part, constant.shape).ravel().astype(reader.dtype)
        return flat_part if order is None else flat_part[order]

    step = _factor(reader, node, before, row(scale), row(shift), learned)
    return reader.net.split(before, step, group, x)


def repeated(reader: Reader, x: Value, axis: int, times: int) -> Value:
    """Return the value with an axis of the file, of length 1, repeated."""
    if not 1 <= times <= MOST_REPEATED:
        raise UnsupportedError(f"it repeats the shape {x.shape} {times} times")
    (y,) = aligned(reader, [x], axis)
    at = y.axes[axis][0]
    sizes = (*y.sizes[:at], times, *y.sizes[at + 1 :])
    step = reader.net.join("concatenate", [y.step] * times, sizes, at)
    return Value(step, sizes, y.axes, y.kind)


def for_each(reader: Reader, x: Value, constant: Array) -> Array:
    """Return a constant that is the same for each sample as one for a single sample.

    A graph for a fixed number of samples may hold as many equal rows.
    """
    at = next((i for i, axis in enumerate(x.axes) if axis == (0,)), None)
    if at is None or reader.samples is None or constant.ndim < x.rank:
        return constant
    at += constant.ndim - x.rank
    first = constant.take([0], axis=at)
    same = constant.shape[at] == reader.samples and (constant == first).all()
    return first if same else constant


def _factor(
    reader: Reader, node: Node, x: Value, scale: Array | None, shift: Array | None, learned: bool
) -> int:
    """Return the step that multiplies and adds along the last axis, perhaps the one before."""
    n = len(scale if scale is not None else shift)  # type: ignore[arg-type]  # one is there
    if not learned:
        a = np.ones(()) if scale is None else scale.astype(np.float64)
        b = np.zeros(()) if shift is None else shift.astype(np.float64)
        source, before = x.step, reader.net.steps[x.step].what
        if isinstance(before, Rescale):  # of several in a row one is made
            a, b = a * before.scale, b + a * before.shift
            (source,) = reader.net.steps[x.step].inputs
        layer: Layer = Rescale(a.tolist(), b.tolist())
        return reader.net.layer(layer, source, x.sizes)
    if reader.only(node, x.step) and _taken_up(reader, x.step, scale, shift):
        return x.step
    layer = Scale(n, factor=scale is not None, summand=shift is not None)
    reader.filled(layer, scale=scale, shift=shift)
    return reader.net.layer(layer, x.step, x.sizes)


def _taken_up(reader: Reader, step: int, scale: Array | None, shift: Array | None) -> bool:
    """Let the layer before have it, if it has such parameters itself."""
    layer = reader.net.steps[step].what
    if isinstance(layer, (GroupNorm, LayerNorm)):
        if isinstance(layer, RMSNorm) and (shift is not None or layer.affine):
            return False
        if layer.affine and (scale is not None or layer.shift.any()):
            return False
        if not layer.affine:
            layer.affine = True
            reader.filled(layer, scale=np.ones(layer.n))
            if layer.bias:
                reader.filled(layer, shift=np.zeros(layer.n))
        reader.filled(layer, scale=scale, shift=shift)
        return True
    if isinstance(layer, Scale):
        if scale is not None:
            reader.filled(layer, scale=layer.scale * scale if layer.factor else scale)
            layer.factor = True
        before = layer.shift if layer.summand else None
    elif isinstance(layer, (Linear, Conv1d, Conv2d, ConvTranspose2d)):
        if scale is not None:
            layer.weights *= scale  # the outputs are on the last axis of all of them
        before = layer.biases if layer.bias else None
    else:
        return False
    if before is not None and scale is not None:
        before = before * scale
    shift = before if shift is None else shift if before is None else before + shift
    if shift is not None and isinstance(layer, Scale):
        layer.summand = True
        reader.filled(layer, shift=shift)
    elif shift is not None and not isinstance(layer, Scale):
        layer.bias = True
        reader.filled(layer, biases=shift)
    return True


def _positions(reader: Reader, node: Node, x: Value, table: Array) -> Value | None:
    """Return what learned positions make of (samples, steps, features), if that is the shape."""
    *_, steps, width = table.shape
    if x.axes[-2:] != ((1,), (2,)) or x.sizes[1:] != (steps, width) or (0,) not in x.axes:
        return None
    table = table.reshape(steps, width)
    before = reader.net.steps[x.step].what
    if isinstance(before, LearnedPositions) and reader.only(node, x.step):
        before.table += table
        return x
    layer = reader.filled(LearnedPositions(steps, width), table=table)
    return x.on(reader.net.layer(layer, x.step, x.sizes))


# -- operators -----------------------------------------------------------------------------------


@operator("Add", "Sub", "Mul", "Div")
def binary(reader: Reader, node: Node) -> Result:
    """Return the four operations, with a constant or of two values of the net."""
    a, b = reader.given(node, 0), reader.given(node, 1)
    if isinstance(a, Value) and isinstance(b, Value):
        from chainrule.onnx.reading.operators.patterns import normalized

        made = normalized(reader, node) if node.op in ("Div", "Mul") else None
        return made or _of_two(reader, node, reader.value(node, 0), reader.value(node, 1))
    at = 0 if isinstance(a, Value) else 1
    x = reader.value(node, at, ("float", "whole"))
    if x.kind == "whole":  # indices, which one pattern changes and takes back
        problem = (node, "it works on whole numbers, and layers on floats")
        return x.on(reader.net.open(node.op, [x.step], x.sizes, problem))
    constant = b if at == 0 else a
    if isinstance(constant, Filled):
        return _with_filled(reader, node, x, constant)
    c = reader.constant(node, 1 - at, "constants")
    if c is None or c.dtype.kind not in "fiub":
        raise UnsupportedError("its constant is no number")
    c = c.astype(np.float64)
    if node.op == "Add":
        mask = c.size > 1 and c.min() <= HIDDEN
        if mask and reader.into_softmax(node):
            # What is so far below vanishes in the softmax; it is no parameter, and must be finite.
            c = np.maximum(c, np.finfo(np.float32).min / 4)
        return by_constant(reader, node, 1 - at, x, shift=c, learned=False if mask else None)
    if node.op == "Mul":
        return by_constant(reader, node, 1 - at, x, scale=c)
    if node.op == "Sub" and at == 0:
        return by_constant(reader, node, 1, x, shift=-c)
    if node.op == "Sub":
        return by_constant(reader, node, 0, rescaled(reader, x, -1), shift=c)
    if at == 0:
        if not c.all():
            raise UnsupportedError("it divides by zero")
        return by_constant(reader, node, 1, x, scale=1 / c)
    raise UnsupportedError("there is no layer that divides by a value of the net")


def _with_filled(reader: Reader, node: Node, x: Value, constant: Filled) -> Value | Filled:
    """Return the sum or the product with a constant that is the same for each sample."""
    more = len(constant.shape) - x.rank
    if more > 0 and constant.shape[:more] == (1,) * more:
        x = Value(x.step, x.sizes, ((),) * more + x.axes, x.kind)
    if constant.shape != x.shape[x.rank - len(constant.shape) :] or node.op not in ("Add", "Mul"):
        raise UnsupportedError("a constant with as many rows as there are samples")
    if node.op == "Add":
        return by_constant(reader, node, None, x, shift=constant.row) if constant.row.any() else x
    if not constant.row.any():
        return Filled(constant.row, x.shape)
    return by_constant(reader, node, None, x, scale=constant.row)


@operator("Neg")
def negative(reader: Reader, node: Node) -> Result:
    """Return the value times -1."""
    return rescaled(reader, reader.value(node), -1)


@operator("Pow")
def power(reader: Reader, node: Node) -> Result:
    """Return whole powers from 1 to 4, as products."""
    x, exponent = reader.value(node), reader.constant(node, 1, "exponents")
    if exponent is None or exponent.size != 1 or exponent.ndim > x.rank:
        raise UnsupportedError("its exponent must be one number")
    n = float(exponent.ravel()[0])
    if n not in (1, 2, 3, 4):
        raise UnsupportedError(f"the power {n}: there are whole ones from 1 to 4")
    return x if n == 1 else x.on(reader.net.join("multiply", [x.step] * int(n), x.sizes))


@operator("Sum", "Mean")
def sum_or_mean(reader: Reader, node: Node) -> Result:
    """Return the sum, or the mean, of values of the net and constants."""
    count = len(node.inputs)
    values = [i for i in range(count) if isinstance(reader.given(node, i), Value)]
    y = reader.value(node, values[0])
    if len(values) > 1:
        y = joined(reader, "add", [reader.value(node, i) for i in values])
    for i in set(range(count)) - set(values):
        c = reader.constant(node, i, "constants")
        if c is not None:
            y = by_constant(reader, node, i, y, shift=c.astype(np.float64))
    return y if node.op == "Sum" else rescaled(reader, y, 1 / count)


def _of_two(reader: Reader, node: Node, a: Value, b: Value) -> Value:
    if node.op == "Add":
        return joined(reader, "add", [a, b])
    if node.op == "Sub":
        return joined(reader, "add", [a, rescaled(reader, b, -1)])
    if node.op == "Mul":
        return multiplied(reader, a, b)
    raise UnsupportedError("there is no layer that divides by a value of the net")


def multiplied(reader: Reader, a: Value, b: Value) -> Value:
    """Return the product of two values; that of x and its sigmoid is SiLU, and so on."""
    for x, gate in ((a, b), (b, a)):
        step = reader.net.steps[gate.step]
        if isinstance(step.what, Sigmoid) and step.inputs[0] == x.step and x.axes == gate.axes:
            return reader.net.each(x, SiLU())
        found = _gelu(reader, x, gate)
        if found is not None:
            return found
    return joined(reader, "multiply", [a, b])


def _gelu(reader: Reader, x: Value, gate: Value) -> Value | None:
    """Return GELU for ``c x`` times ``s (1 + erf(x / sqrt(2)))``, if these are the two values."""
    steps = reader.net.steps
    outer = steps[gate.step]
    if not isinstance(outer.what, Rescale) or outer.what.scale != outer.what.shift:
        return None
    inner = steps[outer.inputs[0]]
    if inner.what != "Erf" or x.axes != gate.axes:
        return None
    root = steps[inner.inputs[0]]
    if not isinstance(root.what, Rescale) or root.what.shift != 0:
        return None
    if not math.isclose(float(root.what.scale), math.sqrt(0.5), rel_tol=1e-5):
        return None
    source, factor = root.inputs[0], float(outer.what.scale) * 2
    before = steps[x.step].what
    if x.step != source and isinstance(before, Rescale) and before.shift == 0:
        if np.ndim(before.scale) or steps[x.step].inputs[0] != source:
            return None
        factor *= float(before.scale)
    elif x.step != source:
        return None
    return rescaled(reader, reader.net.each(x.on(source), GELU()), factor)


def joined(reader: Reader, what: str, values: list[Value]) -> Value:
    """Return the sum or the product of values; lengths of 1 are repeated."""
    values = aligned(reader, values)
    ranks = zip(*(v.sizes for v in values), strict=True)
    sizes = []
    for lengths in ranks:
        longest = next((n for n in lengths if n != 1), 1)
        if any(n not in (1, longest) for n in lengths):
            raise UnsupportedError(f"the shapes {[v.shape for v in values]} do not fit")
        sizes.append(longest)
    step = reader.net.join(what, [v.step for v in values], sizes)
    return Value(step, tuple(sizes), values[0].axes)


def aligned(reader: Reader, values: list[Value], kept: int | None = None) -> list[Value]:
    """Return values whose arrays have their axes in one order: one for each axis of the file.

    Those of length 1 in all of them have none, but for the one that is ``kept``.
    """
    if kept is None and len({(v.sizes, v.axes) for v in values}) == 1:
        return values
    rank = max(v.rank for v in values)
    values = [Value(v.step, v.sizes, ((),) * (rank - v.rank) + v.axes, v.kind) for v in values]
    places = {next((i for i, axis in enumerate(v.axes) if axis == (0,)), None) for v in values}
    if len(places) > 1 or (places == {None} and any(0 in axis for v in values for axis in v.axes)):
        raise UnsupportedError(
            f"the samples are on different axes of the shapes {[v.shape for v in values]}"
        )
    at = places.pop()
    # The order of the largest one, which should not have to move.
    first = max(values, key=lambda v: sum(n != 1 for n in v.sizes))
    others = [i for i in range(rank) if i != at and (i == kept or any(v.axes[i] for v in values))]
    others.sort(key=lambda i: min(first.axes[i], default=0))
    made = []
    for v in values:
        step = reader.net.arranged(v, [v.axes[i] for i in others])
        new = {i: (k,) for k, i in enumerate(others, start=1)}
        axes = tuple((0,) if i == at else new.get(i, ()) for i in range(rank))
        made.append(Value(step, reader.net.steps[step].sizes, axes, v.kind))
    return made
