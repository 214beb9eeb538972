"""Where in a sequence a step stands: attention alone cannot tell."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from chainrule.layer import Array, Layer

__all__ = ["LearnedPositions", "rotated", "rotations"]


class LearnedPositions(Layer):
    r"""Add to each step a vector of its own, which is learned.

    .. math:: y_{n t} = x_{n t} + w_t, \qquad
        \frac{\partial L}{\partial w_t} = \sum_n g_{n t}, \qquad
        \frac{\partial L}{\partial x} = g

    Parameters
    ----------
    steps : int
        The longest sequence.
    width : int
        Length of the input's last axis.

    Attributes
    ----------
    table : array, shape (steps, width)
    grad_table : array
        Its gradient, after ``backward``: 0 where the sequences did not reach.

    Notes
    -----
    Shapes: (samples, up to ``steps``, width) to the same. Source: Gehring et al., Convolutional
    Sequence to Sequence Learning, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import LearnedPositions
    >>> layer = LearnedPositions(4, 2)
    >>> layer.table = np.arange(8.0).reshape(4, 2)
    >>> layer.forward(np.zeros((1, 2, 2), np.float32))
    array([[[0., 1.],
            [2., 3.]]], dtype=float32)
    """

    parameters: ClassVar = {"table": "grad_table"}
    keeps = ("steps_seen",)

    table: Array
    grad_table: Array
    steps_seen: int

    def __init__(self, steps: int, width: int) -> None:
        if not all(isinstance(n, (int, np.integer)) and n >= 1 for n in (steps, width)):
            raise ValueError(
                f"LearnedPositions({steps!r}, {width!r}): both must be whole numbers, at least 1."
            )
        self.steps = steps
        self.width = width

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of ``table``."""
        return {"table": (self.steps, self.width)}

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw ``table`` from ``rng``: small, as in Radford et al., 2018."""
        self.table = 0.02 * rng.standard_normal((self.steps, self.width))

    def forward(self, x: Array) -> Array:
        """Return ``x`` with each step's vector added.

        Raises
        ------
        ValueError
            If the shape does not fit, or a sequence is too long.
        """
        if x.ndim != 3 or x.shape[-1] != self.width or x.shape[1] > self.steps:
            raise ValueError(
                f"{self!r}: the input must have shape (samples, at most {self.steps} steps, "
                f"{self.width}), got {x.shape}."
            )
        x = self.floats(x)
        self.steps_seen = x.shape[1]
        return np.add(x, self.table[: x.shape[1]], out=self.buffer_like("y", x))

    def backward(self, grad: Array) -> Array:
        """Store ``grad_table``; return ``grad``."""
        self.backward_parameters(grad)
        return grad

    def backward_parameters(self, grad: Array) -> None:
        """Store ``grad_table``."""
        steps = self.steps_seen
        self.grad_table[steps:] = 0
        flat = grad.reshape(len(grad), steps * self.width)
        self.sum_rows(flat, out=self.grad_table[:steps].reshape(-1))


@lru_cache(maxsize=16)
def rotations(steps: int, depth: int, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Return the cosines and sines of each step's angles, each of shape (steps, depth / 2).

    Step t turns pair i by the angle :math:`t / 10000^{2 i / d}`: Su et al., RoFormer, 2021.
    """
    angles = np.arange(steps)[:, None] / 10_000 ** (2 * np.arange(depth // 2) / depth)
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


def rotated(x: Array, cosines: Array, sines: Array) -> None:
    """Turn each pair (x_i, x_{i + d/2}) of the last axis in place; axis -2 is the steps."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    turned = first * cosines - second * sines
    second *= cosines
    second += first * sines
    first[...] = turned
