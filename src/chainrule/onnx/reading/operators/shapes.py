"""Operators that move, join and part axes. Most of them move nothing: see ``values.py``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.folding import FOLDS, axes_of, tidy
from chainrule.onnx.reading.lengths import Dim, Length, product, quotient
from chainrule.onnx.reading.operators.arithmetic import (
    repeated,
)
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import UnsupportedError, Value, flat

__all__ = ["ANY", "axes_input", "reshaped"]

ANY = ("float", "whole", "bool")


@operator("Shape")
def shape(reader: Reader, node: Node) -> Result:
    """Return the shape, as far as it is known."""
    return tidy(FOLDS["Shape"](node, [reader.value(node, 0, ANY)]))


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
    axes = axes_of(node, axes_input(reader, node), since=13)
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
    axes = axes_of(node, axes_input(reader, node), since=13)
    rank = x.rank + len(axes or ())
    new = {a % rank for a in axes or () if -rank <= a < rank}
    if not axes or len(new) < len(axes):
        raise UnsupportedError(f"the axes {axes} do not fit the shape {x.shape}")
    old = iter(x.axes)
    return Value(x.step, x.sizes, tuple(() if i in new else next(old) for i in range(rank)), x.kind)


def axes_input(reader: Reader, node: Node) -> list[object]:
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
    """Return the value with axes of length 1 repeated to the lengths that are wanted."""
    x = reader.value(node)
    wanted = reader.constant(node, 1, "shape")
    lengths = [] if wanted is None else list(wanted)
    if len(lengths) > x.rank:
        x = Value(x.step, x.sizes, ((),) * (len(lengths) - x.rank) + x.axes, x.kind)
    for axis, n in enumerate(lengths, start=x.rank - len(lengths)):
        have = x.shape[axis]
        if n in (1, have, _hinted(reader, have)):
            continue
        if have != 1 or not isinstance(n, (int, np.integer)):
            raise UnsupportedError(f"it repeats values of the shape {x.shape} to {lengths}")
        x = repeated(reader, x, axis, int(n))
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
            if dim == 1 and left[0] != 0:  # it makes no difference, and is no axis of the file
                left.pop(0)
                continue
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
