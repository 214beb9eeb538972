"""Layers that only change the shape, or the order of the axes."""

import math
from collections.abc import Sequence

import numpy as np

from chainrule.layer import Array, Layer

__all__ = ["Flatten", "Reshape", "Transpose"]


class Flatten(Layer):
    """Lay every axis but the samples end to end.

    Shapes: (samples, ...) to (samples, product of the rest). The backward gives the gradient the
    shape of the input again. Both are views: nothing is copied where memory allows it.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Flatten
    >>> layer = Flatten()
    >>> layer.forward(np.zeros((64, 28, 28))).shape
    (64, 784)
    >>> layer.backward(np.zeros((64, 784))).shape
    (64, 28, 28)
    """

    keeps = ("input_shape",)

    input_shape: tuple[int, ...]

    def forward(self, x: Array) -> Array:
        """Return ``x`` with shape (samples, features)."""
        self.input_shape = x.shape
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, grad: Array) -> Array:
        """Return ``grad`` in the shape of the input."""
        return grad.reshape(self.input_shape)


class Reshape(Layer):
    """Give each sample another shape, with the same values in the same order.

    Parameters
    ----------
    shape : sequence of int
        The shape of a sample in the output. One length may be -1: what is left for it.

    Notes
    -----
    Shapes: (samples, ...) to (samples, *shape). The backward gives the gradient the shape of the
    input again. Both are views: nothing is copied where memory allows it.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Reshape
    >>> layer = Reshape([28, 28, 1])
    >>> layer.forward(np.zeros((64, 784))).shape
    (64, 28, 28, 1)
    >>> layer.backward(np.zeros((64, 28, 28, 1))).shape
    (64, 784)
    """

    keeps = ("input_shape",)

    input_shape: tuple[int, ...]

    def __init__(self, shape: Sequence[int]) -> None:
        lengths = [int(n) for n in np.atleast_1d(shape)]
        if any(n < -1 or n == 0 for n in lengths) or lengths.count(-1) > 1:
            raise ValueError(f"Reshape({shape}): lengths are 1 or more; one of them may be -1.")
        self.shape = lengths

    def forward(self, x: Array) -> Array:
        """Return ``x`` with shape (samples, *shape).

        Raises
        ------
        ValueError
            If a sample has another number of values.
        """
        values = math.prod(x.shape[1:])
        known = math.prod(n for n in self.shape if n > 0)
        if values % known if -1 in self.shape else values != known:
            raise ValueError(
                f"{self!r}: a sample of shape {x.shape[1:]} has {values} values, "
                f"and they do not fill {tuple(self.shape)}."
            )
        self.input_shape = x.shape
        return x.reshape(len(x), *(values // known if n < 0 else n for n in self.shape))

    def backward(self, grad: Array) -> Array:
        """Return ``grad`` in the shape of the input."""
        return grad.reshape(self.input_shape)


class Transpose(Layer):
    r"""Put the axes of a sample into another order; the samples stay in front.

    .. math:: y_{n, i_{a_1}, i_{a_2}, \dots} = x_{n, i_1, i_2, \dots}

    Parameters
    ----------
    axes : sequence of int
        For each axis of the output, which axis of the input it is. Axis 0 is the samples, so these
        count from 1.

    Notes
    -----
    The backward puts the axes back. Both are views: nothing is copied.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Transpose
    >>> layer = Transpose([2, 3, 1])  # from channels-first to channels-last
    >>> layer.forward(np.zeros((64, 3, 32, 28))).shape
    (64, 32, 28, 3)
    >>> layer.backward(np.zeros((64, 32, 28, 3))).shape
    (64, 3, 32, 28)
    """

    keeps = ("back",)

    back: list[int]

    def __init__(self, axes: Sequence[int]) -> None:
        self.axes = [int(axis) for axis in axes]
        if sorted(self.axes) != list(range(1, len(self.axes) + 1)):
            raise ValueError(
                f"Transpose({axes}): needs each of the axes 1 to {len(self.axes)} once. "
                "Axis 0, the samples, stays in front."
            )

    def forward(self, x: Array) -> Array:
        """Return ``x`` with its axes in the new order.

        Raises
        ------
        ValueError
            If ``x`` has another number of axes.
        """
        if x.ndim != len(self.axes) + 1:
            raise ValueError(
                f"{self!r}: a sample must have {len(self.axes)} axes, got shape {x.shape[1:]}."
            )
        order = [0, *self.axes]
        self.back = [order.index(axis) for axis in range(x.ndim)]
        return x.transpose(order)

    def backward(self, grad: Array) -> Array:
        """Return ``grad`` with its axes in the order of the input."""
        return grad.transpose(self.back)
