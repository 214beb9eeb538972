"""Convolutions: channels-first in the graph, with the weights turned to match."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Conv1d, Conv2d, ConvTranspose2d
from chainrule.layers.convolution import Convolution
from chainrule.layers.windows import Pair, Window, window_of
from chainrule.onnx.exporting.graph import Graph
from chainrule.onnx.exporting.registry import converter
from chainrule.onnx.exporting.value import Dim, Value

__all__ = ["convolution", "paddings", "transposed"]


@converter(Conv1d, any_order=True)
@converter(Conv2d, any_order=True)
def convolution(graph: Graph, layer: Conv1d | Conv2d, x: Value) -> Value:
    """Return the sums over each window."""
    axes, places = layer.axes, x.shape[1:-1]
    lengths = [n if isinstance(n, int) else 1 for n in (1, *places)[-2:]]
    window = window_of(lengths, layer._kernel, layer._stride, layer._pads, layer._dilation)
    options: dict[str, Any] = {"pads": paddings(window.pads, axes)}
    if layer._pads == "same" and not _fixed(layer, places):
        if max(layer._dilation) > 1:  # onnxruntime has no such thing
            raise ValueError(
                f'{graph.path}: how much padding="same" is depends, in {layer!r}, on the length of '
                "its input, which must be known: give a number in input_shape."
            )
        options = {"auto_pad": "SAME_UPPER"}
    steps: list[Dim] = []
    for n, k, s, pad in list(
        zip((1, *places)[-2:], window.reach, window.stride, window.pads, strict=True)
    )[-axes:]:
        steps.append((n + sum(pad) - k) // s + 1 if isinstance(n, int) else graph.new_dim("places"))
    weights = np.moveaxis(layer.weights, (-1, -2), (0, 1))  # (out, in / groups, *kernel)
    return graph.node(
        "Conv", graph.floats(graph.channels_first(x)), graph.parameter("weights", weights),
        graph.parameter("biases", layer.biases) if layer.bias else None,
        shape=(x.shape[0], *steps, layer.n_out), order=channels_first(axes),
        kernel_shape=layer._kernel[-axes:], strides=layer._stride[-axes:],
        dilations=layer._dilation[-axes:], group=layer.groups, **options,
    )  # fmt: skip


@converter(ConvTranspose2d, any_order=True)
def transposed(graph: Graph, layer: ConvTranspose2d, x: Value) -> Value:
    """Return what the inputs write, added up."""
    window = Window(layer._kernel, layer._stride, layer._dilation)
    strides = layer._stride
    pads: Sequence[Pair] = ((0, 0), (0, 0))
    more: Sequence[int] = layer._more
    if layer._pads == "same":  # cut to length * stride, or lengthened where nothing is written
        extra = [reach - s for reach, s in zip(window.reach, strides, strict=True)]
        pads = [(max(e, 0) // 2, max(e, 0) - max(e, 0) // 2) for e in extra]
        more = [max(-e, 0) for e in extra]
    elif not isinstance(layer._pads, str):
        pads = [(p, p) for p in layer._pads]
    lengths: list[Dim] = [
        (n - 1) * s + reach - sum(pad) + m if isinstance(n, int) else graph.new_dim("places")
        for n, s, reach, pad, m in zip(
            x.shape[1:-1], strides, window.reach, pads, more, strict=True
        )
    ]
    return graph.node(
        "ConvTranspose", graph.floats(graph.channels_first(x)),
        graph.parameter("weights", _transposed_weights(layer)),
        graph.parameter("biases", layer.biases) if layer.bias else None,
        shape=(x.shape[0], *lengths, layer.n_out), order=channels_first(2),
        kernel_shape=layer._kernel, strides=strides, dilations=layer._dilation,
        group=layer.groups, pads=paddings(pads, 2), output_padding=more,
    )  # fmt: skip


def _transposed_weights(layer: ConvTranspose2d) -> Array:
    """Return the weights as (in, out / groups, height, width); ours are (…, in / groups, out)."""
    height, width, n, n_out = layer.weights.shape
    blocks = layer.weights.reshape(height, width, n, layer.groups, n_out // layer.groups)
    return blocks.transpose(3, 2, 4, 0, 1).reshape(layer.n_in, -1, height, width)


def paddings(pads: Sequence[Pair], axes: int) -> list[int]:
    """Return paddings in the order of ONNX: before each axis, then after each."""
    kept = pads[-axes:]
    return [before for before, _ in kept] + [after for _, after in kept]


def channels_first(axes: int) -> tuple[int, ...]:
    """Return the order of the axes that convolutions work in."""
    return (0, axes + 1, *range(1, axes + 1))


def _fixed(layer: Convolution, places: tuple[Dim, ...]) -> bool:
    """Whether the padding is the same for every length: it is known, or every place is used."""
    return all(
        isinstance(n, int) or s == 1
        for n, s in zip(places, layer._stride[-layer.axes :], strict=True)
    )
