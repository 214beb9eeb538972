"""Losses: how far the outputs are from the targets, one value per sample.

The loss takes the mean, the layers only sum: ``forward`` returns one loss per sample, ``backward``
the derivative of their mean over the mini-batch. With weights the mean is weighted,

    mean = sum_i w_i loss_i / sum_i w_i

where w_i is the sample's weight times the weight of its class. ``mean()`` returns that scalar.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from chainrule.layer import Array, Function

__all__ = ["Loss", "values_like"]


class Loss(Function):
    """The base of every loss.

    A loss of one's own defines ``points``, the loss at each point, and ``point_gradients``, its
    derivative. A point is one element of the outputs, or one row of class scores. A sample's loss
    is the (weighted) mean over its points.
    """

    keeps: ClassVar[tuple[str, ...]] = ("share",)
    has_classes: ClassVar[bool] = False

    share: Array | float  # of each point in the mean
    losses: Array | None = None
    sample_totals: Array | None = None
    largest_weight: float = 1.0

    def forward(
        self, outputs: Array, targets: ArrayLike, sample_weights: ArrayLike | None = None
    ) -> Array:
        """Return the loss of each sample, shape (samples,).

        Parameters
        ----------
        outputs : array, shape (samples, ...)
            What the net returned.
        targets : array
            What it should have returned.
        sample_weights : array, shape (samples,) or that of the points, optional
            How much each sample (or each point of it) counts in the mean; 0 leaves it out.

        Raises
        ------
        ValueError
            If the shapes do not fit, there is no sample, or no weight is positive.
        """
        outputs = np.asarray(outputs)
        if outputs.ndim < 2 or outputs.size == 0:
            raise ValueError(
                f"{self!r}: the outputs must have shape (samples, ...) with at least one sample, "
                f"got shape {outputs.shape}."
            )
        targets = self.prepare(outputs, np.asarray(targets))
        points = self.points(outputs, targets)
        weights = self._weights(points, targets, sample_weights)
        per_sample = points.reshape(len(points), -1)
        losses: Array
        if weights is None:
            self.share = 1 / points.size
            self.sample_totals = None
            losses = points if points.ndim == 1 else per_sample.mean(axis=1)
        else:
            self.share = np.divide(weights, weights.sum())
            rows = weights.reshape(len(points), -1)
            self.sample_totals = totals = rows.sum(axis=1)
            # A sample of which every point has weight 0 has the loss 0.
            per_weight = np.divide(1, totals, out=np.zeros_like(totals), where=totals > 0)
            losses = (rows * per_sample).sum(axis=1) * per_weight
        self.losses = losses
        return losses.copy()

    def backward(self) -> Array:
        """Return the derivative of the (weighted) mean, in the shape of the outputs."""
        grad = self.point_gradients()
        share = self.share
        if isinstance(share, np.ndarray):
            share = share.reshape(share.shape + (1,) * (grad.ndim - share.ndim))
        return np.multiply(grad, share, out=self.buffer_like("grad", grad))

    def mean(self) -> float:
        """Return the (weighted) mean of the last forward: the scalar that backward derives."""
        if self.losses is None:
            raise RuntimeError(f"{self!r}: mean() needs a forward() before it.")
        if self.sample_totals is None:
            return float(np.add.reduce(self.losses, dtype=np.float64)) / len(self.losses)
        return float(np.average(self.losses, weights=self.sample_totals))

    def total_weight(self) -> float:
        """Return the sum of the weights in the last ``mean``: without weights, of the samples."""
        if self.losses is None:
            raise RuntimeError(f"{self!r}: total_weight() needs a forward() before it.")
        if self.sample_totals is None:
            return float(len(self.losses))
        return float(self.sample_totals.sum(dtype=np.float64)) * self.largest_weight

    def prepare(self, outputs: Array, targets: Array) -> Array:
        """Bring the targets into the form that ``points`` works with; here: values."""
        return values_like(self, outputs, targets)

    def points(self, outputs: Array, targets: Array) -> Array:
        """Return the loss at each point."""
        raise NotImplementedError(f"{type(self).__name__} has no points(outputs, targets)")

    def point_gradients(self) -> Array:
        """Return the derivative of each point's loss by the outputs."""
        raise NotImplementedError(f"{type(self).__name__} has no point_gradients()")

    def point_weights(self, targets: Array) -> Array | None:
        """Return the weight of each point by its class; None where all count alike."""
        return None

    def probabilities(self, outputs: Array) -> Array:
        """Return the probabilities of the classes that the outputs mean."""
        raise TypeError(f"{self!r} has no classes: use predict() for the outputs themselves.")

    def classes(self, outputs: Array) -> Array:
        """Return the class of greatest probability, as integers."""
        raise TypeError(f"{self!r} has no classes: use predict() for the outputs themselves.")

    def __getstate__(self) -> dict[str, Any]:
        results = ("losses", "sample_totals")
        return {n: value for n, value in super().__getstate__().items() if n not in results}

    def _weights(
        self, points: Array, targets: Array, sample_weights: ArrayLike | None
    ) -> Array | None:
        weights = self.point_weights(targets)
        if sample_weights is not None:
            own = np.asarray(sample_weights, dtype=points.dtype)
            if own.shape not in (points.shape, points.shape[:1]):
                raise ValueError(
                    f"{self!r}: sample_weights must have shape {points.shape[:1]}, got {own.shape}."
                )
            if not (own >= 0).all() or not np.isfinite(own).all():
                raise ValueError(f"{self!r}: sample_weights must be 0 or more, and finite.")
            own = own.reshape(own.shape + (1,) * (points.ndim - own.ndim))
            weights = own if weights is None else weights * own
        if weights is None:
            return None
        weights = np.broadcast_to(weights, points.shape)
        largest = weights.max()
        if not largest > 0:
            raise ValueError(f"{self!r}: every weight is 0: there is no mean to take.")
        self.largest_weight = float(largest)
        scaled: Array = weights / largest
        return scaled  # only ratios count, and these sum without overflow


def values_like(loss: Loss, outputs: Array, targets: Array) -> Array:
    """Return the targets in the shape and float type of the outputs."""
    if outputs.shape == (*targets.shape, 1):  # one output: (samples,) would broadcast to a square
        targets = targets[..., None]
    if targets.shape != outputs.shape or targets.dtype.kind not in "fiub":
        raise ValueError(
            f"{loss!r}: the targets must be numbers of shape {outputs.shape}, as the outputs, "
            f"got {targets.dtype} of shape {targets.shape}."
        )
    return targets.astype(outputs.dtype, copy=False)
