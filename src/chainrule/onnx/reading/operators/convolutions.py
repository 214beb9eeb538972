"""Convolutions and transposed ones: weights reordered, channels last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Conv1d, Conv2d, ConvTranspose2d
from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.lengths import Dim, Length, made, plus
from chainrule.onnx.reading.operators.joining import padded
from chainrule.onnx.reading.operators.parts import cut
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import UnsupportedError, Value

__all__ = ["as_images", "from_images", "pads_of", "windows"]


def as_images(reader: Reader, x: Value, axes: Sequence[int] = (1, 2)) -> tuple[int, list[Dim]]:
    """Return (samples, steps or height and width, channels) of channels-first, and its sizes."""
    count = x.rank - 2
    if count not in axes:
        raise UnsupportedError(f"it is over {count} axes (shape {x.shape}): there are 1 and 2")
    x.samples_at(0)
    step = reader.net.arranged(x, [*(x.inner(i) for i in range(2, x.rank)), x.inner(1)])
    return step, list(reader.net.steps[step].sizes)


def from_images(step: int, sizes: Sequence[Dim]) -> Value:
    """Return the value of (samples, ..., channels) that the file knows channels first."""
    end = len(sizes) - 1
    return Value(step, tuple(sizes), ((0,), (end,), *((i,) for i in range(1, end))))


def lists(node: Node, name: str, count: int, default: int = 1) -> list[int]:
    """Return an attribute of one number an axis."""
    numbers = [int(n) for n in node.get(name, [default] * count)]
    if len(numbers) != count:
        raise UnsupportedError(f"its {name} are {numbers}, for {count} axes")
    return numbers


def pads_of(
    node: Node, lengths: Sequence[Dim], reach: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]] | str:
    """Return how much is padded before and after each axis; "same" where that says it all."""
    count = len(lengths)
    auto = node.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        pads = lists(node, "pads", 2 * count, 0)
        return list(zip(pads[:count], pads[count:], strict=True))
    if auto == "VALID":
        return [(0, 0)] * count
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise UnsupportedError(f"auto_pad={auto!r}")
    if any(isinstance(n, Length) for n in lengths):
        if auto == "SAME_UPPER":
            return "same"
        raise UnsupportedError("auto_pad=SAME_LOWER of a length that is not known before")
    pairs = []
    for n, r, s in zip(lengths, reach, strides, strict=True):
        missing = max(0, (-(-int(n) // s) - 1) * s + r - int(n))  # type: ignore[arg-type]  # a number
        less = missing // 2
        pairs.append((less, missing - less) if auto == "SAME_UPPER" else (missing - less, less))
    return pairs


def windows(lengths: Sequence[Dim], reach: Sequence[int], strides: Sequence[int]) -> list[Dim]:
    """Return how many windows there are along each axis that is padded already."""
    counts: list[Dim] = []
    for n, r, s in zip(lengths, reach, strides, strict=True):
        if isinstance(n, Length):
            counts.append(n if (r, s) == (1, 1) else made(f"({n} - {r}) / {s} + 1"))
            continue
        if n < r:
            raise UnsupportedError(f"windows of {list(reach)} over the lengths {list(lengths)}")
        counts.append((n - r) // s + 1)
    return counts


@operator("Conv")
def conv(reader: Reader, node: Node) -> Result:
    """Return a convolution over one or two axes."""
    x = reader.value(node)
    weights = reader.parameter(node, 1, "weights")
    biases = reader.parameter(node, 2, "biases")
    step, sizes = as_images(reader, x)
    count = x.rank - 2
    if weights is None or weights.ndim != count + 2:
        raise UnsupportedError("its weights do not fit its input")
    groups = int(node.get("group", 1))
    strides, dilations = lists(node, "strides", count), lists(node, "dilations", count)
    n_out, kernel = weights.shape[0], list(weights.shape[2:])
    if lists(node, "kernel_shape", count, 0) not in ([0] * count, kernel):
        raise UnsupportedError("its kernel_shape is not that of its weights")
    if sizes[-1] != weights.shape[1] * groups:
        raise UnsupportedError(f"weights of shape {weights.shape} do not fit the shape {x.shape}")
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = pads_of(node, sizes[1:-1], reach, strides)
    padding: str | list[int]
    if isinstance(pads, str):
        padding = pads
        wider = sizes[1:-1]
    elif all(0 <= a == b for a, b in pads):
        padding = [a for a, _ in pads]
        wider = [plus(n, 2 * p) for n, p in zip(sizes[1:-1], padding, strict=True)]
    else:
        image = padded(reader, from_images(step, sizes), [(0, 0), (0, 0), *pads])
        step, wider, padding = image.step, list(image.sizes[1:-1]), [0] * count
    lengths = windows(wider, reach, strides) if padding != "same" else [
        made(f"{n} / {s}") if isinstance(n, Length) else -(-n // s)
        for n, s in zip(wider, strides, strict=True)
    ]  # fmt: skip
    said = padding if isinstance(padding, str) else _one(padding) if any(padding) else "valid"
    cls = Conv2d if count == 2 else Conv1d
    layer = cls(
        int(sizes[-1]), n_out, _one(kernel), stride=_one(strides),  # type: ignore[arg-type]  # known
        padding=said, dilation=_one(dilations),
        groups=groups, bias=biases is not None,
    )  # fmt: skip
    reader.filled(layer, weights=weights.transpose(*range(2, count + 2), 1, 0), biases=biases)
    sizes = [sizes[0], *lengths, n_out]
    return from_images(reader.net.layer(layer, step, sizes), sizes).as_in(x)


def _one(numbers: Sequence[int]) -> int | list[int]:
    """Return one number where all are equal."""
    return int(numbers[0]) if len(set(numbers)) == 1 else [int(n) for n in numbers]


@operator("ConvTranspose")
def conv_transpose(reader: Reader, node: Node) -> Result:
    """Return a transposed convolution: its whole output, less what is not wanted."""
    x = reader.value(node)
    weights = reader.parameter(node, 1, "weights")
    biases = reader.parameter(node, 2, "biases")
    step, sizes = as_images(reader, x)
    count = x.rank - 2
    if weights is None or weights.ndim != count + 2 or sizes[-1] != weights.shape[0]:
        raise UnsupportedError("its weights do not fit its input")
    groups = int(node.get("group", 1))
    strides, dilations = lists(node, "strides", count), lists(node, "dilations", count)
    more = lists(node, "output_padding", count, 0)
    kernel = list(weights.shape[2:])
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    if any(isinstance(n, Length) for n in sizes[1:-1]):
        raise UnsupportedError("lengths that are not known before the net runs")
    whole = [(int(n) - 1) * s + r for n, s, r in zip(sizes[1:-1], strides, reach, strict=True)]  # type: ignore[arg-type]  # as was just seen
    first, wanted = _wanted(node, sizes[1:-1], whole, strides, more)
    n_in, n_out = int(sizes[-1]), weights.shape[1] * groups  # type: ignore[arg-type]  # known
    # Cut off evenly by the layer itself, where that is what is wanted; else the whole output, which
    # may have to be longer by less than a stride, and then cut.
    even = all(
        w + m - n == 2 * f and f >= 0 and 0 <= m < s
        for w, m, n, f, s in zip(whole, more, wanted, first, strides, strict=True)
    )
    cut_off = first if even else [0] * count
    longer = more if even else [
        max(0, f + n - w) for f, n, w in zip(first, wanted, whole, strict=True)
    ]  # fmt: skip
    lengths = [w + m - 2 * f for w, m, f in zip(whole, longer, cut_off, strict=True)]
    row = [1] * (2 - count)  # a sequence is an image of one row
    if row:
        step = reader.net.reshaped(step, [sizes[0], 1, *sizes[1:]])
    none = [0] * len(row)
    layer = ConvTranspose2d(
        n_in, n_out, _one(row + kernel), stride=_one(row + strides),
        padding=_one(none + cut_off) if any(cut_off) else "valid",
        output_padding=_one(none + longer), dilation=_one(row + dilations), groups=groups,
        bias=biases is not None,
    )  # fmt: skip
    reader.filled(layer, weights=_scattered(weights, groups, count), biases=biases)
    step = reader.net.layer(layer, step, [sizes[0], *row, *lengths, n_out])
    if row:
        step = reader.net.reshaped(step, [sizes[0], *lengths, n_out])
    y = from_images(step, reader.net.steps[step].sizes)
    if not even:
        for axis, (f, n) in enumerate(zip(first, wanted, strict=True), start=2):
            y = cut(reader, y, axis, f, f + n)
    return y.as_in(x)


def _wanted(
    node: Node, lengths: Sequence[Dim], whole: Sequence[int], strides: Sequence[int],
    more: Sequence[int],
) -> tuple[list[int], list[int]]:  # fmt: skip
    """Return where the wanted output begins in the whole one, and how long it is."""
    count = len(whole)
    auto = node.get("auto_pad", "NOTSET")
    given = node.get("output_shape")
    if given is not None or auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [int(n) for n in given] if given is not None else [
            int(n) * s for n, s in zip(lengths, strides, strict=True)  # type: ignore[arg-type]  # known
        ]  # fmt: skip
        wanted = wanted[-count:]
        off = [w + m - n for w, m, n in zip(whole, more, wanted, strict=True)]
        upper = auto == "SAME_UPPER"
        first = [max(0, n) // 2 if upper else max(0, n) - max(0, n) // 2 for n in off]
        return first, wanted
    pads = lists(node, "pads", 2 * count, 0) if auto in ("NOTSET", "") else [0] * (2 * count)
    first = pads[:count]
    wanted = [w + m - a - b for w, m, a, b in zip(whole, more, first, pads[count:], strict=True)]
    return first, wanted


def _scattered(weights: Array, groups: int, count: int) -> Array:
    """Return weights (in, out / groups, kernel) as (kernel, in / groups, out)."""
    if count == 1:
        weights = weights[:, :, None]
    n_in, n_out, rows, columns = weights.shape
    parts = weights.reshape(groups, n_in // groups, n_out, rows, columns)
    return np.ascontiguousarray(
        parts.transpose(3, 4, 1, 0, 2).reshape(rows, columns, n_in // groups, groups * n_out)
    )
