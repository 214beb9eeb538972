"""Neighbouring windows of a convolution taken together, as one wide window.

Windows that overlap are nearly the same numbers gathered again and again, a few at a time, and the
matrix that they meet is as narrow as there are channels. Neighbours along the width taken together
see one stretch of the image, ``span`` long, which is gathered once; the matrix for all of them is
``count`` times as wide. In it the kernel stands once for each neighbour, moved on by the stride,
and zeros round it; for a kernel a, b, c and three neighbours::

    a . .
    b a .
    c b a      a row for each place of the stretch, a column for each neighbour
    . c b
    . . c

So a convolution with few channels is one with more, over fewer windows. It multiplies with the
zeros as well, and is faster all the same: ``benchmarks/forms.py`` times it. What is not finite
reaches the neighbours too, since zero times infinity is not a number.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from chainrule.layer import Array
from chainrule.layers.windows import Buffer, Window

__all__ = ["banded", "bands", "neighbours", "together"]

# What gathering costs, in multiplications of a matrix product (a processor does many at a time):
# each stretch of neighbouring numbers, and each number; less where the matrix lies the other way
# round, as ``correlation.py`` lays it for one channel. Measured; it only has to be about right.
STRETCH, NUMBER, TURNED_NUMBER = 300, 25, 15


@lru_cache
def neighbours(
    window: Window, steps: int, channels: int, outputs: int, *, sent: bool = False
) -> int:
    """Return how many of the ``steps`` windows along the width to take together; 1 for none.

    ``sent``: for the way back, where windows are not gathered but sent.

    Examples
    --------
    >>> neighbours(Window((5, 5)), steps=24, channels=1, outputs=6)
    8
    >>> neighbours(Window((5, 5)), steps=24, channels=1, outputs=16)
    1
    >>> neighbours(Window((3, 3)), steps=24, channels=64, outputs=64)
    1
    """
    if window == Window((1, 1)):  # nothing is gathered
        return 1

    def cost(count: int) -> float:
        if count == channels == 1 and not sent:
            return window.kernel[1] * (STRETCH / steps + TURNED_NUMBER + outputs)
        numbers = together(window, count).kernel[1] * channels
        return (STRETCH + numbers * (NUMBER + count * outputs)) / count

    return min((count for count in range(1, steps + 1) if steps % count == 0), key=cost)


def together(window: Window, count: int) -> Window:
    """Return the window that is ``count`` neighbours along the width.

    Examples
    --------
    >>> together(Window((5, 5)), 8)
    Window(kernel=(5, 12), stride=(1, 8), dilation=(1, 1), pads=((0, 0), (0, 0)))
    """
    span = (count - 1) * window.stride[1] + window.reach[1]
    return Window(
        (window.kernel[0], span),
        (window.stride[0], count * window.stride[1]),
        (window.dilation[0], 1),
        window.pads,
    )


def banded(weights: Array, window: Window, count: int, buffer: Buffer) -> Array:
    """Return the weights for ``count`` neighbours: (height, span, channels, count * outputs)."""
    height, _, channels, outputs = weights.shape
    span = together(window, count).kernel[1]
    wide = buffer("banded", (height, span, channels, count * outputs))
    wide.fill(0)
    bands(wide, window, count)[...] = weights[:, :, :, None]
    return wide


def bands(wide: Array, window: Window, count: int) -> Array:
    """Return the view of banded weights that holds no zeros.

    Shape (height, width, channels, count, outputs): the kernel, as each neighbour has it.

    Examples
    --------
    >>> wide = np.zeros((1, 5, 1, 3))
    >>> bands(wide, Window((1, 3)), 3)[...] = np.array([1, 2, 3]).reshape(1, 3, 1, 1, 1)
    >>> wide[0, :, 0]
    array([[1., 0., 0.],
           [2., 1., 0.],
           [3., 2., 1.],
           [0., 3., 2.],
           [0., 0., 3.]])
    """
    height, _, channels, columns = wide.shape
    row, place, channel, column = wide.strides
    outputs = columns // count
    # The next neighbour has its own columns, and begins a stride further along the stretch.
    neighbour = outputs * column + window.stride[1] * place
    return np.lib.stride_tricks.as_strided(
        wide,
        (height, window.kernel[1], channels, count, outputs),
        (row, window.dilation[1] * place, channel, neighbour, column),
    )
