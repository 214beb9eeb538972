"""The loss around a net: on a plane through its parameters, along two random directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chainrule.layer import Array
from chainrule.layers import Embedding
from chainrule.model import Model

__all__ = ["Landscape", "direction", "landscape"]


@dataclass(frozen=True)
class Landscape:
    """The loss on a plane through the parameters.

    Attributes
    ----------
    reach : float
        How far it goes along each direction, as a share of the parameters' own length.
    losses : array, shape (size, size)
        Rows go along the first direction, columns along the second, both from ``-reach`` to
        ``reach``; the net itself is in the middle.
    """

    reach: float
    losses: Array

    @property
    def steps(self) -> Array:
        """How far along a direction each row and each column is."""
        return np.linspace(-self.reach, self.reach, len(self.losses))


def landscape(
    model: Model,
    x: Array,
    y: Array,
    *,
    size: int = 21,
    reach: float = 1.0,
    seed: int = 0,
    note: Callable[[int, int], None] = lambda done, total: None,
) -> Landscape:
    r"""Return the mean loss of some samples around the parameters, which stay as they are.

    .. math:: L(a, b) = L(\theta + a\,\delta + b\,\eta)

    with two directions of :func:`direction`. Layers behave as in prediction: nothing is dropped,
    and normalisations use the statistics that they have collected.

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
    note : function (done, total)
        Is told after each place how far it is; what it raises ends the search.
    """
    rng = np.random.default_rng(seed)
    middle = model.parameters.copy()
    first, second = direction(model, rng), direction(model, rng)
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
                    note(i * size + j + 1, size * size)
    finally:
        model.parameters = middle
        model.training = training
    return Landscape(reach, losses)


def direction(model: Model, rng: np.random.Generator) -> Array:
    r"""Return a random direction, scaled filter by filter to the length of the parameters there.

    .. math:: \delta_{i} \leftarrow \frac{\delta_{i}}{\|\delta_{i}\|}\,\|\theta_{i}\|

    where :math:`i` counts filters: the kernels of a convolution, the units of a linear layer, the
    rows of an embedding. So pictures of different nets can be compared, whatever the scale of their
    weights. Vectors, as biases and what a normalisation multiplies by, stay as they are, as in the
    pictures of the source: Li et al., Visualizing the Loss Landscape of Neural Nets, 2018.
    """
    pieces = [np.zeros(0)]
    for layer in model.layers:
        for part in layer.walk():
            for name in part.parameter_shapes():
                own = np.asarray(getattr(part, name), np.float64)
                pieces.append(np.ravel(_scaled(own, rng, rows=isinstance(part, Embedding))))
    return np.concatenate(pieces)


def _scaled(own: Array, rng: np.random.Generator, *, rows: bool) -> Array:
    """Return random numbers in the shape of an array, each filter as long as the array's own."""
    if own.ndim < 2:
        return np.zeros_like(own)
    drawn = rng.standard_normal(own.shape)
    axes = tuple(range(1, own.ndim)) if rows else tuple(range(own.ndim - 1))
    length = np.sqrt((drawn**2).sum(axis=axes, keepdims=True))
    wanted = np.sqrt((own**2).sum(axis=axes, keepdims=True))
    scaled: Array = drawn * (wanted / np.where(length > 0, length, 1))
    return scaled
