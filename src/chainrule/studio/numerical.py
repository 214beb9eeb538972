"""The derivative by one number from the loss alone: what a gradient is compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from chainrule.gradcheck import check_gradients
from chainrule.layer import Array
from chainrule.model import Model
from chainrule.studio.edits import Edit, Place, Undone, array_at, edited
from chainrule.studio.trace import LOSS, Trace

__all__ = ["Difference", "culprit", "numerical"]

SECONDS = 0.5  # that a layer of one's own may be looked at
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
    steady : bool
        Whether the loss is the same once more: not if something in the net is random.
    """

    middle: float
    width: float
    above: float
    below: float
    here: float
    steady: bool = True

    @property
    def quotient(self) -> float:
        """The central difference quotient: the numerical derivative."""
        return (self.above - self.below) / (2 * self.width)

    @property
    def sides(self) -> tuple[float, float]:
        """The slope on the left of the number, and on its right."""
        return (self.here - self.below) / self.width, (self.above - self.here) / self.width

    @property
    def kink(self) -> bool:
        """Whether the slopes of the two sides differ, as where a ReLU begins to give."""
        left, right = self.sides
        return bool(abs(right - left) > 0.01 * max(abs(right), abs(left), 1e-6))


def numerical(
    model: Model,
    x: Array,
    y: Array,
    place: Place,
    edits: tuple[Edit, ...] = (),
    *,
    batch_statistics: bool = False,
    dropping: bool = False,
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
    batch_statistics, dropping : bool
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
    with Undone(exact, batch_statistics, dropping) as mode:
        x = edited(exact, np.array(x), edits)
        if exact._as_input(x).dtype.kind == "f":
            x = x.astype(np.float64)
        array = array_at(exact, x, *place)
        middle = float(array[place[1]])

        def loss_at(value: float) -> float:
            array[place[1]] = value
            mode.draw_again()
            exact.loss(x, y)
            return exact.cost.mean()

        width = WIDTH * max(1.0, abs(middle))
        above, below, here, again = (loss_at(middle + step) for step in (width, -width, 0.0, 0.0))
    steady = here == again or math.isnan(here)
    return Difference(middle, width, above, below, here, steady)


def culprit(found: Trace) -> str:
    """Return which layer of a user's own has a wrong backward, and the mistake; empty if none has.

    Layers of chainrule are not looked at: its tests do that.

    Parameters
    ----------
    found : Trace
    """
    for step in found.leaves:
        if type(step.thing).__module__.partition(".")[0] == "chainrule":
            continue
        y = found.y if step.path == LOSS else None
        report = check_gradients(step.thing, step.input.astype(np.float64), y, seconds=SECONDS)
        for finding in report.findings:
            if finding.ok or finding.unproved:
                continue
            where = "The loss" if step.path == LOSS else f"Layer {step.path}"
            what = finding.words[0].partition(": ")[2] if finding.mistakes else finding.words[0]
            return (
                f"{where}, {step.name}: its gradient of the {finding.name} is wrong. "
                f"{what[:1].upper()}{what[1:]}"
            )
    return ""
