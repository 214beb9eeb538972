"""Normalisations: over samples, over the features of one, over groups of channels."""

from __future__ import annotations

import math

import numpy as np

from chainrule.layer import Array
from chainrule.layers import BatchNorm, GroupNorm, LayerNorm, Reshape, RMSNorm
from chainrule.onnx.reading.files import Node
from chainrule.onnx.reading.folding import MOST
from chainrule.onnx.reading.lengths import Dim
from chainrule.onnx.reading.reader import Reader
from chainrule.onnx.reading.registry import Result, operator
from chainrule.onnx.reading.values import UnsupportedError, Value, flat


def channels_last(reader: Reader, x: Value) -> Value:
    """Return the value with axis 1 of the file as the last axis of the array."""
    x.samples_at(0)
    if x.rank < 2:
        raise UnsupportedError(f"there are no channels in the shape {x.shape}")
    group = x.inner(1)
    step = reader.net.arranged(x, [*(x.inner(i) for i in range(2, x.rank)), group])
    end = x.rank - 1
    axes = ((0,), (end,), *((i,) for i in range(1, end)))
    return Value(step, reader.net.steps[step].sizes, axes, x.kind).as_in(x)


def vector(array: Array | None, n: object, what: str) -> Array:
    """Return one number a channel, or say that they are not so many."""
    if array is None or array.shape != (n,):
        found = None if array is None else array.shape
        raise UnsupportedError(f"its {what} must have shape ({n},), got {found}")
    return array


@operator("BatchNormalization")
def batch(reader: Reader, node: Node) -> Result:
    """Return batch normalisation, with the running averages of the file."""
    if node.get("training_mode", 0) or node.get("spatial", 1) == 0:
        raise UnsupportedError("it normalises by the mini-batch in predictions too")
    x = channels_last(reader, reader.value(node))
    n = x.sizes[-1]
    scale, shift, mean, variance = (
        vector(reader.parameter(node, i, what), n, what)
        for i, what in enumerate(("scale", "shift", "mean", "variance"), start=1)
    )
    momentum = round(1 - float(node.get("momentum", 0.9)), 7)
    layer = BatchNorm(
        len(scale), epsilon=float(node.get("epsilon", 1e-5)),
        momentum=momentum if 0 < momentum <= 1 else 0.1,
    )  # fmt: skip
    reader.filled(layer, scale=scale, shift=shift, running_mean=mean, running_variance=variance)
    return reader.net.each(x, layer)


@operator("LayerNormalization", "RMSNormalization")
def layer_norm(reader: Reader, node: Node) -> Result:
    """Return layer and root-mean-square normalisation, over an axis and all after it."""
    x = reader.value(node)
    first = x.axis(node.get("axis", -1))
    group = flat([x.inner(a) for a in range(first, x.rank)])
    shape = x.shape[first:]
    before, order = reader.net.last(x, group)
    n = before.sizes[-1]
    if not isinstance(n, int):
        raise UnsupportedError("features whose number is not known before the net runs")
    scale = _spread(reader.parameter(node, 1, "scale"), shape, order)
    shift = _spread(reader.parameter(node, 2, "shift"), shape, order)
    epsilon = float(node.get("epsilon", 1e-5))
    layer = (
        RMSNorm(n, epsilon=epsilon)
        if node.op == "RMSNormalization"
        else LayerNorm(n, epsilon=epsilon, bias=shift is not None)
    )
    reader.filled(layer, scale=scale, shift=shift)
    step = reader.net.layer(layer, before.step, before.sizes)
    return reader.net.split(before, step, group, x)


def _spread(array: Array | None, shape: tuple[Dim, ...], order: Array | None) -> Array | None:
    """Return numbers that broadcast to the features as one for each of them."""
    if array is None:
        return None
    lengths = [n for n in shape if isinstance(n, int)]
    if math.prod(lengths) > max(MOST, array.size):
        raise UnsupportedError("few numbers for very many features")
    row = np.broadcast_to(array, lengths).ravel()
    return row if order is None else row[order]


@operator("InstanceNormalization")
def instance(reader: Reader, node: Node) -> Result:
    """Return instance normalisation; between two Reshapes, that of groups of channels."""
    x = reader.value(node)
    x.samples_at(0)
    grouped = _groups(reader, node, x)
    if grouped is not None:
        return grouped
    x = channels_last(reader, x)
    scale = vector(reader.parameter(node, 1, "scale"), x.sizes[-1], "scale")
    shift = vector(reader.parameter(node, 2, "shift"), x.sizes[-1], "shift")
    n = len(scale)
    layer = GroupNorm(n, n, epsilon=float(node.get("epsilon", 1e-5)))
    return reader.net.each(x, reader.filled(layer, scale=scale, shift=shift))


def _groups(reader: Reader, node: Node, x: Value) -> Value | None:
    """Return group normalisation, where channels were parted into groups just before.

    The file knows (samples, groups, the rest), and what became of it is still
    (samples, groups, channels of a group, places).
    """
    if x.rank != 3 or not x.axes[2] or not isinstance(reader.net.steps[x.step].what, Reshape):
        return None
    scale, shift = (reader.constant(node, i, what) for i, what in ((1, "scale"), (2, "shift")))
    if scale is None or shift is None or not (scale == 1).all() or shift.any():
        return None
    inner = x.axes[2]
    n_groups, each = x.shape[1], x.sizes[inner[0]]
    if len(x.axes[1]) > 1 or 0 in inner:
        return None
    if not isinstance(n_groups, int) or not isinstance(each, int):
        return None
    # Our array has the groups and their channels last, or can be moved so.
    channels = [*x.axes[1], inner[0]]
    step = reader.net.arranged(x, [*([a] for a in inner[1:]), channels])
    sizes = reader.net.steps[step].sizes
    epsilon = float(node.get("epsilon", 1e-5))
    layer = GroupNorm(n_groups, n_groups * each, epsilon=epsilon, affine=False)
    step = reader.net.layer(layer, step, sizes)
    places = [x.sizes[a] for a in inner[1:]]
    split = [*([n_groups] if x.axes[1] else []), each]
    step = reader.net.reshaped(step, [sizes[0], *places, *split])
    end = len(places)
    made_axes = (
        (0,),
        (end + 1,) if x.axes[1] else (),
        (end + len(split), *range(1, end + 1)),
    )
    return Value(step, reader.net.steps[step].sizes, made_axes).as_in(x)


@operator("GroupNormalization")
def group(reader: Reader, node: Node) -> Result:
    """Return group normalisation; before version 21 with one scale a group."""
    x = channels_last(reader, reader.value(node))
    n, groups = x.sizes[-1], int(node.get("num_groups"))
    if not isinstance(n, int) or n % groups:
        raise UnsupportedError(f"{groups} groups of the channels of the shape {x.shape}")
    found = []
    for i, what in ((1, "scale"), (2, "shift")):
        array = vector(reader.parameter(node, i, what), n if node.version >= 21 else groups, what)
        found.append(array if node.version >= 21 else np.repeat(array, n // groups))
    layer = GroupNorm(groups, n, epsilon=float(node.get("epsilon", 1e-5)))
    return reader.net.each(x, reader.filled(layer, scale=found[0], shift=found[1]))
