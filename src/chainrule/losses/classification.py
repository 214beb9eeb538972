"""Losses that take classes: cross-entropy on probabilities, on logits, and on yes or no."""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from chainrule.layer import Array
from chainrule.layers.activation import sigmoid
from chainrule.layers.rows import row_max, row_sum
from chainrule.losses.base import Loss, values_like

__all__ = ["BinaryCrossEntropy", "CrossEntropy", "SoftmaxCrossEntropy"]


class _ClassLoss(Loss):
    """Losses over rows of class scores: targets become rows of probabilities."""

    keeps: ClassVar[tuple[str, ...]] = ("targets",)
    has_classes = True

    targets: Array

    def __init__(
        self,
        *,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        self.class_weights = _checked_class_weights(self, class_weights)
        self.label_smoothing = _checked_smoothing(self, label_smoothing)

    def prepare(self, outputs: Array, targets: Array) -> Array:
        """Return the targets as rows of probabilities, in the shape of the outputs."""
        classes = outputs.shape[-1]
        if self.class_weights is not None and len(self.class_weights) != classes:
            raise ValueError(
                f"{type(self).__name__}: class_weights has {len(self.class_weights)} values, "
                f"the outputs have {classes} classes."
            )
        if targets.shape == outputs.shape:
            return self._checked_rows(targets).astype(outputs.dtype, copy=False)
        if targets.shape == outputs.shape[:-1] and targets.dtype.kind in "iub":
            return self._one_hot(targets, outputs)
        raise ValueError(
            f"{type(self).__name__}: the targets must be class indices (integers) of shape "
            f"{outputs.shape[:-1]} or rows of probabilities of shape {outputs.shape}, got "
            f"{targets.dtype} of shape {targets.shape}."
        )

    def point_weights(self, targets: Array) -> Array | None:
        """Return each row's weight: the mean of the class weights under its probabilities."""
        if self.class_weights is None:
            return None
        weights: Array = targets @ np.asarray(self.class_weights, dtype=targets.dtype)
        return weights

    def classes(self, outputs: Array) -> Array:
        """Return the index of the greatest score of each row."""
        classes: Array = outputs.argmax(axis=-1)
        return classes

    def smooth(self, targets: Array) -> Array:
        """Mix the targets with the uniform distribution."""
        if self.label_smoothing == 0:
            return targets
        e = self.label_smoothing
        smooth: Array = (1 - e) * targets + e / targets.shape[-1]
        return smooth

    def _one_hot(self, labels: Array, outputs: Array) -> Array:
        classes = outputs.shape[-1]
        rows = self.buffer_like("one_hot", outputs)
        np.equal(labels[..., None], np.arange(classes), out=rows)
        if np.count_nonzero(rows) != labels.size:
            raise ValueError(
                f"{type(self).__name__}: the class indices must be 0 to {classes - 1}, got "
                f"{labels.min()} to {labels.max()}. Is the last layer as wide as there are classes?"
            )
        return rows

    def _checked_rows(self, rows: Array) -> Array:
        sums = rows.sum(axis=-1) if rows.dtype.kind in "fiub" else np.zeros(1)
        if not (np.abs(sums - 1).max() <= 1e-2 and rows.min() >= 0):
            raise ValueError(
                f"{type(self).__name__}: each row of the targets must be probabilities that sum "
                "to 1. Pass class indices as integers of shape (samples,)."
            )
        return rows


class CrossEntropy(_ClassLoss):
    r"""Cross-entropy of probabilities: put Softmax before it.

    .. math:: L_i = -\sum_c t_{ic} \log p_{ic}, \qquad
        \frac{\partial L_i}{\partial p_{ic}} = -\frac{t_{ic}}{p_{ic}}

    Probabilities are clipped at 1e-8 from below; there the loss is flat and its derivative 0.
    ``SoftmaxCrossEntropy`` needs no clipping and is the better choice for a new net.

    Parameters
    ----------
    class_weights : sequence of float, optional
        How much a sample of each class counts in the mean.
    label_smoothing : float
        The share of each target that is spread evenly over the classes, 0 to 1.

    Notes
    -----
    Shapes: outputs (samples, ..., classes); targets the same, or integers (samples, ...).
    Source: S. Gugger, A simple neural net in numpy, 2018; label smoothing: Szegedy et al.,
    Rethinking the Inception Architecture for Computer Vision, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import CrossEntropy
    >>> loss = CrossEntropy()
    >>> p = np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    >>> loss.forward(p, [0, 2]).round(4)
    array([0.6931, 0.2231])
    >>> loss.backward()
    array([[-1.   , -0.   , -0.   ],
           [-0.   , -0.   , -0.625]])
    """

    keeps = ("clipped", "flat")

    clipped: Array
    flat: Array

    def points(self, outputs: Array, targets: Array) -> Array:
        """Return ``-sum(t log p)`` of each row."""
        self.targets = targets = self.smooth(targets)
        self.clipped = clipped = self.buffer_like("clipped", outputs)
        lowest = max(1e-8, float(np.finfo(clipped.dtype).tiny))  # float16 has no 1e-8
        np.maximum(outputs, lowest, out=clipped)
        self.flat = np.less(outputs, lowest, out=self.buffer("flat", outputs.shape, bool))
        log = np.log(clipped, out=self.buffer_like("log", clipped))
        losses: Array = -np.vecdot(targets, log)
        return losses

    def point_gradients(self) -> Array:
        """Return ``-t / p``, and 0 where ``p`` was clipped."""
        grad = np.divide(self.targets, self.clipped, out=self.buffer_like("grad", self.clipped))
        np.negative(grad, out=grad)
        if self.flat.any():
            grad[self.flat] = 0
        return grad

    def probabilities(self, outputs: Array) -> Array:
        """Return the outputs: they are probabilities."""
        return outputs


class SoftmaxCrossEntropy(_ClassLoss):
    r"""Cross-entropy of logits: softmax and cross-entropy in one, for any size of logit.

    .. math:: L_i = \log \sum_k e^{z_{ik}} - \sum_c t_{ic} z_{ic}, \qquad
        \frac{\partial L_i}{\partial z_{ic}} = \operatorname{softmax}(z_i)_c - t_{ic}

    The two derivatives of softmax and logarithm cancel to a difference, which is why the pair
    is both cheaper and more exact than ``Softmax`` before ``CrossEntropy``.

    Parameters
    ----------
    class_weights : sequence of float, optional
        How much a sample of each class counts in the mean.
    label_smoothing : float
        The share of each target that is spread evenly over the classes, 0 to 1.

    Notes
    -----
    Shapes: outputs (samples, ..., classes); targets the same, or integers (samples, ...).
    Source: as for ``CrossEntropy``.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import SoftmaxCrossEntropy
    >>> loss = SoftmaxCrossEntropy()
    >>> loss.forward(np.array([[0.0, 0.0], [1e4, -1e4]]), [0, 1]).round(4)
    array([6.931e-01, 2.000e+04])
    >>> loss.backward()
    array([[-0.25,  0.25],
           [ 0.5 , -0.5 ]])
    """

    keeps = ("softmax",)

    softmax: Array

    def points(self, outputs: Array, targets: Array) -> Array:
        """Return the cross-entropy of each row with the softmax of its logits."""
        self.targets = targets = self.smooth(targets)
        # Taking the greatest logit off each row changes no loss, and no exponential overflows.
        shifted = self.buffer_like("shifted", outputs)
        np.subtract(outputs, row_max(outputs), out=shifted)
        self.softmax = softmax = np.exp(shifted, out=self.buffer_like("softmax", outputs))
        total = row_sum(softmax)
        softmax /= total
        log_total: Array = np.log(total)[..., 0]
        with np.errstate(invalid="ignore"):
            losses: Array = log_total - np.vecdot(targets, shifted)
        if not math.isfinite(losses.sum()):
            # A logit of minus infinity leaves its class out, but 0 times infinity is no number.
            terms = np.zeros_like(shifted)
            np.multiply(targets, shifted, out=terms, where=targets != 0)
            losses = log_total - terms.sum(axis=-1)
        return losses

    def point_gradients(self) -> Array:
        """Return ``softmax - t``."""
        return np.subtract(self.softmax, self.targets, out=self.buffer_like("grad", self.softmax))

    def probabilities(self, outputs: Array) -> Array:
        """Return the softmax of the logits."""
        exponentials = np.exp(outputs - row_max(outputs))
        probabilities: Array = exponentials / row_sum(exponentials)
        return probabilities


class BinaryCrossEntropy(Loss):
    r"""Cross-entropy of logits where each output is a yes or a no of its own.

    .. math:: L = \log(1 + e^z) - t z, \qquad \frac{\partial L}{\partial z} = \sigma(z) - t

    A sample's loss is the mean over its outputs.

    Parameters
    ----------
    class_weights : pair of float, optional
        How much an output whose target is 0, and one whose target is 1, counts in the mean.
    label_smoothing : float
        The share of each target that is moved to one half, 0 to 1.

    Notes
    -----
    Shapes: outputs (samples, ...); targets the same, 0 or 1 or a probability between; for outputs
    (samples, 1) also (samples,). Source: as for ``CrossEntropy``, with two classes.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import BinaryCrossEntropy
    >>> loss = BinaryCrossEntropy()
    >>> loss.forward(np.array([[0.0], [1e4]]), [1, 0]).round(4)
    array([6.931e-01, 1.000e+04])
    >>> loss.backward()
    array([[-0.25],
           [ 0.5 ]])
    """

    keeps = ("logits", "targets")
    has_classes = True

    logits: Array
    targets: Array

    def __init__(
        self,
        *,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        self.class_weights = _checked_class_weights(self, class_weights)
        if self.class_weights is not None and len(self.class_weights) != 2:
            raise ValueError("BinaryCrossEntropy: class_weights are two: of target 0, of target 1.")
        self.label_smoothing = _checked_smoothing(self, label_smoothing)

    def prepare(self, outputs: Array, targets: Array) -> Array:
        """Return the targets in the shape of the outputs."""
        targets = values_like(self, outputs, targets)
        if not (targets.min() >= 0 and targets.max() <= 1):
            raise ValueError(
                f"BinaryCrossEntropy: the targets must be 0, 1 or between, got {targets.min()} "
                f"to {targets.max()}. For more than two classes use SoftmaxCrossEntropy."
            )
        return targets

    def point_weights(self, targets: Array) -> Array | None:
        """Return each output's weight, by its target."""
        if self.class_weights is None:
            return None
        of_zero, of_one = self.class_weights
        return of_zero + targets * (of_one - of_zero)

    def points(self, outputs: Array, targets: Array) -> Array:
        """Return ``log(1 + exp(z)) - t z`` of each output."""
        e = self.label_smoothing
        self.targets = targets = targets if e == 0 else (1 - e) * targets + e / 2
        self.logits = outputs
        return np.logaddexp(0, outputs) - targets * outputs

    def point_gradients(self) -> Array:
        """Return ``sigmoid(z) - t``."""
        grad = sigmoid(self.logits, out=self.buffer_like("grad", self.logits))
        grad -= self.targets
        return grad

    def probabilities(self, outputs: Array) -> Array:
        """Return the sigmoid of the logits: the probability of a yes at each output."""
        return sigmoid(outputs, out=np.empty_like(outputs))

    def classes(self, outputs: Array) -> Array:
        """Return 1 where the probability is above one half; shape (samples,) for one output."""
        yes = (outputs > 0).astype(np.intp)
        return yes[:, 0] if yes.shape[1:] == (1,) else yes


def _checked_class_weights(loss: Loss, weights: Sequence[float] | None) -> list[float] | None:
    if weights is None:
        return None
    values = [float(weight) for weight in weights]
    if not values or not all(0 <= value < np.inf for value in values) or sum(values) == 0:
        raise ValueError(
            f"{type(loss).__name__}: class_weights must be 0 or more, and not all 0, got {values}."
        )
    return values


def _checked_smoothing(loss: Loss, smoothing: float) -> float:
    if not 0 <= smoothing <= 1:
        raise ValueError(
            f"{type(loss).__name__}: label_smoothing is a share from 0 to 1, got {smoothing}."
        )
    return smoothing
