"""What is done to a net by hand, between two steps: a number is set, a sample is taught."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.model import Model
from chainrule.optimizers import SGD
from chainrule.studio import nets
from chainrule.studio.data import Data

__all__ = ["Lesson", "Lessons", "checked_place"]

MOST_LESSONS = 20  # that can be taken back


@dataclass(frozen=True)
class Lesson:
    """A step on one sample: outputs and parameters before and after it."""

    outputs: Array
    outputs_after: Array
    parameters: Array
    parameters_after: Array


class Lessons:
    """The lessons of one training; the newest of them can be taken back, one after the other."""

    def __init__(self) -> None:
        self._given: deque[Lesson] = deque(maxlen=MOST_LESSONS)

    def __len__(self) -> int:
        return len(self._given)

    def teach(self, model: Model, data: Data, row: Array, truth: float, rate: float) -> Lesson:
        """Make one step of plain gradient descent on one sample.

        Layers that would need the statistics of a mini-batch use those that they have collected.
        The optimiser of the training is not used: what it remembers stays as it is.

        Parameters
        ----------
        model : Model
        data : Data
        row : array, shape (features,)
            As the net takes it.
        truth : float
            The true class; where a number is predicted, that number in its own unit.
        rate : float

        Raises
        ------
        ValueError
            If there is no such class or number, or what comes out is not finite; then nothing is
            changed.
        """
        x = np.asarray(row, model.dtype)[None]
        y = _target(model, data, truth)
        outputs, parameters = model.predict(x)[0], model.parameters.copy()
        if not np.isfinite(outputs).all():
            raise ValueError("the net gives no finite numbers. Begin anew with a lower rate.")
        training = model.training
        model._set_modes(training=False, keeping=True)
        try:
            model.cost.forward(model.forward(x), y)
            model.backward()
            SGD(rate).step(model.parameters, model.gradients)
        finally:
            model.training = training
        after = model.predict(x)[0]
        if not np.isfinite(after).all():
            model.parameters = parameters
            raise ValueError("after that step the net gives no finite numbers. Take a smaller one.")
        lesson = Lesson(outputs, after, parameters, model.parameters.copy())
        self._given.append(lesson)
        return lesson

    def take_back(self, model: Model) -> None:
        """Set the parameters as they were before the newest lesson, and forget it.

        Raises
        ------
        ValueError
            If there is none, or they have changed since.
        """
        if not self._given:
            raise ValueError("there is nothing to take back.")
        lesson = self._given.pop()
        if not np.array_equal(model.parameters, lesson.parameters_after):
            raise ValueError("the net has gone on learning since: that step cannot be taken back.")
        model.parameters = lesson.parameters


def _target(model: Model, data: Data, truth: float) -> Array:
    """Return one true answer as the loss takes it."""
    if data.regression:
        with np.errstate(over="ignore"):
            target = data.held.preparation.targets([truth])
        if not np.isfinite(target).all():
            raise ValueError(
                f"the true number must be finite, and not far too large: got {truth:g}."
            )
        return target
    if truth not in range(data.outputs):
        raise ValueError(f"{data.name} has no class {truth}.")
    label = np.array([int(truth)])
    return nets.targets(model.cost, label, data.outputs, data.width_of(model))


def checked_place(model: Model, name: str, index: tuple[int, ...], value: float) -> Any:
    """Return the parameter of a name, if it has such a place and the value is a number.

    Raises
    ------
    ValueError
        If not.
    """
    arrays = dict(model.named_parameters())
    if name not in arrays:
        raise ValueError(f"there is no parameter {name!r:.40}; there are {', '.join(arrays)}.")
    shape = arrays[name].shape
    if len(index) != len(shape) or not all(0 <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError(f"{name} has shape {shape}: there is no place {index}.")
    if not math.isfinite(value):
        raise ValueError(f"a parameter is a finite number, got {value}.")
    return arrays[name]
