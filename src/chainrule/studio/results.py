"""How well a net does: what it takes for what, its worst mistakes, the plane, a saliency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.cli.classes import class_probabilities, is_yes_no
from chainrule.layer import Array
from chainrule.losses import Loss
from chainrule.metrics import confusion_matrix
from chainrule.model import Model
from chainrule.studio.data import Data

__all__ = [
    "Fit",
    "Judgement",
    "Plane",
    "answer",
    "fit",
    "judge",
    "plane",
    "probabilities",
    "saliency",
]


def probabilities(cost: Loss, outputs: Array) -> Array:
    """Return a probability for each class: where a loss knows none, the outputs cut to 0 and up.

    Examples
    --------
    >>> from chainrule import MeanSquaredError
    >>> probabilities(MeanSquaredError(), np.array([[0.75, -0.1, 0.25]])).tolist()
    [[0.75, 0.0, 0.25]]
    """
    found = class_probabilities(cost, outputs) if cost.has_classes else np.maximum(outputs, 0)
    total = found.sum(axis=1, keepdims=True)
    shares: Array = np.full_like(found, 1 / found.shape[1])
    np.divide(found, total, out=shares, where=total > 0)
    return shares


def answer(cost: Loss, outputs: Array, classes: list[str]) -> str | None:
    """Return the class that the outputs for one sample name; None if they name none.

    Parameters
    ----------
    cost : Loss
    outputs : array, shape (1, outputs)
    classes : list of str
        Their names.

    Examples
    --------
    >>> from chainrule import BinaryCrossEntropy
    >>> answer(BinaryCrossEntropy(), np.array([[-0.5]]), ["no", "yes"])
    'no'
    """
    width = 1 if outputs.ndim == 2 and is_yes_no(cost, outputs.shape[1]) else len(classes)
    if outputs.shape != (1, width) or not np.isfinite(outputs).all():
        return None
    return classes[int(probabilities(cost, outputs)[0].argmax())]


@dataclass(frozen=True)
class Judgement:
    """What a net makes of the samples of a split.

    Attributes
    ----------
    probabilities : array, shape (samples, classes)
    predicted, labels : array of int, shape (samples,)
    confusion : array of int, shape (classes, classes)
        Rows are true, columns predicted classes.
    broken : int
        For how many samples the net gives no finite numbers: their predicted class means nothing.
    """

    probabilities: Array
    predicted: Array
    labels: Array
    confusion: Array
    broken: int = 0

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float((self.predicted == self.labels).mean())

    @property
    def wrong(self) -> int:
        """How many answers are wrong."""
        return int((self.predicted != self.labels).sum())

    def confused(self, most: int = 5) -> list[tuple[int, int]]:
        """Return what is most often taken for what, as (true, predicted), the most frequent first.

        Examples
        --------
        >>> labels, predicted = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 1, 0, 1])
        >>> counts = confusion_matrix(predicted, labels, 2)
        >>> Judgement(np.zeros((5, 2)), predicted, labels, counts).confused()
        [(0, 1), (1, 0)]
        """
        counts = self.confusion.copy()
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[:most]
        pairs = zip(*np.unravel_index(order, counts.shape), strict=True)
        return [(int(t), int(p)) for t, p in pairs if counts[t, p]]

    def cell(self, true: int, predicted: int) -> Array:
        """Return which samples of one class were taken for another, the surest first."""
        found = np.flatnonzero((self.labels == true) & (self.predicted == predicted))
        return found[np.argsort(-self.probabilities[found, predicted], kind="stable")]

    def mistakes(self, most: int = 24) -> Array:
        """Return which samples it is most wrong about: those whose class it thinks least likely."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        order = np.argsort(self.probabilities[wrong, self.labels[wrong]], kind="stable")
        return wrong[order][:most]


def judge(model: Model, data: Data, split: str) -> Judgement:
    """Let a net answer for the samples of a split.

    Raises
    ------
    ValueError
        If the data have no classes, or there is no such split.
    """
    if data.regression:
        raise ValueError(f"{data.name} has no classes: there is nothing to confuse.")
    _, rows, labels = data.part(split)
    outputs = model.predict(rows)
    broken = int((~np.isfinite(outputs).all(axis=1)).sum())
    with np.errstate(over="ignore", invalid="ignore"):
        found = probabilities(model.cost, outputs)
    predicted = found.argmax(axis=1)
    counts = confusion_matrix(predicted, labels, data.outputs)
    return Judgement(found, predicted, labels, counts, broken)


@dataclass(frozen=True)
class Fit:
    """How near a net comes to the numbers of the samples held out.

    Attributes
    ----------
    true, predicted : array of float64, shape (samples,)
        In the unit of the target.

    Examples
    --------
    >>> found = Fit(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0]))
    >>> round(found.rmse, 4), round(found.mae, 4), found.r2, found.worst(1).tolist()
    (1.1547, 0.6667, -1.0, [2])
    """

    true: Array
    predicted: Array

    @property
    def residuals(self) -> Array:
        """What is predicted, less what is true."""
        with np.errstate(over="ignore", invalid="ignore"):
            found: Array = self.predicted - self.true
        return found

    @property
    def rmse(self) -> float:
        """The root of the mean square of the residuals."""
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.sqrt(np.mean(self.residuals**2)))

    @property
    def mae(self) -> float:
        """The mean of the residuals without their signs."""
        return float(np.mean(np.abs(self.residuals)))

    @property
    def r2(self) -> float:
        """The share of the variance that is explained; NaN if the true numbers are all the same."""
        spread = float(((self.true - self.true.mean()) ** 2).sum())
        with np.errstate(over="ignore", invalid="ignore"):
            return float(1 - (self.residuals**2).sum() / spread) if spread > 0 else float("nan")

    @property
    def broken(self) -> int:
        """For how many samples the net gives no finite number."""
        return int((~np.isfinite(self.predicted)).sum())

    def worst(self, most: int = 24) -> Array:
        """Return the samples with the largest residuals, those without a number first."""
        far = np.where(np.isfinite(self.residuals), np.abs(self.residuals), np.inf)
        return np.argsort(-far, kind="stable")[:most]


def fit(model: Model, data: Data) -> Fit:
    """Compare what a net predicts with the true numbers, on the samples held out."""
    values = data.held.preparation.values
    return Fit(values(data.labels_test), values(model.predict(data.rows_test)))


@dataclass(frozen=True)
class Plane:
    """What a net says of every place of the plane.

    Attributes
    ----------
    edge : (low, high)
        Of both axes.
    probabilities : array, shape (size, size, classes)
        Row 0 is at the bottom.
    """

    edge: tuple[float, float]
    probabilities: Array


def plane(model: Model, data: Data, size: int = 48) -> Plane:
    """Return what a net says of the places round the points of a data set.

    Raises
    ------
    ValueError
        If its samples are no points in the plane.
    """
    if not data.in_the_plane:
        raise ValueError(f"the samples of {data.name} are no points in the plane.")
    reach = 1.1 * float(np.abs(data.points[0]).max())
    axis = np.linspace(-reach, reach, size, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    rows = grid if data.points[0] is data.rows else data.held.preparation.rows(grid)
    outputs = model.predict(rows, batch_size=len(grid))
    found = probabilities(model.cost, outputs)
    return Plane((-reach, reach), found.reshape(size, size, -1))


def saliency(model: Model, row: Array, outputs: Array, shown: int) -> Array:
    """Return the derivative of one class's score by each input, in the shape of ``row``.

    Parameters
    ----------
    model : Model
        A twin of one's own.
    row : array, shape (features,)
        One sample, as the net takes it.
    outputs : array, shape (outputs,)
        What the net gave for it.
    shown : int
        The class.
    """
    model._set_modes(training=False, keeping=True)
    try:
        model.forward(row[None])
        grad = np.zeros((1, len(outputs)), model.dtype)
        if is_yes_no(model.cost, len(outputs)):
            grad[0, 0] = 1 if shown else -1  # the score of a no is that of a yes, with its sign
        else:
            grad[0, shown] = 1
        return np.array(model._net.backward(grad)[0])
    finally:
        model.training = True
