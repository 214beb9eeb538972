"""Pooling over one or two axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.layers import AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.lengths import Length, plus
from chainrule.onnx.reading.operators.arithmetic import by_constant
from chainrule.onnx.reading.operators.convolutions import (
    as_images,
    from_images,
    lists,
    pads_of,
    windows,
)
from chainrule.onnx.reading.operators.joining import padded
from chainrule.onnx.reading.operators.reductions import reduced
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import UnsupportedError, Value

MOST_COUNTS = 1 << 16  # numbers of the means at a border, which become arguments of a layer


@operator("GlobalAveragePool")
def global_average(reader: Reader, node: Node) -> Result:
    """Return the mean of each channel."""
    x = reader.value(node)
    return reduced(reader, x, range(2, x.rank), "ReduceMean", keep=True)


@operator("GlobalMaxPool")
def global_max(reader: Reader, node: Node) -> Result:
    """Return the greatest of each channel."""
    x = reader.value(node)
    return reduced(reader, x, range(2, x.rank), "ReduceMax", keep=True)


@operator("MaxPool", "AveragePool")
def pool(reader: Reader, node: Node) -> Result:
    """Return the greatest or the mean of each window."""
    x = reader.value(node)
    step, sizes = as_images(reader, x)
    count = x.rank - 2
    kernel = lists(node, "kernel_shape", count, 0)
    strides = lists(node, "strides", count)
    if any(n != 1 for n in lists(node, "dilations", count)):
        raise UnsupportedError("windows with gaps (dilations)")
    if min(*kernel, *strides, 1) < 1:
        raise UnsupportedError(f"windows of {kernel} with strides {strides}")
    pads = pads_of(node, sizes[1:-1], kernel, strides)
    if isinstance(pads, str):
        raise UnsupportedError(f"auto_pad={node.get('auto_pad')} of a length not known before")
    ends = [0] * count
    if node.get("ceil_mode", 0):
        ends = _ends(sizes[1:-1], kernel, strides, pads)
    image = from_images(step, sizes)
    if node.op == "MaxPool":
        return _max(reader, image, kernel, strides, pads, ends).as_in(x)
    included = bool(node.get("count_include_pad", 0))
    y = _mean(reader, node, image, kernel, strides, pads, ends, included=included)
    return y.as_in(x)


def _ends(
    lengths: Sequence[object], kernel: Sequence[int], strides: Sequence[int],
    pads: Sequence[tuple[int, int]],
) -> list[int]:  # fmt: skip
    """Return how much each axis lacks for one more window that begins inside (ceil_mode)."""
    ends = []
    for n, k, s, (before, after) in zip(lengths, kernel, strides, pads, strict=True):
        if not isinstance(n, int):
            raise UnsupportedError("ceil_mode of a length that is not known before the net runs")
        windows_there = -(-(n + before + after - k) // s) + 1
        if (windows_there - 1) * s >= n + before:
            windows_there -= 1
        ends.append(max(0, (windows_there - 1) * s + k - (n + before + after)))
    return ends


def _small(pads: Sequence[tuple[int, int]], kernel: Sequence[int]) -> bool:
    """Return whether the layer can pad so itself."""
    return all(a == b and 2 * a <= k for (a, b), k in zip(pads, kernel, strict=True))


def _max(
    reader: Reader, x: Value, kernel: list[int], strides: list[int],
    pads: Sequence[tuple[int, int]], ends: Sequence[int],
) -> Value:  # fmt: skip
    wide = [(a, b + e) for (a, b), e in zip(pads, ends, strict=True)]
    own = [0] * len(kernel)
    if _small(wide, kernel):
        own = [a for a, _ in wide]
    else:
        x = padded(reader, x, [(0, 0), (0, 0), *wide], float("-inf"))
    cls = MaxPool2d if len(kernel) == 2 else MaxPool1d
    layer = cls(_of(kernel), _of(strides), padding=_of(own))
    return _pooled(reader, x, layer, kernel, strides, own)


def _mean(
    reader: Reader, node: Node, x: Value, kernel: list[int], strides: list[int],
    pads: Sequence[tuple[int, int]], ends: Sequence[int], *, included: bool,
) -> Value:  # fmt: skip
    cls = AvgPool2d if len(kernel) == 2 else AvgPool1d
    lengths = x.sizes[1:-1]
    if _small(pads, kernel) and not any(ends):
        own = [a for a, _ in pads]
        layer = cls(_of(kernel), _of(strides), padding=_of(own), count_padding=included)
        return _pooled(reader, x, layer, kernel, strides, own)
    if any(isinstance(n, Length) or n > MOST_COUNTS for n in lengths):
        raise UnsupportedError("uneven borders of a length that is very great, or not known before")
    # Over a border of zeros, and each mean put right: it may be over fewer values.
    wide = [(a, b + e) for (a, b), e in zip(pads, ends, strict=True)]
    factor = np.ones(())
    for n, k, s, (a, b), end in zip(lengths, kernel, strides, pads, ends, strict=True):
        counted = np.ones(int(n) + a + b + end)  # type: ignore[arg-type]  # a number, as was seen
        counted[len(counted) - end :] = 0
        if not included:
            counted[:a] = 0
            counted[a + int(n) :] = 0  # type: ignore[arg-type]  # the same
        seen = np.array([counted[i : i + k].sum() for i in range(0, len(counted) - k + 1, s)])
        if not seen.all():
            raise UnsupportedError("a window that sees nothing")
        factor = factor[..., None] * (k / seen)
    if factor.size > MOST_COUNTS:
        raise UnsupportedError("uneven borders of an image this large")
    y = padded(reader, x, [(0, 0), (0, 0), *wide])
    y = _pooled(reader, y, cls(_of(kernel), _of(strides)), kernel, strides, [0] * len(kernel))
    return y if (factor == 1).all() else by_constant(
        reader, node, None, y, scale=factor, learned=False
    )  # fmt: skip


def _pooled(
    reader: Reader, x: Value, layer: MaxPool2d | AvgPool2d, kernel: Sequence[int],
    strides: Sequence[int], own: Sequence[int],
) -> Value:  # fmt: skip
    wider = [plus(n, 2 * p) for n, p in zip(x.sizes[1:-1], own, strict=True)]
    sizes = [x.sizes[0], *windows(wider, kernel, strides), x.sizes[-1]]
    return from_images(reader.net.layer(layer, x.step, sizes), sizes)


def _of(numbers: Sequence[int]) -> int | list[int]:
    return int(numbers[0]) if len(set(numbers)) == 1 else [int(n) for n in numbers]
