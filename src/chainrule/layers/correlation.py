"""The three products of a convolution, as matrix products over gathered windows.

Written for samples n, output positions p, kernel positions k, channels c to channels o, with
s(p, k) the place in the image that kernel position k of window p sees:

- ``correlate``: y[n, p, o] = sum over k, c of x[n, s(p, k), c] w[k, c, o];
- ``spread``, the way back: y[n, s(p, k), o] += sum over c of x[n, p, c] w[k, c, o];
- ``correlate_weights``: w[k, c, o] = sum over n, p of x[n, s(p, k), c] g[n, p, o].

The gradients of ``correlate`` are the other two, and those of ``spread`` are ``correlate`` and
``correlate_weights``: so a convolution and a transposed one are made of the same three.

With groups, the channels fall into that many blocks, and block i makes block i; w[k, c, o] then has
only the c of the block that o is in. Where channels are few, neighbouring windows are taken
together: ``bands.py`` says how.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from chainrule.layer import Array
from chainrule.layers import depthwise
from chainrule.layers.bands import banded, bands, neighbours, together
from chainrule.layers.windows import Buffer, Window, chunk, slices

__all__ = ["correlate", "correlate_weights", "spread", "swapped"]

# For fewer samples, the banded weights cost more than they bring.
FEW = 8


def correlate(
    x: Array, weights: Array, y: Array, window: Window, groups: int, buffer: Buffer
) -> None:
    """Write into ``y`` what each window of ``x`` gives with the weights."""
    if groups == x.shape[-1] == y.shape[-1]:
        depthwise.correlate(x, weights, y, window, buffer)
        return
    outputs = y.shape[-1] // groups
    count = _neighbours(x, window, y.shape[2], outputs, groups)
    if count > 1:
        weights = banded(weights, window, count, buffer)
        window, outputs = together(window, count), count * outputs
        y = y.reshape(*y.shape[:2], y.shape[2] // count, outputs)
    weights = np.ascontiguousarray(weights)
    for samples, group, columns in _columns(x, window, groups, buffer):
        part = _block(group, outputs)
        matrix = weights[..., part].reshape(-1, outputs)
        np.matmul(columns, matrix, out=y[samples, ..., part].reshape(-1, outputs))


def correlate_weights(
    x: Array, grad: Array, grad_w: Array, window: Window, groups: int, buffer: Buffer
) -> None:
    """Write into ``grad_w`` the sum over all windows: what it saw, times what came back for it."""
    if groups == x.shape[-1] == grad.shape[-1]:
        depthwise.correlate_weights(x, grad, grad_w, window, buffer)
        return
    outputs = grad.shape[-1] // groups
    count = _neighbours(x, window, grad.shape[2], outputs, groups)
    total, wide = grad_w, window
    if count > 1:
        wide, outputs = together(window, count), count * outputs
        grad = grad.reshape(*grad.shape[:2], grad.shape[2] // count, outputs)
        total = buffer("grad_banded", (*wide.kernel, x.shape[-1], outputs))
    total.fill(0)
    product = buffer("product", (math.prod(total.shape[:3]), outputs))
    for samples, group, columns in _columns(x, wide, groups, buffer):
        part = _block(group, outputs)
        np.matmul(columns.T, grad[samples, ..., part].reshape(-1, outputs), out=product)
        total[..., part] += product.reshape(total[..., part].shape)
    if count > 1:  # each neighbour has used the same weights
        np.sum(bands(total, window, count), axis=3, out=grad_w)


def spread(x: Array, weights: Array, y: Array, window: Window, groups: int, buffer: Buffer) -> None:
    """Write into ``y`` the sum of what each position of ``x`` sends to the window that it made."""
    if groups == x.shape[-1] == y.shape[-1]:
        depthwise.spread(x, weights, y, window, buffer)
        return
    turned = window.turned()
    if turned is not None and math.prod(y.shape[1:3]) <= 1.5 * math.prod(x.shape[1:3]):
        # With stride 1 a place in y hears from a window of x: the same sums, with fewer passes
        # over memory, but it also multiplies with the padding.
        apart: Buffer = lambda name, shape: buffer(f"turned {name}", shape)  # noqa: E731
        correlate(x, weights[::-1, ::-1], y, turned, groups, apart)
        return
    count = 1
    if groups == 1:
        count = neighbours(window, x.shape[2], y.shape[-1], x.shape[-1], sent=True)
    wide = together(window, count)
    lengths = window.padded(y.shape[1:3])
    sums = math.prod(lengths) * y.shape[-1]
    sent = math.prod(x.shape[1:3]) // count * math.prod(wide.kernel) * y.shape[-1]
    size = chunk(len(x), sums if count == 1 else sent, x.itemsize)
    back = banded(weights.swapaxes(2, 3), window, count, buffer) if count > 1 else weights
    for samples in slices(len(x), size):
        total = y[samples]
        if lengths != y.shape[1:3]:
            total = buffer("total", (size, *lengths, y.shape[-1]))[: len(total)]
        total.fill(0)
        if count > 1:
            _add_together(x[samples], back, total, wide, size, buffer)
        else:
            _add_one_by_one(x[samples], weights, total, window, groups, size, buffer)
        if lengths != y.shape[1:3]:
            y[samples] = window.inside(total, y.shape[1:3])


def _neighbours(x: Array, window: Window, steps: int, outputs: int, groups: int) -> int:
    """Return how many windows of ``x`` to gather together; 1 for none."""
    if groups > 1 or len(x) < FEW:
        return 1
    return neighbours(window, steps, x.shape[-1], outputs)


def _add_one_by_one(
    x: Array, weights: Array, total: Array, window: Window, groups: int, size: int, buffer: Buffer
) -> None:
    """Add to ``total`` what each position of the kernel sends, from all windows at once."""
    channels, outputs = x.shape[-1] // groups, total.shape[-1] // groups
    sent = buffer("sent", (size, *x.shape[1:3], outputs))[: len(x)]
    for group in range(groups):
        to = _block(group, outputs)
        rows = x[..., _block(group, channels)].reshape(-1, channels)
        for i, j, at_rows, at_columns in window.positions((x.shape[1], x.shape[2])):
            np.matmul(rows, weights[i, j, :, to], out=sent.reshape(-1, outputs))
            total[:, at_rows, at_columns, to] += sent


def _add_together(
    x: Array, back: Array, total: Array, wide: Window, size: int, buffer: Buffer
) -> None:
    """Add to ``total`` what each wide window sends: a stretch of each row that it sees."""
    height, span, outputs, columns = back.shape
    steps = (x.shape[1], x.shape[2] * x.shape[3] // columns)
    sent = buffer("sent", (size, *steps, height, span, outputs))[: len(x)]
    length = height * span * outputs
    np.matmul(x.reshape(-1, columns), back.reshape(length, columns).T, out=sent.reshape(-1, length))
    rows = Window((height, 1), wide.stride, wide.dilation).positions(steps)
    for i, _, at_rows, _ in rows:
        for j in range(steps[1]):
            first = j * wide.stride[1]
            total[:, at_rows, first : first + span] += sent[:, :, j, i]


def swapped(weights: Array, groups: int) -> Array:
    """Return the weights of the way back: (..., c, o) as (..., o, c), block by block.

    Examples
    --------
    >>> swapped(np.zeros((3, 3, 2, 6)), groups=1).shape
    (3, 3, 6, 2)
    >>> swapped(np.zeros((3, 3, 2, 6)), groups=2).shape
    (3, 3, 3, 4)
    """
    *kernel, channels, outputs = weights.shape
    blocks = weights.reshape(*kernel, channels, groups, outputs // groups)
    back: Array = blocks.swapaxes(-3, -1).reshape(*kernel, outputs // groups, groups * channels)
    return back


def _columns(
    x: Array, window: Window, groups: int, buffer: Buffer
) -> Iterator[tuple[slice, int, Array]]:
    """Yield (samples, group, their windows as rows of a matrix), a few samples at a time."""
    channels = x.shape[-1] // groups
    steps = window.steps(x.shape[1:3])
    if window == Window((1, 1)):  # then each position is its own window: nothing to gather
        for group in range(groups):
            part = _block(group, channels)
            yield slice(0, len(x)), group, x[..., part].reshape(-1, channels)
        return
    length = math.prod(window.kernel) * channels
    size = chunk(len(x), math.prod(steps) * length, x.itemsize)
    if channels == 1 and steps[1] > window.kernel[1]:
        # NumPy copies in runs of neighbours: here those of the image are longer than the window's,
        # so the matrix lies in memory the other way round.
        gathered = buffer("columns", (*window.kernel, 1, size, *steps)).transpose(3, 4, 5, 0, 1, 2)
    else:
        gathered = buffer("columns", (size, *steps, *window.kernel, channels))
    for samples, padded in window.pieces(x, size, buffer):
        windows = window.view(padded)
        columns = gathered[: len(padded)]
        for group in range(groups):
            part = _block(group, channels)
            np.copyto(columns, windows[..., part], casting="same_kind")
            yield samples, group, columns.reshape(-1, length)


def _block(group: int, channels: int) -> slice:
    return slice(group * channels, (group + 1) * channels)
