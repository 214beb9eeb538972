"""The losses that scikit-learn names, and the choice of one for a task.

A sample's loss is here the sum over its outputs, as scikit-learn derives it; chainrule's own losses
take the mean.
"""

import copy
from typing import ClassVar

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers import Sigmoid, Softmax
from chainrule.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)

__all__ = [
    "OF_CLASSES",
    "BinaryLogLoss",
    "HalfPoissonDeviance",
    "HalfSquaredError",
    "classifier_loss",
    "out_activation",
    "regressor_loss",
]

OF_CLASSES = (CrossEntropy, SoftmaxCrossEntropy)  # they take an output for each class


class HalfSquaredError(MeanSquaredError):
    r"""Half the squared error, summed over a sample's outputs.

    .. math:: L_i = \tfrac12 \sum_j (y_{ij} - t_{ij})^2, \qquad
        \frac{\partial L_i}{\partial y_{ij}} = y_{ij} - t_{ij}

    Examples
    --------
    >>> import numpy as np
    >>> HalfSquaredError().forward(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]]))
    array([2.5])
    """

    def of_difference(self, difference: Array) -> Array:
        """Return half the sum of the squares of each row."""
        loss: Array = 0.5 * np.vecdot(difference, difference)
        return loss

    def point_gradients(self) -> Array:
        """Return ``y - t``."""
        return self.difference


class HalfPoissonDeviance(Loss):
    r"""Half the deviance of Poisson's distribution, of outputs that are logarithms of the mean.

    .. math:: L_i = \sum_j e^{z_{ij}} - t_{ij} z_{ij} + t_{ij} \log t_{ij} - t_{ij}, \qquad
        \frac{\partial L_i}{\partial z_{ij}} = e^{z_{ij}} - t_{ij}

    Examples
    --------
    >>> import numpy as np
    >>> HalfPoissonDeviance().forward(np.array([[0.0], [np.log(3.0)]]), [1.0, 3.0]).round(9)
    array([0., 0.])
    """

    keeps: ClassVar = ("means", "targets")

    means: Array
    targets: Array

    def points(self, outputs: Array, targets: Array) -> Array:
        """Return the half deviance of each row."""
        self.targets = targets
        self.means = means = np.exp(outputs)
        logarithms = np.log(targets, out=np.zeros_like(targets), where=targets > 0)
        deviances = means - targets * outputs + targets * logarithms - targets
        sums: Array = np.add.reduce(deviances, axis=-1)
        return sums

    def point_gradients(self) -> Array:
        """Return ``exp(z) - t``."""
        return self.means - self.targets


class BinaryLogLoss(BinaryCrossEntropy):
    r"""Cross-entropy of several logits, each a yes or a no, summed over a sample's outputs.

    .. math:: L_i = \sum_j \log(1 + e^{z_{ij}}) - t_{ij} z_{ij}, \qquad
        \frac{\partial L_i}{\partial z_{ij}} = \sigma(z_{ij}) - t_{ij}

    Examples
    --------
    >>> import numpy as np
    >>> BinaryLogLoss().forward(np.array([[0.0, 0.0]]), np.array([[0, 1]])).round(4)
    array([1.3863])
    """

    def __init__(self) -> None:
        super().__init__()

    def points(self, outputs: Array, targets: Array) -> Array:
        """Return the cross-entropy of each row."""
        sums: Array = np.add.reduce(super().points(outputs, targets), axis=-1)
        return sums


def classifier_loss(loss: str | Loss, *, yes_or_no: bool, last: Layer | None) -> Loss:
    """Return the loss for a classifier; one that is given is copied.

    Parameters
    ----------
    loss : {"log_loss"} or Loss
    yes_or_no : bool
        Whether each output is a yes or a no of its own; else there is one for each class.
    last : Layer or None
        The last of the layers that the user gave.

    Raises
    ------
    ValueError
        If the loss does not fit the outputs.
    """
    if isinstance(loss, Loss):
        cost = copy.deepcopy(loss)
    elif yes_or_no:
        cost = BinaryLogLoss()
    else:
        cost = CrossEntropy() if isinstance(last, Softmax) else SoftmaxCrossEntropy()
    wrong = OF_CLASSES if yes_or_no else BinaryCrossEntropy
    if isinstance(cost, wrong) or not cost.has_classes:
        fitting = "BinaryCrossEntropy()" if yes_or_no else "SoftmaxCrossEntropy()"
        raise ValueError(
            f"the loss {cost!r} does not go with this net and these labels. Take one as {fitting}."
        )
    if isinstance(cost, CrossEntropy) and last is None:
        raise ValueError(f"the loss {cost!r} takes probabilities. Take SoftmaxCrossEntropy().")
    if isinstance(last, (Sigmoid, Softmax)) and not isinstance(cost, CrossEntropy):
        raise ValueError(
            f"the loss {cost!r} takes logits. Leave the last of layers, {last!r}, out."
        )
    return cost


def regressor_loss(loss: str | Loss) -> Loss:
    """Return the loss of that name, or a copy of the one that is given.

    Raises
    ------
    ValueError
        If it is for classes.
    """
    if isinstance(loss, Loss):
        if loss.has_classes:
            raise ValueError(f"the loss {loss!r} is for classes. Take one as Huber().")
        return copy.deepcopy(loss)
    return HalfPoissonDeviance() if loss == "poisson" else HalfSquaredError()


def out_activation(cost: Loss) -> str:
    """Return what is done with the last layer's outputs, by scikit-learn's name for it."""
    if isinstance(cost, BinaryCrossEntropy):
        return "logistic"
    if isinstance(cost, OF_CLASSES):
        return "softmax"
    return "exp" if isinstance(cost, HalfPoissonDeviance) else "identity"
