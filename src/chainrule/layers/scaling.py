"""A factor and a summand for each value: fixed ones, or learned ones for each channel."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from chainrule.layer import Array, Layer

__all__ = ["Rescale", "Scale"]


class Rescale(Layer):
    r"""Multiply by fixed numbers and add fixed numbers, as to prepare the inputs of a net.

    .. math:: y = a x + b, \qquad \frac{\partial L}{\partial x} = a \frac{\partial L}{\partial y}

    Parameters
    ----------
    scale, shift : float or sequence of float
        :math:`a` and :math:`b`: one number, or one for each place along the last axis.

    Notes
    -----
    Shapes: any to the same. Nothing is learned: see :class:`Scale`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Rescale
    >>> Rescale(1 / 255).forward(np.array([[0.0, 51.0, 255.0]]))
    array([[0. , 0.2, 1. ]])
    >>> Rescale([1, 10], shift=0.5).forward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[ 1.5, 20.5],
           [ 3.5, 40.5]])
    """

    keeps = ("factor",)

    factor: Array

    def __init__(
        self, scale: float | Sequence[float] = 1.0, shift: float | Sequence[float] = 0.0
    ) -> None:
        self._scale, self._shift = (
            _numbers(name, value) for name, value in (("scale", scale), ("shift", shift))
        )
        lengths = {part.size for part in (self._scale, self._shift) if part.ndim}
        if len(lengths) > 1:
            raise ValueError(
                f"Rescale: scale and shift must have one length, got {self._scale.size} and "
                f"{self._shift.size} numbers."
            )
        self.scale = self._scale.tolist()
        self.shift = self._shift.tolist()
        self._length = lengths.pop() if lengths else None

    def forward(self, x: Array) -> Array:
        """Return ``scale * x + shift``.

        Raises
        ------
        ValueError
            If the last axis of ``x`` is not as long as ``scale`` or ``shift``.
        """
        if self._length is not None and (x.ndim < 2 or x.shape[-1] != self._length):
            raise ValueError(
                f"Rescale: there are {self._length} numbers, so the input must have shape "
                f"(samples, ..., {self._length}), got {x.shape}."
            )
        x = self.floats(x)
        y = self.buffer_like("y", x)
        self.factor = factor = self._scale.astype(x.dtype)
        np.multiply(x, factor, out=y)
        y += self._shift.astype(x.dtype)
        return y

    def backward(self, grad: Array) -> Array:
        """Return ``scale * grad``."""
        return np.multiply(grad, self.factor, out=self.buffer_like("grad_x", grad))


def _numbers(name: str, value: float | Sequence[float]) -> Array:
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty((0, 0))
    if numbers.ndim > 1 or not numbers.size or not np.isfinite(numbers).all():
        raise ValueError(
            f"Rescale: {name} must be a finite number or a list of them, got {value!r:.80}."
        )
    return numbers


class Scale(Layer):
    r"""A learned factor and a learned summand for each channel.

    .. math:: y = \gamma x + \beta

    Backward, with :math:`g = \partial L / \partial y`:

    .. math::
        \frac{\partial L}{\partial \gamma} = \sum g x, \qquad
        \frac{\partial L}{\partial \beta} = \sum g, \qquad
        \frac{\partial L}{\partial x} = \gamma g

    where the sums are over all samples, at all places.

    Parameters
    ----------
    n : int
        Length of the input's last axis.
    factor, summand : bool
        Whether there is a ``scale`` to multiply by, and a ``shift`` to add; one of them at least.

    Attributes
    ----------
    scale, shift : arrays, shape (n,)
        1 and 0 at first.
    grad_scale, grad_shift : arrays
        Their gradients, after ``backward``.

    Notes
    -----
    Shapes: (samples, ..., n) to the same. Source: it is the last step of the normalisations, as in
    Ioffe and Szegedy, Batch Normalization, 2015; alone: Touvron et al., Going deeper with Image
    Transformers, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Scale
    >>> layer = Scale(2)
    >>> layer.scale, layer.shift = np.array([1.0, 10.0]), np.array([0.0, 0.5])
    >>> layer.forward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[ 1. , 20.5],
           [ 3. , 40.5]])
    """

    parameters: ClassVar = {"scale": "grad_scale", "shift": "grad_shift"}
    keeps = ("x",)

    scale: Array
    shift: Array
    grad_scale: Array
    grad_shift: Array
    x: Array

    def __init__(self, n: int, *, factor: bool = True, summand: bool = True) -> None:
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"Scale({n!r}): n must be a whole number, at least 1.")
        if not (factor or summand):
            raise ValueError(f"Scale({n}): without factor and without summand it does nothing.")
        self.n = n
        self.factor = factor
        self.summand = summand

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of ``scale`` and ``shift``, where there are such."""
        there = {"scale": self.factor, "shift": self.summand}
        return {name: (self.n,) for name, is_there in there.items() if is_there}

    def initialize(self, rng: np.random.Generator) -> None:
        """Set ``scale`` to 1 and ``shift`` to 0."""
        if self.factor:
            self.scale = np.ones(self.n)
        if self.summand:
            self.shift = np.zeros(self.n)

    def forward(self, x: Array) -> Array:
        """Return ``scale * x + shift``.

        Raises
        ------
        ValueError
            If the last axis of ``x`` is not ``n``, or there is no axis of samples.
        """
        if x.ndim < 2 or x.shape[-1] != self.n:
            raise ValueError(
                f"{self!r}: the input must have shape (samples, ..., {self.n}), got {x.shape}."
            )
        self.x = x = self.floats(x)
        y = self.buffer_like("y", x)
        if self.factor:
            np.multiply(x, self.scale, out=y, casting="same_kind")
        if self.summand:
            np.add(y if self.factor else x, self.shift, out=y, casting="same_kind")
        return y

    def backward(self, grad: Array) -> Array:
        """Store ``grad_scale`` and ``grad_shift``; return ``scale * grad``."""
        self.backward_parameters(grad)
        if not self.factor:
            return grad
        grad_x = self.buffer_like("grad_x", grad)
        return np.multiply(grad, self.scale, out=grad_x, casting="same_kind")

    def backward_parameters(self, grad: Array) -> None:
        """Store ``grad_scale`` and ``grad_shift``."""
        rows, x = grad.reshape(-1, self.n), self.x.reshape(-1, self.n)
        if self.factor:
            self.grad_scale = np.einsum("ij,ij->j", rows, x)
        if self.summand:
            self.sum_rows(rows, out=self.grad_shift)
