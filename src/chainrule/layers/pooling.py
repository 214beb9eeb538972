"""Pooling: windows that slide over images or sequences, and one number for each.

No window is ever copied out. A window of k positions is k passes over the whole array: the first
takes the first position of every window at once (a strided view), the second the second, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers.windows import Pair, numbers

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "Images",
    "MaxPool1d",
    "MaxPool2d",
]

Place = tuple[tuple[slice, ...], tuple[slice, ...]]


class Images(Layer):
    """What the layers here share: a sequence is an image of height 1."""

    axes: ClassVar[int] = 2

    def _images(self, x: Array) -> Array:
        """Return ``x`` as floats of shape (samples, height, width, channels)."""
        if x.ndim != self.axes + 2:
            lengths = "height, width" if self.axes == 2 else "steps"
            remedy = " Add the channels: x[..., None]." if x.ndim == self.axes + 1 else ""
            raise ValueError(
                f"{self!r}: the input must be (samples, {lengths}, channels), got shape {x.shape}."
                f"{remedy}"
            )
        return self._with_height(self.floats(x))

    def _with_height(self, array: Array) -> Array:
        return array if self.axes == 2 else array[:, None]

    def _without_height(self, images: Array) -> Array:
        return images if self.axes == 2 else images[:, 0]

    def _pair(self, name: str, value: int | Sequence[int], least: int) -> Pair:
        """Return an argument as (along the height, along the width)."""
        return numbers(type(self).__name__, name, value, self.axes, least)


class _Windows(Images):
    """Windows of one size that move a stride at a time."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        *,
        padding: int | Sequence[int] = 0,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self._kernel = self._pair("kernel_size", kernel_size, 1)
        self._stride = self._kernel if stride is None else self._pair("stride", stride, 1)
        self._padding = self._pair("padding", padding, 0)
        if any(2 * p > k for p, k in zip(self._padding, self._kernel, strict=True)):
            raise ValueError(
                f"{self!r}: padding must be at most half the kernel, or windows would see nothing."
            )

    def _steps(self, images: Array) -> tuple[int, int]:
        """Return how many windows there are along height and width."""
        rows, columns = (
            (n + 2 * p - k) // s + 1
            for n, k, s, p in zip(
                images.shape[1:3], self._kernel, self._stride, self._padding, strict=True
            )
        )
        if min(rows, columns) < 1:
            raise ValueError(
                f"{self!r}: the window is larger than the input of shape "
                f"{self._without_height(images).shape}. Use a smaller kernel_size."
            )
        return rows, columns

    def _places(self, shape: Sequence[int], steps: Sequence[int]) -> list[Place]:
        """Return for each position in the window: the windows that see something there, and what.

        That is a pair of indices: ``y[outs]`` are those windows, ``images[ins]`` what they see. At
        the border some windows see padding, and are left out.
        """
        by_axis = [
            [_seen(i, n, count, s, p) for i in range(k)]
            for n, count, k, s, p in zip(
                shape[1:3], steps, self._kernel, self._stride, self._padding, strict=True
            )
        ]
        return [
            ((slice(None), out_rows, out_columns), (slice(None), in_rows, in_columns))
            for out_rows, in_rows in by_axis[0]
            for out_columns, in_columns in by_axis[1]
        ]

    def _grad_x(self, shape: tuple[int, ...], grad: Array) -> Array:
        """Return a buffer for the input's gradient; zero where it is not sure to be written."""
        grad_x = self.buffer("grad_x", shape, grad.dtype)
        reached = [n * k for n, k in zip(grad.shape[1:3], self._kernel, strict=True)]
        if self._kernel != self._stride or any(self._padding) or reached != list(shape[1:3]):
            grad_x.fill(0)
        return grad_x

    @property
    def _overlap(self) -> bool:
        return any(s < k for s, k in zip(self._stride, self._kernel, strict=True))


def _seen(i: int, length: int, count: int, stride: int, padding: int) -> tuple[slice, slice]:
    """Return which of ``count`` windows have position ``i`` inside an axis, and where it is."""
    first = max(0, -((i - padding) // stride))
    last = max(first, min(count, (length - 1 + padding - i) // stride + 1))
    start = first * stride + i - padding
    return slice(first, last), slice(start, start + (last - first) * stride, stride)


class MaxPool2d(_Windows):
    r"""Max pooling: the greatest value of each window, in each channel.

    .. math:: y_{ij} = \max_{a, b} x_{si + a - p,\, sj + b - p}

    Backward: the gradient goes to the place that won, and nowhere else; at a tie to the first one,
    row by row. An input in several windows gets the sum of what it won.

    Parameters
    ----------
    kernel_size : int or two
        Height and width of the window.
    stride : int or two, optional
        How far the window moves; its own size if None.
    padding : int or two
        Border that windows may reach over, at most half the kernel. It never wins.

    Notes
    -----
    Shapes: (samples, height, width, channels) to (samples, rows, columns, channels), with
    ``rows = (height + 2 padding - kernel) // stride + 1``. Kept for ``backward``: which position
    won, one byte an output. Source: Zhou and Chellappa, Computation of Optical Flow Using a Neural
    Network, 1988.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import MaxPool2d
    >>> layer = MaxPool2d(2)
    >>> x = np.array([[1.0, 2.0, 5.0, 0.0], [4.0, 3.0, 0.0, 5.0]])[None, :, :, None]
    >>> layer.forward(x)[0, :, :, 0]
    array([[4., 5.]])
    >>> layer.backward(np.array([10.0, 20.0]).reshape(1, 1, 2, 1))[0, :, :, 0]
    array([[ 0.,  0., 20.,  0.],
           [10.,  0.,  0.,  0.]])
    """

    keeps = ("winner", "images_shape")

    winner: Array
    images_shape: tuple[int, ...]

    def forward(self, x: Array) -> Array:
        """Return the greatest value of each window.

        Raises
        ------
        ValueError
            If the input has another number of axes, or is smaller than the window.
        """
        images = self._images(x)
        steps = self._steps(images)
        shape = (len(images), *steps, images.shape[3])
        y = self.buffer("y", shape, images.dtype)
        # From the last position to the first: who comes later wins ties, and has the higher rank.
        places = self._places(images.shape, steps)[::-1]
        outs, ins = places[0]
        if any(self._padding):
            y.fill(-math.inf)
        y[outs] = images[ins]
        if not self.keeping:
            for outs, ins in places[1:]:
                np.maximum(y[outs], images[ins], out=y[outs])
            return self._without_height(y)
        winner = self.buffer("winner", shape, np.min_scalar_type(len(places)))
        winner.fill(0)
        wins = self.buffer("wins", shape, bool)
        ranks = self.buffer("ranks", shape, winner.dtype)
        # Read twice: NumPy goes through it in one run, through the image in one for each window.
        seen = self.buffer("seen", shape, images.dtype)
        for rank, (outs, ins) in enumerate(places[1:], start=1):
            seen[outs] = images[ins]
            np.greater_equal(seen[outs], y[outs], out=wins[outs])
            np.multiply(wins[outs].view(np.uint8), winner.dtype.type(rank), out=ranks[outs])
            np.maximum(winner[outs], ranks[outs], out=winner[outs])
            np.maximum(y[outs], seen[outs], out=y[outs])
        self.winner, self.images_shape = winner, images.shape
        return self._without_height(y)

    def backward(self, grad: Array) -> Array:
        """Return ``grad`` at the place that won in each window, 0 elsewhere."""
        winner = self.winner
        grad = self._with_height(grad)
        grad_x = self._grad_x(self.images_shape, grad)
        won = self.buffer("wins", winner.shape, bool)
        part = self.buffer_like("part", grad) if self._overlap else grad
        places = self._places(self.images_shape, winner.shape[1:3])[::-1]
        for rank, (outs, ins) in enumerate(places):
            np.equal(winner[outs], winner.dtype.type(rank), out=won[outs])
            if self._overlap:
                grad_x[ins] += np.multiply(grad[outs], won[outs], out=part[outs])
            else:
                np.multiply(grad[outs], won[outs], out=grad_x[ins])
        return self._without_height(grad_x)


class MaxPool1d(MaxPool2d):
    r"""Max pooling over sequences: the greatest value of each window, in each channel.

    .. math:: y_i = \max_a x_{si + a - p}

    Backward: as :class:`MaxPool2d`.

    Parameters
    ----------
    kernel_size : int
        Length of the window.
    stride : int, optional
        How far the window moves; its own length if None.
    padding : int
        Border that windows may reach over, at most half the kernel. It never wins.

    Notes
    -----
    Shapes: (samples, steps, channels) to (samples, windows, channels).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import MaxPool1d
    >>> MaxPool1d(3, stride=1).forward(np.array([[[1.0], [5.0], [2.0], [3.0]]])).ravel()
    array([5., 5.])
    """

    axes = 1


class AvgPool2d(_Windows):
    r"""Average pooling: the mean of each window, in each channel.

    .. math:: y_{ij} = \frac{1}{k_h k_w} \sum_{a, b} x_{si + a - p,\, sj + b - p}

    Backward: each of the window's places gets an equal share of the gradient; an input in several
    windows gets the sum of its shares.

    Parameters
    ----------
    kernel_size : int or two
        Height and width of the window.
    stride : int or two, optional
        How far the window moves; its own size if None.
    padding : int or two
        Border of zeros that windows may reach over, at most half the kernel.
    count_padding : bool
        Whether the zeros of the border count in the mean.

    Notes
    -----
    Shapes: (samples, height, width, channels) to (samples, rows, columns, channels), with
    ``rows = (height + 2 padding - kernel) // stride + 1``. Source: LeCun et al., Gradient-Based
    Learning Applied to Document Recognition, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import AvgPool2d
    >>> layer = AvgPool2d(2)
    >>> x = np.array([[1.0, 2.0, 5.0, 0.0], [4.0, 3.0, 0.0, 5.0]])[None, :, :, None]
    >>> layer.forward(x)[0, :, :, 0]
    array([[2.5, 2.5]])
    >>> layer.backward(np.array([4.0, 8.0]).reshape(1, 1, 2, 1))[0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """

    keeps = ("images_shape",)

    images_shape: tuple[int, ...]

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        *,
        padding: int | Sequence[int] = 0,
        count_padding: bool = True,
    ) -> None:
        self.count_padding = count_padding
        super().__init__(kernel_size, stride, padding=padding)

    def forward(self, x: Array) -> Array:
        """Return the mean of each window.

        Raises
        ------
        ValueError
            If the input has another number of axes, or is smaller than the window.
        """
        images = self._images(x)
        self.images_shape = images.shape
        steps = self._steps(images)
        shape = (len(images), *steps, images.shape[3])
        # Half precision would overflow in the sum.
        total = self.buffer("total", shape, np.result_type(images.dtype, np.float32))
        total.fill(0)
        for outs, ins in self._places(images.shape, steps):
            total[outs] += images[ins]
        y = self.buffer("y", shape, images.dtype)
        np.divide(total, self._counts(images.shape, steps), out=y, casting="same_kind")
        return self._without_height(y)

    def backward(self, grad: Array) -> Array:
        """Return the shares of ``grad``, each at the place that it came from."""
        shape = self.images_shape
        grad = self._with_height(grad)
        steps = grad.shape[1:3]
        shares = self.buffer_like("shares", grad)
        np.divide(grad, self._counts(shape, steps), out=shares, casting="same_kind")
        grad_x = self._grad_x(shape, grad)
        for outs, ins in self._places(shape, steps):
            if self._overlap:
                grad_x[ins] += shares[outs]
            else:
                grad_x[ins] = shares[outs]
        return self._without_height(grad_x)

    def _counts(self, shape: Sequence[int], steps: Sequence[int]) -> Array | int:
        """Return how many values each window's mean is over, to divide by."""
        if self.count_padding or not any(self._padding):
            return math.prod(self._kernel)
        counts = np.zeros((1, *steps, 1), np.float32)
        for outs, _ in self._places(shape, steps):
            counts[outs] += 1
        return counts


class AvgPool1d(AvgPool2d):
    r"""Average pooling over sequences: the mean of each window, in each channel.

    .. math:: y_i = \frac{1}{k} \sum_a x_{si + a - p}

    Backward: as :class:`AvgPool2d`.

    Parameters
    ----------
    kernel_size : int
        Length of the window.
    stride : int, optional
        How far the window moves; its own length if None.
    padding : int
        Border of zeros that windows may reach over, at most half the kernel.
    count_padding : bool
        Whether the zeros of the border count in the mean.

    Notes
    -----
    Shapes: (samples, steps, channels) to (samples, windows, channels).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import AvgPool1d
    >>> x = np.array([[[1.0], [5.0], [3.0], [3.0]]])
    >>> AvgPool1d(3, stride=1).forward(x).round(2).ravel()
    array([3.  , 3.67])
    >>> AvgPool1d(2, padding=1, count_padding=False).forward(x).ravel()
    array([1., 4., 3.])
    """

    axes = 1
