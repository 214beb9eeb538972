"""Parts of axes: slices, places, pieces."""

from __future__ import annotations

import numpy as np

from chainrule.layers import Slice
from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.lengths import Dim, Length
from chainrule.onnx.reading.operators.arithmetic import (
    MOST_REPEATED,
    aligned,
)
from chainrule.onnx.reading.operators.shapes import ANY, reshaped
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import UnsupportedError, Value

__all__ = ["cut", "picked"]

FAR = 1 << 30  # exporters write the largest number for "to the end"


def cut(
    reader: Reader, x: Value, axis: int, start: int | None, stop: int | None, step: int = 1
) -> Value:
    """Return a part of an axis of the file."""
    length = x.shape[axis]
    if isinstance(length, int):
        places = range(length)[start:stop:step]
        if places == range(length):
            return x
        if not places:
            raise UnsupportedError(f"of the length {length} nothing is left")
        count: Dim = len(places)
    elif (start, stop, step) == (None, None, 1) or (start == 0 and stop is None and step == 1):
        return x
    elif step == -1 and start is None and stop is None:
        count = length
    elif stop is None and step == 1 and start is not None and start < 0:
        count = -start
    elif step == 1 and stop is not None and 0 <= (start or 0) < stop:
        count = stop - (start or 0)
    else:
        raise UnsupportedError("a part of a length that is not known before the net runs")
    group = x.inner(axis)
    y = x
    if len(group) != 1:  # as one axis of ours
        others = [[a] for a in range(1, len(x.sizes)) if a not in group]
        at = len(others) + 1
        moved = reader.net.arranged(x, [*others, group])
        new = {0: 0, **{o[0]: i for i, o in enumerate(others, start=1)}}
        axes = tuple(
            (at,) if i == axis else tuple(new[a] for a in each) for i, each in enumerate(x.axes)
        )
        y = Value(moved, reader.net.steps[moved].sizes, axes, x.kind)
        group = (at,)
    sizes = list(y.sizes)
    sizes[group[0]] = count
    layer = Slice(group[0], start, stop, None if step == 1 else step)
    return Value(reader.net.layer(layer, y.step, sizes), tuple(sizes), y.axes, y.kind)


@operator("Slice")
def part(reader: Reader, node: Node) -> Result:
    """Return parts of axes."""
    x = reader.value(node, 0, ANY)
    old = node.version < 10
    starts = reader.numbers(node, 1, "starts" if old else None) or []
    ends = reader.constant(node, 2, "ends") if not old else np.ravel(node.get("ends"))
    axes = reader.numbers(node, 3, "axes" if old else None) or range(len(starts))
    steps = (None if old else reader.numbers(node, 4)) or [1] * len(starts)
    if ends is None or not len(starts) == np.size(ends) == len(axes) == len(steps):
        raise UnsupportedError("its numbers do not fit each other")
    for start, end, axis, step in zip(starts, np.ravel(ends), axes, steps, strict=True):
        at = x.axis(axis)
        x = cut(reader, x, at, *_limits(x.shape[at], start, end, step), step)
    return x


def _limits(length: Dim, start: int, end: Dim, step: int) -> tuple[int | None, int | None]:
    """Return the limits as Python has them: None for one that lies beyond the end."""
    if step == 0:
        raise UnsupportedError("a step of 0")
    stop = None if isinstance(end, Length) else int(end)
    if isinstance(end, Length) and end != length:
        raise UnsupportedError(f"it ends at {end} of the length {length}")
    if isinstance(length, int):
        places = range(length)[start:stop:step]
        if not places:
            raise UnsupportedError(f"of the length {length} nothing is left")
        last = places[-1] + (1 if step > 0 else -1)
        return places[0], None if last in (-1, length) else last
    if step > 0:
        return start, None if stop is None or stop >= FAR else stop
    return (
        None if start >= FAR or start == -1 else start,
        None if stop is None or stop <= -FAR else stop,
    )


def picked(reader: Reader, node: Node) -> Value:
    """Return places of an axis, by constant indices."""
    x = reader.value(node, 0, ANY)
    indices = reader.constant(node, 1, "indices")
    axis = x.axis(node.get("axis", 0))
    if indices is None or not indices.size:
        raise UnsupportedError("it has no indices")
    numbers = reader.numbers(node, 1) or []
    length = x.shape[axis]
    if isinstance(length, int):
        if not all(-length <= n < length for n in numbers):
            raise UnsupportedError(f"the indices {numbers[:5]} do not fit the length {length}")
        if numbers != [-1]:
            numbers = [n % length for n in numbers]
    y = _places(reader, x, axis, numbers)
    if indices.ndim > 1:
        return reshaped(reader, y, [*y.shape[:axis], *indices.shape, *y.shape[axis + 1 :]])
    return y if indices.ndim else _without_axis(reader, y, axis)


def _places(reader: Reader, x: Value, axis: int, numbers: list[int]) -> Value:
    """Return the places of an axis: one part where they are evenly apart, else side by side."""
    gaps = set(np.diff(numbers).tolist()) or {1}
    gap = gaps.pop()
    if gaps or gap == 0:
        if len(numbers) > MOST_REPEATED:
            raise UnsupportedError("it takes many places that are not evenly apart")
        parts = [cut(reader, x, axis, n, n + 1 if n != -1 else None) for n in numbers]
        parts = aligned(reader, parts, axis)
        at = parts[0].axes[axis][0]
        sizes = (*parts[0].sizes[:at], len(numbers), *parts[0].sizes[at + 1 :])
        step = reader.net.join("concatenate", [part.step for part in parts], sizes, at)
        return Value(step, sizes, parts[0].axes, x.kind)
    if min(numbers) < 0 and len(numbers) > 1:
        raise UnsupportedError("places from the end of a length that is not known before")
    beyond = numbers[-1] + (1 if gap > 0 else -1)
    to_end = (gap < 0 and beyond < 0) or numbers[-1] == -1
    return cut(reader, x, axis, numbers[0], None if to_end else beyond, gap)


def _without_axis(reader: Reader, x: Value, axis: int) -> Value:
    """Return the value without an axis of length 1, of ours too if there are others."""
    axes = x.axes[:axis] + x.axes[axis + 1 :]
    gone = x.axes[axis][0] if x.axes[axis] else None
    if gone is None or len(x.sizes) < 3:
        return Value(x.step, x.sizes, axes, x.kind)
    sizes = x.sizes[:gone] + x.sizes[gone + 1 :]
    axes = tuple(tuple(a - (a > gone) for a in each) for each in axes)
    return Value(reader.net.reshaped(x.step, sizes), sizes, axes, x.kind)


@operator("Split")
def split(reader: Reader, node: Node) -> Result:
    """Return an axis in parts."""
    x = reader.value(node, 0, ANY)
    axis = x.axis(node.get("axis", 0))
    x.inner(axis)
    length = x.shape[axis]
    sizes = reader.numbers(node, 1, "split" if node.version < 13 else None)
    if not isinstance(length, int):
        raise UnsupportedError("parts of a length that is not known before the net runs")
    if sizes is None:
        each = -(-length // len(node.outputs))
        sizes = [min(each, length - i * each) for i in range(len(node.outputs))]
    if sum(sizes) != length or min(sizes) < 1:
        raise UnsupportedError(f"the parts {sizes} do not fit the length {length}")
    ends = np.cumsum(sizes).tolist()
    return [cut(reader, x, axis, end - size, end) for size, end in zip(sizes, ends, strict=True)]
