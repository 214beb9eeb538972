"""Layers that only change the shape."""

import math

from chainrule.layer import Array, Layer

__all__ = ["Flatten"]


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
