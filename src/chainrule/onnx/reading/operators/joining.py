"""Values side by side, constants beside values, and borders."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Pad, Rescale, Sigmoid, Softmax
from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.folding import MOST
from chainrule.onnx.reading.lengths import SAMPLES, plus
from chainrule.onnx.reading.operators.arithmetic import (
    aligned,
    by_constant,
    for_each,
)
from chainrule.onnx.reading.operators.parts import cut
from chainrule.onnx.reading.operators.shapes import ANY
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import Constant, Filled, UnsupportedError, Value

__all__ = ["padded"]


@operator("Concat")
def concat(reader: Reader, node: Node) -> Result:
    """Return values side by side."""
    given = [reader.given(node, i) for i in range(len(node.inputs))]
    values = [reader.value(node, i, ANY) for i, v in enumerate(given) if isinstance(v, Value)]
    axis = values[0].axis(node.get("axis"))
    for value in values:
        value.inner(value.axis(axis))
    if len(values) < len(given):
        return _beside_constants(reader, node, given, axis)
    if len(values) == 1:
        return values[0]
    found = _of_sigmoid(reader, values, axis)
    if found is not None:
        return found
    if len({v.rank for v in values}) > 1:
        raise UnsupportedError(f"the shapes {[v.shape for v in values]} do not fit")
    if len({(v.axes, len(v.sizes)) for v in values}) > 1 or len(values[0].axes[axis]) != 1:
        values = aligned(reader, values, axis)
    at = values[0].axes[axis][0]
    sizes = list(values[0].sizes)
    for v in values[1:]:
        if [n for i, n in enumerate(v.sizes) if i != at] != [
            n for i, n in enumerate(sizes) if i != at
        ]:
            raise UnsupportedError(f"the shapes {[v.shape for v in values]} do not fit")
        sizes[at] = plus(sizes[at], v.sizes[at])
    step = reader.net.join("concatenate", [v.step for v in values], sizes, at)
    return Value(step, tuple(sizes), values[0].axes, values[0].kind)


def _beside_constants(
    reader: Reader, node: Node, given: Sequence[Value | Constant | None], axis: int
) -> Value:
    """Return a value with constants before and after it, as the token that stands for a class.

    It is a border of zeros, and learned numbers that are added, and are zeros elsewhere at first.
    """
    at = [i for i, v in enumerate(given) if isinstance(v, Value)]
    if len(at) > 1:
        raise UnsupportedError("constants between several values")
    x = reader.value(node, at[0])
    shape = list(x.shape)
    length = shape[axis]
    parts: list[Array | None] = []
    for each in given:
        row = each.row if isinstance(each, Filled) else each
        if isinstance(each, Value):
            parts.append(None)
            continue
        if not isinstance(row, np.ndarray) or not isinstance(length, int):
            raise UnsupportedError("a constant beside a length that is not known before")
        row = for_each(reader, x, row.reshape((1,) * (x.rank - row.ndim) + row.shape))
        told = each.shape if isinstance(each, Filled) else row.shape
        if any(n != told[i] for i, n in enumerate(shape) if i != axis and n != SAMPLES):
            raise UnsupportedError(f"a constant of shape {told} beside {x.shape}")
        lengths = [1 if not isinstance(n, int) else n for n in told]
        parts.append(np.broadcast_to(row, lengths))
    before = sum(int(p.shape[axis]) for p in parts[: at[0]] if p is not None)
    after = sum(int(p.shape[axis]) for p in parts[at[0] + 1 :] if p is not None)
    widths = [(0, 0)] * x.rank
    widths[axis] = (before, after)
    zeros = [1 if not isinstance(n, int) else n for n in shape]
    if math.prod(zeros) > MOST:
        raise UnsupportedError(f"a constant beside so large a value: {x.shape}")
    row = np.concatenate([np.zeros(zeros) if p is None else p for p in parts], axis=axis)
    return by_constant(reader, node, None, padded(reader, x, widths), shift=row, learned=True)


def _of_sigmoid(reader: Reader, values: Sequence[Value], axis: int) -> Value | None:
    """Return the softmax of [0, z], if the values are 1 - sigmoid(z) and sigmoid(z).

    So scikit-learn writes the probabilities of two classes; as a softmax they can be trained on.
    """
    steps = reader.net.steps
    if len(values) != 2 or axis != values[0].rank - 1 or values[0].axes != values[1].axes:
        return None
    first, second = (steps[v.step] for v in values)
    if not isinstance(second.what, Sigmoid) or first.inputs != (values[1].step,):
        return None
    if not isinstance(first.what, Rescale) or (first.what.scale, first.what.shift) != (-1, 1):
        return None
    z = values[1].on(second.inputs[0])
    if z.axes[axis] != (len(z.sizes) - 1,) or z.sizes[-1] != 1:
        return None
    zero = reader.net.each(z, Rescale(0.0))
    sizes = (*z.sizes[:-1], 2)
    step = reader.net.join("concatenate", [zero.step, z.step], sizes, -1)
    return Value(reader.net.layer(Softmax(), step, sizes), sizes, z.axes)


def padded(
    reader: Reader, x: Value, widths: Sequence[tuple[int, int]], value: float = 0.0
) -> Value:
    """Return the value with a border; a pair for each axis of the file, negative ones cut off."""
    for axis, pair in enumerate(widths):
        off = [max(0, -n) for n in pair]
        if any(off):
            x = cut(reader, x, axis, off[0], -off[1] or None)
    pairs = [(0, 0)] * len(x.sizes)
    for axis, pair in enumerate(widths):
        if not any(n > 0 for n in pair):
            continue
        group = x.inner(axis)
        if len(group) != 1:
            raise UnsupportedError(f"a border round axis {axis} of the shape {x.shape}")
        pairs[group[0]] = (max(0, pair[0]), max(0, pair[1]))
    if not any(map(any, pairs)):
        return x
    while not any(pairs[-1]):
        pairs.pop()
    extra = [sum(pair) for pair in pairs] + [0] * (len(x.sizes) - len(pairs))
    sizes = [plus(n, more) for n, more in zip(x.sizes, extra, strict=True)]
    step = reader.net.layer(Pad(pairs[1:], value), x.step, sizes)
    return Value(step, tuple(sizes), x.axes, x.kind)


@operator("Pad")
def pad(reader: Reader, node: Node) -> Result:
    """Return the value with a border of one number."""
    x = reader.value(node)
    if node.get("mode", "constant") != "constant":
        raise UnsupportedError(f"a border of mode {node.get('mode')!r}: there is that of a number")
    widths = reader.numbers(node, 1, "pads" if node.version < 11 else None) or []
    number = node.get("value", 0.0) if node.version < 11 else reader.constant(node, 2, "number")
    axes = reader.numbers(node, 3) or range(x.rank)
    if len(widths) != 2 * len(axes):
        raise UnsupportedError("its numbers do not fit each other")
    pairs = [(0, 0)] * x.rank
    for axis, before, after in zip(axes, widths, widths[len(axes) :], strict=False):
        pairs[x.axis(axis)] = (before, after)
    return padded(reader, x, pairs, 0.0 if number is None else float(np.ravel(number)[0]))
