"""Operators that move, cut and join axes. Most of them move nothing: see ``values.py``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.layer import Array
from chainrule.layers import MaxPool1d, Pad, Rescale, Sigmoid, Slice, Softmax
from chainrule.layers.adaptive_pooling import GlobalAvgPool
from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.folding import axes_of, tidy
from chainrule.onnx.reading.lengths import SAMPLES, Dim, Length, plus, product, quotient
from chainrule.onnx.reading.operators.arithmetic import aligned, by_constant, for_each, rescaled
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import Constant, Filled, UnsupportedError, Value, flat

__all__ = ["cut", "padded", "picked"]

ANY = ("float", "whole", "bool")
FAR = 1 << 30  # exporters write the largest number for "to the end"


@operator("Shape")
def shape(reader: Reader, node: Node) -> Result:
    """Return the shape, as far as it is known."""
    dims = reader.value(node, 0, ANY).shape[slice(node.get("start", 0), node.get("end"))]
    array = np.empty(len(dims), object)
    array[:] = dims
    return tidy(array)


@operator("Transpose")
def transpose(reader: Reader, node: Node) -> Result:
    """Return another order of the axes."""
    x = reader.value(node, 0, ANY)
    order = node.get("perm", range(x.rank)[::-1])
    if sorted(order) != list(range(x.rank)):
        raise UnsupportedError(f"the order {list(order)} does not fit the shape {x.shape}")
    return Value(x.step, x.sizes, tuple(x.axes[i] for i in order), x.kind)


@operator("Squeeze")
def squeeze(reader: Reader, node: Node) -> Result:
    """Return the value without axes of length 1."""
    x = reader.value(node, 0, ANY)
    axes = axes_of(node, _numbers(reader, node), since=13)
    gone = {x.axis(a) for a in axes} if axes is not None else {
        i for i, n in enumerate(x.shape) if n == 1
    }  # fmt: skip
    if any(x.shape[a] != 1 for a in gone):
        raise UnsupportedError(f"the axes {sorted(gone)} of the shape {x.shape} are longer than 1")
    return Value(
        x.step, x.sizes, tuple(axis for i, axis in enumerate(x.axes) if i not in gone), x.kind
    )


@operator("Unsqueeze")
def unsqueeze(reader: Reader, node: Node) -> Result:
    """Return the value with more axes, of length 1."""
    x = reader.value(node, 0, ANY)
    axes = axes_of(node, _numbers(reader, node), since=13)
    rank = x.rank + len(axes or ())
    new = {a % rank for a in axes or () if -rank <= a < rank}
    if not axes or len(new) < len(axes):
        raise UnsupportedError(f"the axes {axes} do not fit the shape {x.shape}")
    old = iter(x.axes)
    return Value(x.step, x.sizes, tuple(() if i in new else next(old) for i in range(rank)), x.kind)


def _numbers(reader: Reader, node: Node) -> list[object]:
    """Return the inputs in the form of ``axes_of``."""
    return [None, *([reader.constant(node, 1, "axes")] if len(node.inputs) > 1 else [])]


@operator("Flatten")
def flatten(reader: Reader, node: Node) -> Result:
    """Return two axes: all before the given one as one, and the others as one."""
    x = reader.value(node, 0, ANY)
    axis = int(node.get("axis", 1))
    at = axis if axis >= 0 else axis + x.rank
    if not 0 <= at <= x.rank:
        raise UnsupportedError(f"there is no axis {axis} in the shape {x.shape}")
    return merged(reader, Value(x.step, x.sizes, (flat(x.axes[:at]), flat(x.axes[at:])), x.kind))


@operator("Expand")
def expand(reader: Reader, node: Node) -> Result:
    """Return the value itself, where the shape asks for no more than it has."""
    x = reader.value(node, 0, ANY)
    wanted = reader.constant(node, 1, "shape")
    lengths = [] if wanted is None else list(wanted)
    if len(lengths) > x.rank or any(
        n not in (1, have) and _hinted(reader, have) != n
        for n, have in zip(lengths[::-1], x.shape[::-1], strict=False)
    ):
        raise UnsupportedError(f"it repeats values of the shape {x.shape} to {lengths}")
    return x


# -- another shape -------------------------------------------------------------------------------


@operator("Reshape")
def reshape(reader: Reader, node: Node) -> Result:
    """Return the value with other lengths: axes are joined and parted."""
    x = reader.value(node, 0, ANY)
    wanted = node.get("shape") if node.version < 5 else reader.constant(node, 1, "shape")
    if wanted is None:
        raise UnsupportedError("it has no shape")
    lengths: list[Dim] = [n if isinstance(n, Length) else int(n) for n in np.ravel(wanted)]
    if not node.get("allowzero", 0):
        lengths = [x.shape[i] if n == 0 else n for i, n in enumerate(lengths)]
    total = product(x.shape)
    if -1 in lengths:
        at = lengths.index(-1)
        others = product(n for i, n in enumerate(lengths) if i != at)
        rest = quotient(total, others)
        if rest is None:
            rest = quotient(_hinted(reader, total), _hinted(reader, others))
        if rest is None or -1 in lengths[at + 1 :]:
            raise UnsupportedError(f"the shape {x.shape} does not go into {lengths}")
        lengths[at] = rest
    if _hinted(reader, product(lengths)) != _hinted(reader, total) or 0 in lengths:
        raise UnsupportedError(f"the shape {x.shape} does not go into {lengths}")
    return reshaped(reader, x, lengths)


def _hinted(reader: Reader, dim: Dim) -> Dim:
    """Return a length with the number of samples that the graph was made for, if for a fixed one.

    Shapes that an exporter wrote as numbers hold that number.
    """
    if not isinstance(dim, Length) or reader.samples is None:
        return dim
    count = dim.names.count("samples")
    left = tuple(name for name in dim.names if name != "samples")
    number = dim.number * reader.samples**count
    return Length(number, left) if left else number


def reshaped(reader: Reader, x: Value, lengths: Sequence[Dim]) -> Value:
    """Return the value with other lengths: its axes are taken one after the other to fill them."""
    sizes = list(x.sizes)
    left = list(flat(x.axes))  # our axes, in the order of the file
    split: dict[int, list[int]] = {}
    axes: list[tuple[int, ...]] = []
    for wanted in lengths:
        length = _hinted(reader, wanted)
        taken: list[int] = []
        have: Dim = 1
        while left and have != length:
            dim = _hinted(reader, sizes[left[0]])
            if quotient(length, have * dim) is not None:
                have = have * dim
                taken.append(left.pop(0))
                continue
            need = quotient(length, have)
            rest = None if need is None else quotient(dim, need)
            if left[0] == 0 or need is None or rest is None:
                return _unfolded(reader, x, lengths)
            sizes += [need, rest]
            split[left[0]] = [len(sizes) - 2, len(sizes) - 1]
            left[0] = len(sizes) - 1
            have = length
            taken.append(len(sizes) - 2)
        if length == 1 and left[:1] == [0]:  # the graph was made for one sample
            taken.append(left.pop(0))
        axes.append(tuple(taken))
    if any(_hinted(reader, sizes[a]) != 1 for a in left):
        raise UnsupportedError(f"the shape {x.shape} does not go into {list(lengths)}")
    return _with_parts(reader, x, sizes, split, axes)


def _with_parts(
    reader: Reader,
    x: Value,
    sizes: Sequence[Dim],
    split: dict[int, list[int]],
    axes: Sequence[tuple[int, ...]],
) -> Value:
    """Return the value after some of our axes were split in two, and these again."""

    def ends(a: int) -> list[int]:
        return [b for part in split[a] for b in ends(part)] if a in split else [a]

    order = [b for a in range(len(x.sizes)) for b in ends(a)]
    new = {b: i for i, b in enumerate(order)}
    made = tuple(sizes[b] for b in order)
    step = reader.net.reshaped(x.step, made) if split else x.step
    return merged(
        reader, Value(step, made, tuple(tuple(new[a] for a in axis) for axis in axes), x.kind)
    )


def merged(reader: Reader, x: Value) -> Value:
    """Return the value with those of our axes as one that the file has as one, and lie so."""
    groups: list[tuple[int, ...]] = [(0,)]
    whole = {axis[0]: axis for axis in x.axes if len(axis) > 1 and 0 not in axis}
    for a in range(1, len(x.sizes)):
        axis = whole.get(a, (a,))
        if axis == tuple(range(a, a + len(axis))):
            groups.append(axis)
        elif a not in flat(groups):
            groups.append((a,))
    groups = [g for i, g in enumerate(groups) if not any(set(g) < set(h) for h in groups[:i])]
    if len(groups) == len(x.sizes):
        return x
    sizes = tuple(product(x.sizes[a] for a in group) for group in groups)
    new = {a: i for i, group in enumerate(groups) for a in group}
    axes = tuple(tuple(dict.fromkeys(new[a] for a in axis)) for axis in x.axes)
    return Value(reader.net.reshaped(x.step, sizes), sizes, axes, x.kind)


def _unfolded(reader: Reader, x: Value, lengths: Sequence[Dim]) -> Value:
    """Return the value in another shape where axes are neither joined nor parted, but mixed."""
    if x.axes[:1] == ((0,),) and lengths and _hinted(reader, lengths[0]) == _hinted(
        reader, x.sizes[0]
    ):  # fmt: skip
        step = reader.net.arranged(x, x.axes[1:])
        sizes = (x.sizes[0], *lengths[1:])
    elif 0 not in flat(x.axes):
        step = reader.net.arranged(x, x.axes)
        sizes = (x.sizes[0], *lengths)
    else:
        raise UnsupportedError(f"the shape {x.shape} goes into {list(lengths)} across the samples")
    step = reader.net.reshaped(step, sizes)
    first = 0 if 0 in flat(x.axes) else 1
    return Value(step, sizes, tuple((i,) for i in range(first, len(sizes))), x.kind)


# -- parts of axes -------------------------------------------------------------------------------


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
        first, last, _ = slice(start, stop, step).indices(length)
        return first, None if last < 0 or (step > 0 and last == length) else last
    if step > 0:
        return start, None if stop is None or stop >= FAR else stop
    return (
        None if start >= FAR or start == -1 else start,
        None if stop is None or stop <= -FAR else stop,
    )


def picked(reader: Reader, node: Node) -> Value:
    """Return places of an axis, by constant indices that are evenly apart."""
    x = reader.value(node, 0, ANY)
    indices = reader.constant(node, 1, "indices")
    axis = x.axis(node.get("axis", 0))
    if indices is None or indices.ndim > 1 or not indices.size:
        raise UnsupportedError("it takes places by indices of several axes")
    numbers = reader.numbers(node, 1) or []
    length = x.shape[axis]
    if isinstance(length, int):
        if not all(-length <= n < length for n in numbers):
            raise UnsupportedError(f"the indices {numbers[:5]} do not fit the length {length}")
        if numbers != [-1]:
            numbers = [n % length for n in numbers]
    gaps = set(np.diff(numbers).tolist()) or {1}
    if len(gaps) > 1 or 0 in gaps or (min(numbers) < 0 and len(numbers) > 1):
        raise UnsupportedError("it takes places that are not evenly apart")
    (gap,) = gaps
    beyond = numbers[-1] + (1 if gap > 0 else -1)
    before_first = gap < 0 and beyond < 0
    after_last = numbers[-1] == -1
    y = cut(reader, x, axis, numbers[0], None if before_first or after_last else beyond, gap)
    if indices.ndim:
        return y
    (gone,) = y.axes[axis] or (None,)
    axes = y.axes[:axis] + y.axes[axis + 1 :]
    if gone is None or len(y.sizes) < 3:
        return Value(y.step, y.sizes, axes, y.kind)
    sizes = y.sizes[:gone] + y.sizes[gone + 1 :]
    axes = tuple(tuple(a - (a > gone) for a in each) for each in axes)
    return Value(reader.net.reshaped(y.step, sizes), sizes, axes, y.kind)


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


# -- borders and sums over axes ------------------------------------------------------------------


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


@operator("ReduceMean", "ReduceSum", "ReduceMax")
def reduce(reader: Reader, node: Node) -> Result:
    """Return the mean, the sum or the greatest over axes."""
    x = reader.value(node)
    since = 13 if node.op == "ReduceSum" else 18
    axes = axes_of(node, _numbers(reader, node), since)
    if not axes and node.get("noop_with_empty_axes", 0):
        return x
    gone = sorted({x.axis(a) for a in axes} if axes else range(x.rank))
    return reduced(reader, x, gone, node.op, keep=bool(node.get("keepdims", 1)))


def reduced(reader: Reader, x: Value, gone: Sequence[int], op: str, *, keep: bool) -> Value:
    """Return the mean, the sum or the greatest over some axes of the file."""
    inside = flat([x.inner(a) for a in gone])
    if not inside:  # axes of length 1
        kept = [() if i in gone else axis for i, axis in enumerate(x.axes)]
        return Value(x.step, x.sizes, _without(kept, () if keep else gone), x.kind)
    rest = [a for a in range(1, len(x.sizes)) if a not in inside]
    count = product(x.sizes[a] for a in inside)
    width = product(x.sizes[a] for a in rest)
    if op != "ReduceMean" and isinstance(count, Length):
        raise UnsupportedError(
            f"it is over a length that is not known before the net runs: {count}"
        )
    # What stays lies end to end as the channels, so that one layer does it.
    step = reader.net.arranged(x, [inside, rest])
    if op == "ReduceMax":
        step = reader.net.layer(MaxPool1d(int(count)), step, (x.sizes[0], 1, width))  # type: ignore[arg-type]  # a number, as was seen above
    else:
        step = reader.net.layer(GlobalAvgPool(), step, (x.sizes[0], width))
    sizes = (x.sizes[0], *([x.sizes[a] for a in rest] or [1]))
    step = reader.net.reshaped(step, sizes)
    new = {0: 0, **{a: i for i, a in enumerate(rest, start=1)}}
    axes = [() if i in gone else tuple(new[a] for a in axis) for i, axis in enumerate(x.axes)]
    y = Value(step, sizes, _without(axes, () if keep else gone), x.kind)
    return rescaled(reader, y, float(count)) if op == "ReduceSum" else y  # type: ignore[arg-type]  # the same


def _without(axes: Sequence[tuple[int, ...]], gone: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    return tuple(axis for i, axis in enumerate(axes) if i not in gone)
