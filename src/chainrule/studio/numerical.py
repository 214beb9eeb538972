"""The derivative by one number from the loss alone: what a gradient is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.layer import Array
from chainrule.model import Model
from chainrule.studio.edits import Edit, Place, Undone, array_at, edited

__all__ = ["Difference", "numerical"]

WIDTH = 1e-5  # in float64 the error of a central difference is least about here


@dataclass(frozen=True)
class Difference:
    """The loss on both sides of a number.

    Attributes
    ----------
    middle, width : float
        The number, and how far it was moved to each side.
    above, below, here : float
        The mean loss with the number greater, less, and as it is.
    """

    middle: float
    width: float
    above: float
    below: float
    here: float

    @property
    def quotient(self) -> float:
        """The central difference quotient: the numerical derivative."""
        return (self.above - self.below) / (2 * self.width)

    @property
    def kink(self) -> bool:
        """Whether the slopes of the two sides differ, as where a ReLU begins to give."""
        right, left = self.above - self.here, self.here - self.below
        return bool(abs(right - left) > 0.01 * max(abs(right), abs(left), 1e-6 * self.width))


def numerical(
    model: Model,
    x: Array,
    y: Array,
    place: Place,
    edits: tuple[Edit, ...] = (),
    *,
    batch_statistics: bool = False,
) -> Difference:
    """Return the derivative of the mean loss by one number, from the loss on both sides of it.

    It is computed in float64, and knows nothing of any ``backward``.

    Parameters
    ----------
    model : Model
        Stays as it is.
    x, y : array
    place : (name, index)
        ``("0.weights", (3, 1))``, or ``("x", (0, 5))`` for a number of the inputs.
    edits : tuple of Edit
    batch_statistics : bool
        As for :func:`trace`.

    Raises
    ------
    ValueError
        If there is no such place.

    Examples
    --------
    >>> from chainrule import Linear, MeanSquaredError
    >>> net = Model([Linear(1, 1, bias=False)], MeanSquaredError())
    >>> net.parameters = [3.0]
    >>> found = numerical(net, np.ones((1, 1)), np.zeros((1, 1)), ("0.weights", (0, 0)))
    >>> round(found.quotient, 6)
    6.0
    """
    exact = model.astype(np.float64)
    with Undone(exact, batch_statistics):
        x = edited(exact, np.array(x), edits)
        if exact._as_input(x).dtype.kind == "f":
            x = x.astype(np.float64)
        array = array_at(exact, x, *place)
        middle = float(array[place[1]])

        def loss_at(value: float) -> float:
            array[place[1]] = value
            exact.loss(x, y)
            return exact.cost.mean()

        width = WIDTH * max(1.0, abs(middle))
        above, below, here = (loss_at(middle + step) for step in (width, -width, 0.0))
    return Difference(middle, width, above, below, here)
