"""Batch normalisation: each channel gets mean 0 and variance 1 over the mini-batch."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from chainrule.layer import Array
from chainrule.layers.normalization import Normalization, along, long_rows, wide

__all__ = ["Across", "BatchNorm"]


class Across(Protocol):
    """Sums over the mini-batches of several workers, which together are one."""

    def values(self, vector: Array) -> Array:
        """Return the sum of all workers' vectors."""

    def gradients(self, vector: Array) -> Array:
        """Return it for derivatives, each of them counting as its worker's loss does."""


class BatchNorm(Normalization):
    r"""Batch normalisation: each channel gets mean 0 and variance 1, then a learned scale.

    .. math:: y = \gamma \hat x + \beta, \qquad
        \hat x = \frac{x - \mu}{\sigma}, \qquad
        \mu = \frac{1}{m} \sum x, \qquad
        \sigma = \sqrt{\frac{1}{m} \sum (x - \mu)^2 + \varepsilon}

    where the sums are over the :math:`m` values of a channel: all samples, at all places. Backward,
    with :math:`g = \partial L / \partial y`:

    .. math::
        \frac{\partial L}{\partial \gamma} = \sum g \hat x, \qquad
        \frac{\partial L}{\partial \beta} = \sum g, \qquad
        \frac{\partial L}{\partial x} = \frac{\gamma}{\sigma} \left( g
        - \frac{1}{m} \sum g - \frac{\hat x}{m} \sum g \hat x \right)

    The last two terms are there because :math:`\mu` and :math:`\sigma` depend on every :math:`x`.

    Outside training, :math:`\mu` and :math:`\sigma^2` are running averages that each forward in
    training moves:

    .. math:: r \leftarrow (1 - momentum)\, r + momentum\, s

    with the mini-batch's mean, or its unbiased variance (divided by :math:`m - 1`), for :math:`s`.
    They are constants there, so that the gradient is its first term alone.

    Parameters
    ----------
    n : int
        Length of the input's last axis.
    momentum : float
        How much a mini-batch counts in the running averages, above 0 and up to 1. (PyTorch's
        convention; TensorFlow's is 1 minus this.)
    epsilon : float
        Added to the variance, so that nothing is divided by 0.
    affine : bool
        Whether to learn ``scale`` and ``shift``.

    Attributes
    ----------
    scale, shift : arrays, shape (n,)
    grad_scale, grad_shift : arrays
        Their gradients, after ``backward``.
    running_mean, running_variance : arrays, shape (n,)
        No parameters, but saved and copied with the layer.

    Notes
    -----
    Shapes: (samples, ..., n) to the same. In training each channel needs at least two values.
    Source: Ioffe and Szegedy, Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import BatchNorm
    >>> layer = BatchNorm(2, momentum=0.5)
    >>> layer.forward(np.array([[1.0, 10.0], [3.0, 50.0]])).round(2)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> layer.running_mean, layer.running_variance
    (array([ 1., 15.], dtype=float32), array([  1.5, 400.5], dtype=float32))
    >>> layer.training = False
    >>> layer.forward(np.array([[1.0, 15.0]]))
    array([[0., 0.]])
    """

    persistent = ("running_mean", "running_variance")
    keeps = ("centred", "inverse", "of_batch", "count")

    # Set while several workers train with the statistics of all their mini-batches together.
    across: Across | None = None

    running_mean: Array
    running_variance: Array
    centred: Array
    inverse: Array
    of_batch: bool
    count: int

    def __init__(
        self, n: int, *, momentum: float = 0.1, epsilon: float = 1e-5, affine: bool = True
    ) -> None:
        self.n = n
        self.momentum = momentum
        self.epsilon = epsilon
        self.affine = affine
        self._check_arguments()
        if not 0 < momentum <= 1:
            raise ValueError(f"{self!r}: momentum must be above 0 and up to 1, got {momentum}.")

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the running averages."""
        return {"running_mean": (self.n,), "running_variance": (self.n,)}

    def initialize(self, rng: np.random.Generator) -> None:
        """Set ``scale`` to 1 and ``shift`` to 0; the running mean to 0, the variance to 1."""
        super().initialize(rng)
        self.running_mean = np.zeros(self.n)
        self.running_variance = np.ones(self.n)

    def forward(self, x: Array) -> Array:
        """Return ``scale * (x - mean) / deviation + shift``.

        Raises
        ------
        ValueError
            If the last axis of ``x`` is not ``n``, there is no axis of samples, or, in training,
            a channel has one value alone.
        """
        rows = self._rows(self._checked(x))
        centred = self.buffer("centred", rows.shape, rows.dtype)
        if self.training:
            self.count = count = self._count(x)
            mean = self._of_all(self._sums(rows)) / count
            np.subtract(rows, along(mean, rows), out=centred)
            variance = self._of_all(self._sums_of_products(centred, centred)) / count
            self.running_mean += self.momentum * (mean - self.running_mean)
            unbiased = variance * (count / (count - 1))
            self.running_variance += self.momentum * (unbiased - self.running_variance)
        else:
            variance = self.running_variance
            np.subtract(rows, along(self.running_mean, rows), out=centred)
        inverse = 1 / np.sqrt(variance + self.epsilon)
        self.centred, self.inverse, self.of_batch = centred, inverse, self.training
        y = self.buffer("y", rows.shape, rows.dtype)
        np.multiply(centred, along(self._slope(inverse), rows), out=y)
        if self.affine:
            y += along(self.shift, rows)
        return y.reshape(x.shape).astype(self.floats(x).dtype, copy=False)

    def backward(self, grad: Array) -> Array:
        """Store ``grad_scale`` and ``grad_shift``; return d(loss)/d(input)."""
        centred, inverse = self.centred, self.inverse
        rows = self._rows(wide(grad))
        sums, products = self._sums(rows), self._sums_of_products(rows, centred)
        if self.affine:
            self.grad_shift = sums
            self.grad_scale = products * inverse
        grad_x = self.buffer("grad_x", rows.shape, rows.dtype)
        slope = along(self._slope(inverse), rows)
        if self.of_batch:
            count = self.count
            if self.across is not None:  # they act on the inputs of all workers
                sums, products = self.across.gradients(np.stack([sums, products]))
            np.multiply(centred, along(products * inverse**2 / count, rows), out=grad_x)
            np.subtract(rows, grad_x, out=grad_x)
            grad_x -= along(sums / count, rows)
            grad_x *= slope
        else:
            np.multiply(rows, slope, out=grad_x)
        return grad_x.reshape(grad.shape).astype(grad.dtype, copy=False)

    def _slope(self, inverse: Array) -> Array:
        """Return dy/dx at constant mean and variance."""
        return self.scale * inverse if self.affine else inverse

    def _of_all(self, sums: Array) -> Array:
        """Return the sums over all workers' mini-batches, where they are one."""
        return sums if self.across is None else self.across.values(sums).astype(sums.dtype)

    def _count(self, x: Array) -> int:
        """Return how many values a channel has."""
        count = int(self._of_all(np.array([x.size // self.n]))[0])
        if count < 2:
            raise ValueError(
                f"{self!r}: in training each channel needs at least two values to have a variance, "
                f"got shape {x.shape}. Use larger mini-batches (Batches(..., drop_last=True) "
                "leaves out a short last one), or set training to False."
            )
        return count

    def _rows(self, x: Array) -> Array:
        rows, length = long_rows(x)
        return x.reshape(len(x) * rows, length)

    def _sums(self, rows: Array) -> Array:
        """Return the sum of each channel; a product with ones is faster than ``sum(axis=0)``."""
        sums: Array = (np.ones(len(rows), rows.dtype) @ rows).reshape(-1, self.n).sum(axis=0)
        return sums

    def _sums_of_products(self, rows: Array, others: Array) -> Array:
        """Return the sum of ``rows * others`` of each channel, without making the product."""
        sums: Array = np.einsum("ij,ij->j", rows, others).reshape(-1, self.n).sum(axis=0)
        return sums
