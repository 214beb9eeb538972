"""How well a net does: what it takes for what, its worst mistakes, the plane, the loss around."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.layer import Array
from chainrule.losses import Loss
from chainrule.metrics import confusion_matrix
from chainrule.model import Model
from chainrule.studio.data import Data

__all__ = [
    "Fit",
    "Judgement",
    "Landscape",
    "Plane",
    "fit",
    "judge",
    "landscape",
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
    found = cost.probabilities(outputs) if cost.has_classes else np.maximum(outputs, 0)
    total = found.sum(axis=1, keepdims=True)
    shares: Array = np.full_like(found, 1 / found.shape[1])
    np.divide(found, total, out=shares, where=total > 0)
    return shares


@dataclass(frozen=True)
class Judgement:
    """What a net makes of the samples of a split.

    Attributes
    ----------
    probabilities : array, shape (samples, classes)
    predicted, labels : array of int, shape (samples,)
    confusion : array of int, shape (classes, classes)
        Rows are true, columns predicted classes.
    """

    probabilities: Array
    predicted: Array
    labels: Array
    confusion: Array

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float((self.predicted == self.labels).mean())

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
    found = probabilities(model.cost, model.predict(rows))
    predicted = found.argmax(axis=1)
    return Judgement(found, predicted, labels, confusion_matrix(predicted, labels, data.outputs))


@dataclass(frozen=True)
class Fit:
    """How near a net comes to the numbers of the samples held out.

    Attributes
    ----------
    rmse : float
        In the unit of the target.
    density : array, shape (size, size)
        How many samples fall on each place; rows are predicted, columns true values.
    """

    rmse: float
    density: Array


def fit(model: Model, data: Data, size: int = 24) -> Fit:
    """Compare what a net predicts with the true numbers, on the samples held out."""
    values = data.held.preparation.values
    true = np.ravel(values(data.labels_test)).astype(np.float64)
    predicted = np.ravel(values(model.predict(data.rows_test))).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        rmse = float(np.sqrt(np.mean((predicted - true) ** 2)))
    finite = np.isfinite(predicted)
    if not finite.any():
        return Fit(rmse, np.zeros((size, size)))
    both = np.concatenate([true, predicted[finite]])
    edge = (float(both.min()), float(both.max()))
    edge = edge if edge[1] > edge[0] else (edge[0] - 1, edge[0] + 1)
    density, _, _ = np.histogram2d(predicted[finite], true[finite], size, range=(edge, edge))
    return Fit(rmse, density)


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
    reach = 1.1 * float(np.abs(data.held.x).max())
    axis = np.linspace(-reach, reach, size, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    outputs = model.predict(data.held.preparation.rows(grid), batch_size=len(grid))
    found = probabilities(model.cost, outputs)
    return Plane((-reach, reach), found.reshape(size, size, -1))


@dataclass(frozen=True)
class Landscape:
    """The loss on a plane through the parameters, along two random directions.

    Attributes
    ----------
    reach : float
        How far it goes along each, as a share of the parameters' own length.
    losses : array, shape (size, size)
        The net itself is in the middle.
    """

    reach: float
    losses: Array


def landscape(
    model: Model, x: Array, y: Array, *, size: int = 21, reach: float = 1.0, seed: int = 0
) -> Landscape:
    """Return the mean loss of a mini-batch around the parameters, which stay as they are.

    Each direction is random, and scaled filter by filter (unit by unit; a vector as a whole) to the
    length of the parameters there, so that pictures of different nets can be compared. Source: Li
    et al., Visualizing the Loss Landscape of Neural Nets, 2018.

    Parameters
    ----------
    model : Model
        A twin of one's own.
    x, y : array
        The samples that the loss is taken of.
    size : int
        How many places a side, odd.
    reach : float
        How far to go, as a share of the parameters' own length.
    seed : int
        Draws the directions.
    """
    rng = np.random.default_rng(seed)
    middle = model.parameters.copy()
    first, second = (_direction(model, rng) for _ in range(2))
    steps = np.linspace(-reach, reach, size)
    losses = np.empty((size, size))
    training, model.training = model.training, False
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            for i, a in enumerate(steps):
                for j, b in enumerate(steps):
                    model.parameters = middle + a * first + b * second
                    model.loss(x, y)
                    losses[i, j] = model.cost.mean()
    finally:
        model.parameters = middle
        model.training = training
    return Landscape(reach, losses)


def saliency(model: Model, row: Array, outputs: Array, shown: int) -> Array:
    """Return the derivative of one class's score by each input, in the shape of ``row``.

    Parameters
    ----------
    model : Model
        A twin of one's own.
    row : array, shape (features,)
        One sample, as the net takes it.
    outputs : array, shape (classes,)
        What the net gave for it.
    shown : int
        The class.
    """
    model._set_modes(training=False, keeping=True)
    try:
        model.forward(row[None])
        grad = np.zeros((1, len(outputs)), model.dtype)
        grad[0, shown] = 1
        return np.array(model._net.backward(grad)[0])
    finally:
        model.training = True


def _direction(model: Model, rng: np.random.Generator) -> Array:
    pieces = []
    for _, array in model.named_parameters():
        drawn = rng.standard_normal(array.shape)
        axes = tuple(range(array.ndim - 1)) or None  # the last axis counts units and kernels
        length = np.sqrt((drawn**2).sum(axis=axes, keepdims=True))
        own = np.sqrt((np.asarray(array, np.float64) ** 2).sum(axis=axes, keepdims=True))
        pieces.append((drawn * own / np.where(length > 0, length, 1)).ravel())
    return np.concatenate(pieces) if pieces else np.zeros(0)
