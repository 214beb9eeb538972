"""The three products of a convolution in which every channel has a kernel of its own.

They are those of ``correlation.py`` with as many groups as channels, in and out. Matrix products of
one column would be slow; here each kernel position is a product value by value with the shifted
image, for all channels at once.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.layer import Array
from chainrule.layers.windows import Buffer, Window, chunk, slices

__all__ = ["correlate", "correlate_weights", "spread"]


def correlate(x: Array, weights: Array, y: Array, window: Window, buffer: Buffer) -> None:
    """Write into ``y``: y[n, p, c] = sum over k of x[n, s(p, k), c] w[k, 0, c]."""
    steps = window.steps(x.shape[1:3])
    size = chunk(len(x), 3 * math.prod(x.shape[1:]), x.itemsize)
    products = buffer("products", (size, *steps, x.shape[-1]))
    wide = _wide(weights, steps[1])
    for samples, padded in window.pieces(x, size, buffer):
        total, product = y[samples], products[: len(padded)]
        total.fill(0)
        for i, j, rows, columns in window.positions(steps):
            np.multiply(padded[:, rows, columns], wide[i, j], out=product)
            total += product


def correlate_weights(x: Array, grad: Array, grad_w: Array, window: Window, buffer: Buffer) -> None:
    """Write into ``grad_w``: w[k, 0, c] = sum over n, p of x[n, s(p, k), c] g[n, p, c]."""
    steps = window.steps(x.shape[1:3])
    channels = x.shape[-1]
    size = chunk(len(x), 3 * math.prod(x.shape[1:]), x.itemsize)
    products = buffer("products", (size, *steps, channels))
    ones = np.ones(size * math.prod(steps), grad_w.dtype)
    grad_w.fill(0)
    for samples, padded in window.pieces(x, size, buffer):
        product = products[: len(padded)]
        for i, j, rows, columns in window.positions(steps):
            np.multiply(padded[:, rows, columns], grad[samples], out=product)
            matrix = product.reshape(-1, channels)
            grad_w[i, j, 0] += ones[: len(matrix)] @ matrix  # the sum of its rows, but faster


def spread(x: Array, weights: Array, y: Array, window: Window, buffer: Buffer) -> None:
    """Write into ``y``: y[n, s(p, k), c] += x[n, p, c] w[k, 0, c]."""
    steps = (x.shape[1], x.shape[2])
    lengths = window.padded(y.shape[1:3])
    size = chunk(len(x), 3 * math.prod(lengths) * y.shape[-1], x.itemsize)
    wide = _wide(weights, steps[1])
    totals = buffer("total", (size, *lengths, y.shape[-1]))
    products = buffer("sent", (size, *steps, y.shape[-1]))
    for samples in slices(len(x), size):
        count = samples.stop - samples.start
        total, product = totals[:count], products[:count]
        total.fill(0)
        for i, j, rows, columns in window.positions(steps):
            np.multiply(x[samples], wide[i, j], out=product)
            total[:, rows, columns] += product
        y[samples] = window.inside(total, y.shape[1:3])


def _wide(weights: Array, width: int) -> Array:
    """Return each position's weights as often as a row of the output is wide.

    NumPy then multiplies whole rows, and not channel by channel.
    """
    rows, columns, _, channels = weights.shape
    return np.tile(weights[:, :, 0], width).reshape(rows, columns, width, channels)
