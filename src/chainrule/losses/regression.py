"""Losses of the difference between output and target."""

import numpy as np

from chainrule.layer import Array
from chainrule.losses.base import Loss

__all__ = ["Huber", "MeanAbsoluteError", "MeanSquaredError"]


class _DifferenceLoss(Loss):
    """Losses of the difference between output and target."""

    keeps = ("difference",)

    difference: Array

    def points(self, outputs: Array, targets: Array) -> Array:
        """Return the loss of each difference."""
        difference = self.buffer_like("difference", outputs)
        self.difference = np.subtract(outputs, targets, out=difference)
        return self.of_difference(difference)

    def of_difference(self, difference: Array) -> Array:
        """Return the loss of each difference."""
        raise NotImplementedError


class MeanSquaredError(_DifferenceLoss):
    r"""Mean squared error over a sample's outputs.

    .. math:: L = (y - t)^2, \qquad \frac{\partial L}{\partial y} = 2 (y - t)

    Shapes: outputs (samples, ...); targets the same; for outputs (samples, 1) also (samples,).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import MeanSquaredError
    >>> loss = MeanSquaredError()
    >>> loss.forward(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [3.0, 5.0]]))
    array([2. , 0.5])
    >>> loss.backward()
    array([[ 0. ,  1. ],
           [ 0. , -0.5]])
    """

    def of_difference(self, difference: Array) -> Array:
        """Return the squares."""
        return difference * difference

    def point_gradients(self) -> Array:
        """Return ``2 (y - t)``."""
        return 2 * self.difference


class MeanAbsoluteError(_DifferenceLoss):
    r"""Mean absolute error over a sample's outputs.

    .. math:: L = |y - t|, \qquad \frac{\partial L}{\partial y} = \operatorname{sign}(y - t)

    Shapes: outputs (samples, ...); targets the same; for outputs (samples, 1) also (samples,).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import MeanAbsoluteError
    >>> MeanAbsoluteError().forward(np.array([[1.0], [3.0]]), [2.0, 0.0])
    array([1., 3.])
    """

    def of_difference(self, difference: Array) -> Array:
        """Return the sizes."""
        return np.abs(difference)

    def point_gradients(self) -> Array:
        """Return ``sign(y - t)``."""
        return np.sign(self.difference)


class Huber(_DifferenceLoss):
    r"""Huber's loss: squared near the target, absolute far from it.

    .. math:: L = \tfrac{1}{2} d^2 \text{ if } |d| < \delta, \text{ else }
        \delta (|d| - \tfrac{1}{2} \delta), \qquad
        \frac{\partial L}{\partial y} = \max(-\delta, \min(\delta, d)), \quad d = y - t

    Parameters
    ----------
    delta : float
        The distance from which the loss grows linearly; greater than 0.

    Notes
    -----
    Shapes: outputs (samples, ...); targets the same; for outputs (samples, 1) also (samples,).
    Source: P. Huber, Robust Estimation of a Location Parameter, 1964.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Huber
    >>> Huber().forward(np.array([[0.5], [10.0]]), [0.0, 0.0])
    array([0.125, 9.5  ])
    """

    def __init__(self, delta: float = 1.0) -> None:
        if not delta > 0:
            raise ValueError(f"Huber(delta={delta}): delta must be greater than 0.")
        self.delta = delta

    def of_difference(self, difference: Array) -> Array:
        """Return the loss of each difference."""
        near = np.minimum(np.abs(difference), self.delta)
        return near * (np.abs(difference) - 0.5 * near)

    def point_gradients(self) -> Array:
        """Return the difference, held within ``delta``."""
        return np.clip(self.difference, -self.delta, self.delta)
