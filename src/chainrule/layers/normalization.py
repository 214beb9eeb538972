"""Normalisation inside each sample: values get mean 0 and variance 1, then a learned scale.

Batch normalisation, which looks across samples, is in :mod:`chainrule.layers.batch_normalization`.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers.rows import row_sum

__all__ = ["GroupNorm", "LayerNorm", "Normalization", "RMSNorm", "along", "long_rows", "wide"]


def wide(x: Array) -> Array:
    """Return ``x`` in float32 at least: squares of half precision overflow."""
    return x.astype(np.result_type(x.dtype, np.float32), copy=False)


def long_rows(x: Array) -> tuple[int, int]:
    """Return (rows of a sample, length of a row): the last two axes as one row.

    A number for each channel, repeated along such a row, meets every channel at its places. NumPy
    is several times as fast on few long rows as on many of only a few channels.
    """
    if x.ndim == 2:
        return 1, x.shape[1]
    return math.prod(x.shape[1:-2]), x.shape[-2] * x.shape[-1]


def along(channels: Array, rows: Array) -> Array:
    """Return a number for each channel as a row of the length of ``rows``."""
    return np.tile(channels, rows.shape[-1] // len(channels))


class Normalization(Layer):
    """What the normalisations share: size, checks, and the learned scale and shift."""

    parameters: ClassVar = {"scale": "grad_scale", "shift": "grad_shift"}

    scale: Array
    shift: Array
    grad_scale: Array
    grad_shift: Array

    n: int
    epsilon: float
    affine: bool = True
    bias: bool = True

    def _check_arguments(self) -> None:
        if not isinstance(self.n, (int, np.integer)):
            raise TypeError(f"{self!r}: the number of channels must be a whole number.")
        if self.n < 1:
            raise ValueError(f"{self!r}: there must be at least 1 channel.")
        if not 0 < self.epsilon < math.inf:
            raise ValueError(f"{self!r}: epsilon must be greater than 0, got {self.epsilon}.")

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of ``scale`` and ``shift``, where there are such."""
        there = {"scale": self.affine, "shift": self.affine and self.bias}
        return {name: (self.n,) for name, learned in there.items() if learned}

    def initialize(self, rng: np.random.Generator) -> None:
        """Set ``scale`` to 1 and ``shift`` to 0."""
        for name, shape in self.parameter_shapes().items():
            setattr(self, name, np.ones(shape) if name == "scale" else np.zeros(shape))

    def _scale(self, rows: Array) -> Array:
        """Return the scale along a row; ones where none is learned."""
        return along(wide(self.scale) if self.affine else np.ones(self.n, rows.dtype), rows)

    def _checked(self, x: Array) -> Array:
        """Return the input as floats of sufficient length."""
        if x.ndim < 2:
            raise ValueError(
                f"{self!r}: the input needs an axis of samples, got shape {x.shape}. Use x[None]."
            )
        if x.shape[-1] != self.n:
            raise ValueError(
                f"{self!r}: the last axis of the input must be {self.n}, got shape {x.shape}."
            )
        return wide(self.floats(x))


class LayerNorm(Normalization):
    r"""Layer normalisation: each vector of channels gets mean 0 and variance 1, then a scale.

    .. math:: y = \gamma \hat x + \beta, \qquad
        \hat x = \frac{x - \mu}{\sigma}, \qquad
        \mu = \frac{1}{n} \sum_c x_c, \qquad
        \sigma = \sqrt{\frac{1}{n} \sum_c (x_c - \mu)^2 + \varepsilon}

    Backward, with :math:`g = \partial L / \partial y` and the mean over channels
    :math:`\langle \cdot \rangle`:

    .. math::
        \frac{\partial L}{\partial \gamma} = \sum g \hat x, \qquad
        \frac{\partial L}{\partial \beta} = \sum g, \qquad
        \frac{\partial L}{\partial x} = \frac{1}{\sigma} \left( \gamma g
        - \langle \gamma g \rangle - \hat x \langle \gamma g \hat x \rangle \right)

    Parameters
    ----------
    n : int
        Length of the input's last axis.
    epsilon : float
        Added to the variance, so that nothing is divided by 0.
    affine : bool
        Whether to learn ``scale`` and ``shift``.
    bias : bool
        Whether ``shift`` is among them.

    Attributes
    ----------
    scale, shift : arrays, shape (n,)
    grad_scale, grad_shift : arrays
        Their gradients, after ``backward``.

    Notes
    -----
    Shapes: (samples, ..., n) to the same. Training and inference do not differ. Source: Ba et al.,
    Layer Normalization, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import LayerNorm
    >>> layer = LayerNorm(3)
    >>> layer.forward(np.array([[1.0, 2.0, 3.0], [30.0, 20.0, 10.0]])).round(2)
    array([[-1.22,  0.  ,  1.22],
           [ 1.22,  0.  , -1.22]])
    """

    keeps = ("normal", "inverse")

    normal: Array
    inverse: Array

    def __init__(
        self, n: int, *, epsilon: float = 1e-5, affine: bool = True, bias: bool = True
    ) -> None:
        self.n = n
        self.epsilon = epsilon
        self.affine = affine
        self.bias = bias
        self._check_arguments()

    def forward(self, x: Array) -> Array:
        """Return ``scale * normal + shift``.

        Raises
        ------
        ValueError
            If the last axis of ``x`` is not ``n``, or there is no axis of samples.
        """
        rows = self._checked(x).reshape(-1, self.n)
        normal = self._centred(rows, self.buffer("normal", rows.shape, rows.dtype))
        variance = np.einsum("ij,ij->i", normal, normal)[:, None] / self.n
        inverse = 1 / np.sqrt(variance + self.epsilon)
        normal *= inverse
        self.normal, self.inverse = normal, inverse
        y = self.buffer("y", rows.shape, rows.dtype)
        np.multiply(normal, self._scale(rows), out=y)
        if "shift" in self.parameter_shapes():
            y += self.shift
        return y.reshape(x.shape).astype(self.floats(x).dtype, copy=False)

    def backward(self, grad: Array) -> Array:
        """Store ``grad_scale`` and ``grad_shift``; return d(loss)/d(input)."""
        normal, rows = self.normal, wide(grad).reshape(-1, self.n)
        products = np.multiply(rows, normal, out=self.buffer("products", rows.shape, rows.dtype))
        if self.affine:
            ones = np.ones(len(rows), rows.dtype)
            self.grad_scale = ones @ products
            if self.bias:
                self.grad_shift = ones @ rows
        scale = self._scale(rows)
        grad_x = self.buffer("grad_x", rows.shape, rows.dtype)
        np.multiply(normal, (products @ scale)[:, None] / self.n, out=grad_x)
        np.subtract(np.multiply(rows, scale, out=products), grad_x, out=grad_x)
        self._centred(grad_x, grad_x)
        grad_x *= self.inverse
        return grad_x.reshape(grad.shape).astype(grad.dtype, copy=False)

    def _centred(self, rows: Array, out: Array) -> Array:
        """Write ``rows`` without their mean."""
        return np.subtract(rows, row_sum(rows) / self.n, out=out)


class RMSNorm(LayerNorm):
    r"""Root-mean-square normalisation: each vector of channels gets mean square 1, then a scale.

    .. math:: y = \gamma \hat x, \qquad \hat x = \frac{x}{\sigma}, \qquad
        \sigma = \sqrt{\frac{1}{n} \sum_c x_c^2 + \varepsilon}

    Backward, with :math:`g = \partial L / \partial y` and the mean over channels
    :math:`\langle \cdot \rangle`:

    .. math::
        \frac{\partial L}{\partial \gamma} = \sum g \hat x, \qquad
        \frac{\partial L}{\partial x} = \frac{1}{\sigma} \left( \gamma g
        - \hat x \langle \gamma g \hat x \rangle \right)

    Parameters
    ----------
    n : int
        Length of the input's last axis.
    epsilon : float
        Added to the mean square, so that nothing is divided by 0.
    affine : bool
        Whether to learn ``scale``.

    Attributes
    ----------
    scale : array, shape (n,)
    grad_scale : array
        Its gradient, after ``backward``.

    Notes
    -----
    It is :class:`LayerNorm` without the mean and without ``shift``. Shapes: (samples, ..., n) to
    the same. Source: Zhang and Sennrich, Root Mean Square Layer Normalization, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import RMSNorm
    >>> RMSNorm(2).forward(np.array([[3.0, 4.0], [-30.0, 40.0]])).round(2)
    array([[ 0.85,  1.13],
           [-0.85,  1.13]])
    """

    bias = False

    def __init__(self, n: int, *, epsilon: float = 1e-6, affine: bool = True) -> None:
        self.n = n
        self.epsilon = epsilon
        self.affine = affine
        self._check_arguments()

    def _centred(self, rows: Array, out: Array) -> Array:
        """Write ``rows`` as they are: here no mean is taken off."""
        if out is not rows:
            np.copyto(out, rows)
        return out


class GroupNorm(Normalization):
    r"""Group normalisation: a group of channels gets mean 0 and variance 1 over a whole sample.

    .. math:: y = \gamma \hat x + \beta, \qquad
        \hat x = \frac{x - \mu}{\sigma}, \qquad
        \mu = \frac{1}{m} \sum x, \qquad
        \sigma = \sqrt{\frac{1}{m} \sum (x - \mu)^2 + \varepsilon}

    where the sums are over the :math:`m` values of one sample's group: its channels, at all places.
    Backward, with :math:`g = \partial L / \partial y` and the mean over those values
    :math:`\langle \cdot \rangle`:

    .. math::
        \frac{\partial L}{\partial \gamma} = \sum g \hat x, \qquad
        \frac{\partial L}{\partial \beta} = \sum g, \qquad
        \frac{\partial L}{\partial x} = \frac{1}{\sigma} \left( \gamma g
        - \langle \gamma g \rangle - \hat x \langle \gamma g \hat x \rangle \right)

    Parameters
    ----------
    groups : int
        How many groups; the first ``n / groups`` channels are the first, and so on. 1 normalises a
        sample as a whole, ``n`` each channel by itself (instance normalisation).
    n : int
        Length of the input's last axis, a multiple of ``groups``.
    epsilon : float
        Added to the variance, so that nothing is divided by 0.
    affine : bool
        Whether to learn ``scale`` and ``shift``, one value a channel.

    Attributes
    ----------
    scale, shift : arrays, shape (n,)
    grad_scale, grad_shift : arrays
        Their gradients, after ``backward``.

    Notes
    -----
    Shapes: (samples, ..., n) to the same. Training and inference do not differ. Source: Wu and He,
    Group Normalization, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import GroupNorm
    >>> layer = GroupNorm(2, 4)
    >>> layer.forward(np.array([[1.0, 3.0, 50.0, 30.0]])).round(2)
    array([[-1.,  1.,  1., -1.]])
    """

    keeps = ("normal", "inverse")

    normal: Array
    inverse: Array

    def __init__(self, groups: int, n: int, *, epsilon: float = 1e-5, affine: bool = True) -> None:
        self.groups = groups
        self.n = n
        self.epsilon = epsilon
        self.affine = affine
        self._check_arguments()
        if not isinstance(groups, (int, np.integer)) or groups < 1 or n % groups:
            raise ValueError(f"{self!r}: {n} channels do not make {groups} groups of equal size.")

    def forward(self, x: Array) -> Array:
        """Return ``scale * normal + shift``.

        Raises
        ------
        ValueError
            If the last axis of ``x`` is not ``n``, or there is no axis of samples.
        """
        rows = self._checked(x).reshape(len(x), *long_rows(x))
        normal = self.buffer("normal", rows.shape, rows.dtype)
        np.subtract(rows, self._mean(rows.sum(axis=1), rows), out=normal)
        variance = self._mean(np.einsum("sij,sij->sj", normal, normal), rows)
        inverse = 1 / np.sqrt(variance + self.epsilon)
        normal *= inverse
        self.normal, self.inverse = normal, inverse
        y = self.buffer("y", rows.shape, rows.dtype)
        np.multiply(normal, self._scale(rows), out=y)
        if self.affine:
            y += along(self.shift, rows)
        return y.reshape(x.shape).astype(self.floats(x).dtype, copy=False)

    def backward(self, grad: Array) -> Array:
        """Store ``grad_scale`` and ``grad_shift``; return d(loss)/d(input)."""
        normal = self.normal
        rows = wide(grad).reshape(normal.shape)
        # Sums over the rows of a sample: what is left is summed over samples, or over groups.
        grads = rows.sum(axis=1)
        products = np.einsum("sij,sij->sj", rows, normal)
        if self.affine:
            self.grad_shift = grads.reshape(-1, self.n).sum(axis=0)
            self.grad_scale = products.reshape(-1, self.n).sum(axis=0)
        scale = self._scale(rows)
        grad_x = self.buffer("grad_x", rows.shape, rows.dtype)
        np.multiply(rows, scale, out=grad_x)
        grad_x -= self._mean(grads * scale, rows)
        part = self.buffer("part", rows.shape, rows.dtype)
        grad_x -= np.multiply(normal, self._mean(products * scale, rows), out=part)
        grad_x *= self.inverse
        return grad_x.reshape(grad.shape).astype(grad.dtype, copy=False)

    def _mean(self, sums: Array, rows: Array) -> Array:
        """Return each group's mean, at every place of a row, from the sums over ``rows``."""
        samples, length = sums.shape
        by_group = sums.reshape(samples, length // self.n, self.groups, self.n // self.groups)
        mean = by_group.mean(axis=(1, 3), keepdims=True) / rows.shape[1]
        return np.broadcast_to(mean, by_group.shape).reshape(samples, 1, length)
