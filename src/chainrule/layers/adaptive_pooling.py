"""Pooling down to a size that is asked for: one value a channel, or a grid of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers.pooling import Images

__all__ = ["AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "GlobalAvgPool"]


class GlobalAvgPool(Layer):
    r"""Global average pooling: the mean of each channel over all places of a sample.

    .. math:: y_c = \frac{1}{P} \sum_{p=1}^{P} x_{pc}, \qquad
        \frac{\partial L}{\partial x_{pc}} = \frac{g_c}{P}

    Notes
    -----
    Shapes: (samples, ..., channels) to (samples, channels), with any number of axes between.
    Source: Lin et al., Network In Network, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import GlobalAvgPool
    >>> layer = GlobalAvgPool()
    >>> layer.forward(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[3., 4.]])
    >>> layer.backward(np.array([[4.0, 8.0]]))[0, 0]
    array([[1., 2.],
           [1., 2.]])
    """

    keeps = ("input_shape",)

    input_shape: tuple[int, ...]

    def forward(self, x: Array) -> Array:
        """Return the mean of each channel.

        Raises
        ------
        ValueError
            If there is no axis, or nothing, between samples and channels.
        """
        places = math.prod(x.shape[1:-1])
        if x.ndim < 3 or places == 0:
            raise ValueError(
                f"{self!r}: the input must be (samples, ..., channels) with something between, "
                f"got shape {x.shape}."
            )
        self.input_shape = x.shape
        x = self.floats(x)
        y = self.buffer("y", (len(x), x.shape[-1]), x.dtype)
        # A product with ones sums several times faster than mean(axis=1); not in half precision.
        wide = x.astype(np.result_type(x.dtype, np.float32), copy=False)
        sums = np.matmul(np.ones(places, wide.dtype), wide.reshape(len(x), places, x.shape[-1]))
        return np.divide(sums, places, out=y, casting="same_kind")

    def backward(self, grad: Array) -> Array:
        """Return an equal share of ``grad`` at every place."""
        shape = self.input_shape
        places = math.prod(shape[1:-1])
        grad_x = self.buffer("grad_x", shape, grad.dtype)
        grad_x.reshape(shape[0], places, shape[-1])[...] = (grad / places)[:, None]
        return grad_x


class AdaptiveAvgPool2d(Images):
    r"""Adaptive average pooling: as many windows as asked for, whatever the size of the image.

    Window :math:`i` of :math:`m` over an axis of length :math:`n` reaches from
    :math:`\lfloor i n / m \rfloor` to :math:`\lceil (i + 1) n / m \rceil`; where :math:`m` does not
    divide :math:`n`, neighbours overlap by one. Each output is the mean of its window. Backward:
    each place gets an equal share of the gradient of every window that it is in.

    Parameters
    ----------
    output_size : int or two
        How many windows along height and width.

    Notes
    -----
    Shapes: (samples, height, width, channels) to (samples, \*output_size, channels). Source: He et
    al., Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import AdaptiveAvgPool2d
    >>> layer = AdaptiveAvgPool2d((1, 2))
    >>> layer.forward(np.arange(6.0).reshape(1, 2, 3, 1))[0, :, :, 0]
    array([[2., 3.]])
    >>> layer.backward(np.array([4.0, 8.0]).reshape(1, 1, 2, 1))[0, :, :, 0]
    array([[1., 3., 2.],
           [1., 3., 2.]])
    """

    keeps = ("images_shape",)

    images_shape: tuple[int, ...]

    def __init__(self, output_size: int | Sequence[int]) -> None:
        self.output_size = output_size
        self._output = self._pair("output_size", output_size, 1)

    def forward(self, x: Array) -> Array:
        """Return the mean of each window.

        Raises
        ------
        ValueError
            If the input has another number of axes, or nothing along one of them.
        """
        images = self._images(x)
        self.images_shape = samples, height, width, channels = images.shape
        if height == 0 or width == 0:
            raise ValueError(f"{self!r}: there is nothing to average in shape {x.shape}.")
        # The mean of a window is the mean over its columns of the means over its rows.
        wide = np.result_type(images.dtype, np.float32)  # half precision would overflow in sums
        means = self.buffer("means", (samples, self._output[0], width, channels), wide)
        for i, (first, last) in enumerate(_parts(height, self._output[0])):
            np.mean(images[:, first:last], axis=1, dtype=wide, out=means[:, i])
        y = self.buffer("y", (samples, *self._output, channels), images.dtype)
        for j, (first, last) in enumerate(_parts(width, self._output[1])):
            y[:, :, j] = means[:, :, first:last].mean(axis=2)
        return self._without_height(y)

    def backward(self, grad: Array) -> Array:
        """Return the shares of ``grad``, summed over the windows that each place is in."""
        samples, height, width, channels = self.images_shape
        grad = self._with_height(grad)
        grad_means = self.buffer(
            "grad_means", (samples, self._output[0], width, channels), grad.dtype
        )
        grad_means.fill(0)
        for j, (first, last) in enumerate(_parts(width, self._output[1])):
            grad_means[:, :, first:last] += grad[:, :, j : j + 1] / (last - first)
        grad_x = self.buffer("grad_x", self.images_shape, grad.dtype)
        grad_x.fill(0)
        for i, (first, last) in enumerate(_parts(height, self._output[0])):
            grad_x[:, first:last] += grad_means[:, i : i + 1] / (last - first)
        return self._without_height(grad_x)


def _parts(length: int, count: int) -> list[tuple[int, int]]:
    """Return where each of ``count`` windows over an axis begins and ends."""
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


class AdaptiveAvgPool1d(AdaptiveAvgPool2d):
    r"""Adaptive average pooling over sequences: as many windows as asked for, whatever the length.

    Windows and backward as :class:`AdaptiveAvgPool2d`.

    Parameters
    ----------
    output_size : int
        How many windows.

    Notes
    -----
    Shapes: (samples, steps, channels) to (samples, output_size, channels).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import AdaptiveAvgPool1d
    >>> AdaptiveAvgPool1d(2).forward(np.array([[[1.0], [5.0], [3.0]]])).ravel()
    array([3., 4.])
    """

    axes = 1
