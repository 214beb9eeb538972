"""The linear layer."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

from typing import ClassVar

import numpy as np

from chainrule.initializers import INITIALIZERS
from chainrule.layer import Array, Layer

__all__ = ["Linear"]


class Linear(Layer):
    r"""Linear layer: each output is a weighted sum of the inputs, plus a bias.

    .. math:: y = x W + b

    Backward, with :math:`g = \partial L / \partial y`:

    .. math::
        \frac{\partial L}{\partial W} = x^T g, \qquad
        \frac{\partial L}{\partial b} = \sum_{samples} g, \qquad
        \frac{\partial L}{\partial x} = g W^T

    Parameters
    ----------
    n_in : int
        Length of the input's last axis.
    n_out : int
        Length of the output's last axis.
    bias : bool
        Whether to add ``biases``.
    initializer : str
        How the weights are drawn: a name of :mod:`chainrule.initializers`. Biases start at 0.

    Attributes
    ----------
    weights : array, shape (n_in, n_out)
    biases : array, shape (n_out,)
    grad_w, grad_b : arrays
        Their gradients, after ``backward``.

    Notes
    -----
    Shapes: (samples, ..., n_in) to (samples, ..., n_out). With more than two axes, every axis but
    the last counts as samples in the sums.

    Source: S. Gugger, A simple neural net in numpy, 2018; the default weights: He et al., 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear
    >>> layer = Linear(2, 3)
    >>> layer.weights = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
    >>> layer.biases = np.array([0.0, 10.0, 0.0])
    >>> layer.forward(np.array([[1.0, 2.0]], dtype=np.float32))
    array([[ 1., 12.,  4.]], dtype=float32)
    >>> layer.backward(np.array([[1.0, 1.0, 1.0]], dtype=np.float32))
    array([[3., 2.]], dtype=float32)
    >>> layer.grad_w
    array([[1., 1., 1.],
           [2., 2., 2.]], dtype=float32)
    """

    parameters: ClassVar = {"weights": "grad_w", "biases": "grad_b"}
    keeps = ("x",)

    weights: Array
    biases: Array
    grad_w: Array
    grad_b: Array
    x: Array

    def __init__(
        self, n_in: int, n_out: int, *, bias: bool = True, initializer: str = "he"
    ) -> None:
        if not all(isinstance(n, (int, np.integer)) for n in (n_in, n_out)):
            raise TypeError(f"Linear({n_in!r}, {n_out!r}): both sizes must be whole numbers.")
        if n_in < 1 or n_out < 1:
            raise ValueError(f"Linear({n_in}, {n_out}): both sizes must be at least 1.")
        if initializer not in INITIALIZERS:
            raise ValueError(
                f"Linear({n_in}, {n_out}): unknown initializer {initializer!r}. "
                f"There are: {', '.join(INITIALIZERS)}."
            )
        self.n_in = n_in
        self.n_out = n_out
        self.bias = bias
        self.initializer = initializer

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of ``weights`` and ``biases``."""
        shapes: dict[str, tuple[int, ...]] = {"weights": (self.n_in, self.n_out)}
        if self.bias:
            shapes["biases"] = (self.n_out,)
        return shapes

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw ``weights`` from ``rng``; set ``biases`` to 0."""
        self.weights = INITIALIZERS[self.initializer](rng, (self.n_in, self.n_out))
        if self.bias:
            self.biases = np.zeros(self.n_out)

    def forward(self, x: Array) -> Array:
        """Return ``x W + b``, shape (samples, ..., n_out).

        Raises
        ------
        ValueError
            If the last axis of ``x`` is not ``n_in``, or there is no axis of samples.
        """
        if x.ndim < 2 or x.shape[-1] != self.n_in:
            raise ValueError(self._wrong_shape(x))
        self.x = x
        y = self.buffer("y", (*x.shape[:-1], self.n_out))
        np.matmul(x, self.weights, out=y)
        if self.bias:
            self.add_to_rows(y, self.biases)
        return y

    def backward(self, grad: Array) -> Array:
        """Store ``grad_w`` and ``grad_b``; return ``g W^T``, shape (samples, ..., n_in)."""
        self.backward_parameters(grad)
        grad_x = self.buffer("grad_x", self.x.shape)
        return np.matmul(grad, self.weights.T, out=grad_x)

    def backward_parameters(self, grad: Array) -> None:
        """Store ``grad_w`` and ``grad_b``."""
        x_rows = self.x.reshape(-1, self.n_in)
        grad_rows = grad.reshape(-1, self.n_out)
        if len(grad_rows) == 1:  # the same outer product, which matmul is slow at
            np.multiply(x_rows.T, grad_rows, out=self.grad_w)
        else:
            np.matmul(x_rows.T, grad_rows, out=self.grad_w)
        if self.bias:
            self.sum_rows(grad_rows, out=self.grad_b)

    def _wrong_shape(self, x: Array) -> str:
        message = f"{self!r}: the last axis of the input must be {self.n_in}, got shape {x.shape}."
        if x.ndim < 2:
            return (
                f"{self!r}: the input needs an axis of samples, got shape {x.shape}. Use x[None]."
            )
        if np.prod(x.shape[1:]) == self.n_in:
            return f"{message} Put Flatten() before it."
        return f"{message} Use Linear({x.shape[-1]}, {self.n_out})."
