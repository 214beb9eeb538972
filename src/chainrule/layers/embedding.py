"""Embedding: a row of numbers for each token."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

from typing import ClassVar

import numpy as np

from chainrule.layer import Array, Layer

__all__ = ["Embedding"]


class Embedding(Layer):
    r"""A table with a row for each token; each index is replaced by its row.

    .. math:: y = W_{x}

    Backward: the gradient of a row is the sum of the gradients of all places where it stands, and
    indices have no gradient (``backward`` returns zeros):

    .. math:: \frac{\partial L}{\partial W_k} = \sum_{places:\, x = k} g

    Parameters
    ----------
    n_tokens : int
        How many tokens there are; indices are 0 to ``n_tokens - 1``.
    width : int
        Length of a row.
    padding : int, optional
        The index of a token that only fills up sequences: its output is zeros, its row gets no
        gradient. Recurrent layers with ``padding=0.0`` then pass over it.

    Attributes
    ----------
    weights : array, shape (n_tokens, width)
        Drawn from :math:`N(0, 1)`; zeros in the row of ``padding``.
    grad_w : array
        Its gradient, after ``backward``.

    Notes
    -----
    Shapes: whole numbers (samples, ...) to (samples, ..., width). Indices may also come as floats
    that are whole numbers.

    Source: Bengio et al., A Neural Probabilistic Language Model, 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Embedding
    >>> layer = Embedding(3, 2)
    >>> layer.weights = np.array([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]])
    >>> layer.forward(np.array([[2, 0, 2]]))
    array([[[2. , 2.5],
            [0. , 0.5],
            [2. , 2.5]]], dtype=float32)
    >>> grad_x = layer.backward(np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]], np.float32))
    >>> layer.grad_w
    array([[3., 4.],
           [0., 0.],
           [6., 8.]], dtype=float32)
    """

    parameters: ClassVar = {"weights": "grad_w"}
    keeps = ("indices",)
    takes_integers = True

    weights: Array
    grad_w: Array
    indices: Array

    def __init__(self, n_tokens: int, width: int, *, padding: int | None = None) -> None:
        name = f"Embedding({n_tokens!r}, {width!r})"
        for size in (n_tokens, width, *([] if padding is None else [padding])):
            if not isinstance(size, (int, np.integer)):
                raise TypeError(f"{name}: sizes and padding must be whole numbers, got {size!r}.")
        if n_tokens < 1 or width < 1:
            raise ValueError(f"{name}: both sizes must be at least 1.")
        if padding is not None and not 0 <= padding < n_tokens:
            raise ValueError(
                f"{name}: padding must be an index from 0 to {n_tokens - 1}, got {padding}."
            )
        self.n_tokens = n_tokens
        self.width = width
        self.padding = padding

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of ``weights``."""
        return {"weights": (self.n_tokens, self.width)}

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw ``weights`` from ``rng``."""
        weights = rng.standard_normal((self.n_tokens, self.width))
        if self.padding is not None:
            weights[self.padding] = 0
        self.weights = weights

    def forward(self, x: Array) -> Array:
        """Return the row of each index, shape (samples, ..., width).

        Raises
        ------
        ValueError
            If there is no axis of samples, or an index is no whole number or out of range.
        """
        indices = self._checked(x)
        self.indices = indices
        y = self.buffer("y", (*x.shape, self.width))
        # mode="clip" lets NumPy write straight into the buffer; the indices are in range.
        np.take(self.weights, indices, axis=0, out=y, mode="clip")
        if self.padding is not None:
            y[indices == self.padding] = 0
        return y

    def backward(self, grad: Array) -> Array:
        """Store ``grad_w``; return zeros: indices have no derivative."""
        self.backward_parameters(grad)
        grad_x = self.buffer("grad_x", self.indices.shape)
        grad_x[...] = 0
        return grad_x

    def backward_parameters(self, grad: Array) -> None:
        """Store ``grad_w``: each gradient is added to the row of its token."""
        grad_w = self.grad_w
        grad_w[...] = 0
        # On flat arrays np.add.at takes a fast path, several times as fast as adding whole rows.
        places = self.indices.reshape(-1, 1) * self.width + np.arange(self.width)
        np.add.at(grad_w.reshape(-1), places.reshape(-1), grad.reshape(-1))
        if self.padding is not None:
            grad_w[self.padding] = 0

    def _checked(self, x: Array) -> Array:
        """Return the indices as integers, or say what is wrong with them."""
        if x.ndim == 0:
            raise ValueError(f"{self!r}: the input needs an axis of samples, got a single number.")
        indices = x
        if x.dtype.kind == "f":
            with np.errstate(invalid="ignore"):  # NaN and infinity are no index: found just below
                indices = x.astype(np.intp)
            if not (indices == x).all():
                wrong = x[indices != x].flat[0]
                raise ValueError(
                    f"{self!r}: the input must be token indices, whole numbers, got {wrong}. "
                    "Use Linear for features."
                )
        if x.size and (indices.min() < 0 or indices.max() >= self.n_tokens):
            wrong = indices.min() if indices.min() < 0 else indices.max()
            raise ValueError(
                f"{self!r}: token indices must be from 0 to {self.n_tokens - 1}, got {wrong}. "
                f"Build it with as many tokens as the data has."
            )
        return indices.astype(np.intp, copy=False)
