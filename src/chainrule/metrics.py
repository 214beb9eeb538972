"""How good the answers are."""

import numpy as np
from numpy.typing import ArrayLike

from chainrule.layer import Array

__all__ = ["accuracy", "confusion_matrix", "labels"]


def labels(targets: ArrayLike, ndim: int = 1) -> Array:
    """Return class indices with ``ndim`` axes, from class indices or from rows of probabilities.

    Examples
    --------
    >>> labels([[0.1, 0.9], [1.0, 0.0]])
    array([1, 0])
    >>> labels([1, 0])
    array([1, 0])
    """
    targets = np.asarray(targets)
    if targets.ndim == ndim + 1:  # one column holds the answer itself, several a row of scores
        targets = targets[..., 0] if targets.shape[-1] == 1 else targets.argmax(axis=-1)
    whole: Array = np.rint(targets).astype(np.intp)
    return whole  # a soft yes, as 0.8, is a yes


def accuracy(predicted: ArrayLike, targets: ArrayLike) -> float:
    """Return the share of right answers, from 0 to 1.

    Parameters
    ----------
    predicted : array of int, shape (samples, ...)
        Predicted classes.
    targets : array
        True classes, or rows of probabilities.

    Raises
    ------
    ValueError
        If the two differ in shape, or there is no sample.

    Examples
    --------
    >>> accuracy([0, 1, 1, 1], [0, 1, 0, 1])
    0.75
    """
    predicted, targets = _pair(predicted, targets)
    return float((predicted == targets).mean())


def confusion_matrix(predicted: ArrayLike, targets: ArrayLike, classes: int) -> Array:
    """Return how often each class was taken for each: rows are true, columns predicted classes.

    Raises
    ------
    ValueError
        If the two differ in shape, there is no sample, or a class is not below ``classes``.

    Examples
    --------
    >>> confusion_matrix([0, 1, 1], [0, 0, 1], classes=2)
    array([[1, 1],
           [0, 1]])
    """
    predicted, targets = _pair(predicted, targets)
    if max(predicted.max(), targets.max()) >= classes or min(predicted.min(), targets.min()) < 0:
        raise ValueError(f"confusion_matrix: the classes must be 0 to {classes - 1}.")
    counts = np.bincount(targets.ravel() * classes + predicted.ravel(), minlength=classes**2)
    return counts.reshape(classes, classes)


def _pair(predicted: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    predicted = np.asarray(predicted).astype(np.intp)
    targets = labels(targets, predicted.ndim)
    if predicted.shape != targets.shape or predicted.size == 0:
        raise ValueError(
            f"predicted and true classes must have one shape and at least one sample, "
            f"got {predicted.shape} and {targets.shape}."
        )
    return predicted, targets
