"""Which learning rate to begin with: a mock training in which it grows until the loss diverges."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.model import Model
from chainrule.optimizers import SGD, Optimizer
from chainrule.training.callbacks import Callback
from chainrule.training.loop import Run, train

__all__ = ["LearningRates", "find_learning_rate"]

DIVERGED = 4.0  # times the least loss
EDGE = 5  # steps at the beginning that are no suggestion: the smoothing has little to go by


@dataclass(frozen=True)
class LearningRates:
    """What the mock training measured.

    Attributes
    ----------
    rates : array
        The learning rate of each step.
    losses : array
        The loss of each step's mini-batch.
    smoothed : array
        The running mean of the losses, with the correction for its start from 0.
    steepest : float
        Where the smoothed loss falls fastest, over the logarithm of the rate.
    tenth_of_minimum : float
        A tenth of the rate where the smoothed loss is least.
    diverged : bool
        Whether it ended since the loss had grown too much; else the rates are perhaps too low.
    """

    rates: Array = field(repr=False)
    losses: Array = field(repr=False)
    smoothed: Array = field(repr=False)
    steepest: float
    tenth_of_minimum: float
    diverged: bool

    @property
    def suggestion(self) -> float:
        """A rate to train with: a tenth of that of the least loss, where the net still learns.

        With ``OneCycle`` it is the highest rate. It is a rough guide: look at the plot.
        """
        return self.tenth_of_minimum

    def __str__(self) -> str:
        return (
            f"Learning rate: {self.suggestion:.2g} (a tenth of that of the least loss); "
            f"the loss falls fastest at {self.steepest:.2g}."
        )


def find_learning_rate(
    model: Model,
    data: Any,
    *,
    optimizer: Optimizer | None = None,
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int = 200,
    smoothing: float = 0.9,
) -> LearningRates:
    r"""Train a copy of the model with a growing learning rate, and look where the loss falls.

    Step :math:`i` of :math:`n` has the rate
    :math:`\eta_i = \eta_0 (\eta_n / \eta_0)^{i / (n - 1)}`. It ends when the smoothed loss is more
    than four times its least value, or is no number any more. The smoothed loss is

    .. math:: a_i = \beta a_{i-1} + (1 - \beta) L_i, \qquad \bar L_i = \frac{a_i}{1 - \beta^{i+1}}

    Model, optimiser, data and their random generators stay as they are: copies are used up.

    Parameters
    ----------
    model : Model
        The net as it will be trained from.
    data : pair of arrays (x, y), or mini-batches
        As for ``train``; gone through again as often as the steps need. Its arrays are not copied.
    optimizer : Optimizer, optional
        The one to train with; plain ``SGD`` if None.
    lowest, highest : float
        The first and the last learning rate.
    steps : int
        How many steps, at least 10.
    smoothing : float
        :math:`\beta`, from 0 to below 1. The smoothed loss lags :math:`1 / (1 - \beta)` steps
        behind, so more steps find more precisely.

    Raises
    ------
    ValueError
        If the arguments make no sense, or the loss is no number before the net could learn.
    TypeError
        If the data can be gone through only once, or cannot be copied: reading them would use
        them up.

    Notes
    -----
    Sources: Smith, Cyclical Learning Rates for Training Neural Networks, 2015; Gugger, How Do You
    Find A Good Learning Rate, 2018.

    Examples
    --------
    >>> from chainrule import Linear, Model, ReLU, SoftmaxCrossEntropy, find_learning_rate
    >>> from chainrule import Flatten, load_digits
    >>> images, labels = load_digits("train")
    >>> layers = [Flatten(), Linear(64, 30), ReLU(), Linear(30, 10)]
    >>> found = find_learning_rate(Model(layers, SoftmaxCrossEntropy()), (images / 16, labels))
    >>> 0.01 < found.suggestion < 1
    True
    """
    if not 0 < lowest < highest < math.inf:
        raise ValueError(
            f"find_learning_rate: needs 0 < lowest < highest, got {lowest} and {highest}."
        )
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2 * EDGE:
        raise ValueError(f"find_learning_rate: steps must be at least {2 * EDGE}, got {steps!r}.")
    if not 0 <= smoothing < 1:
        raise ValueError(
            f"find_learning_rate: smoothing must be from 0 to below 1, got {smoothing}."
        )
    growth = highest / lowest
    recorder = _Recorder(steps, smoothing)
    twin = copy.deepcopy(optimizer) if optimizer is not None else SGD()
    twin.learning_rate = lowest
    try:
        train(
            copy.deepcopy(model), None, steps, _twin(data), optimizer=twin, callbacks=[recorder],
            schedule=lambda step, _: growth ** (recorder.count / (steps - 1)), verbose=False,
        )  # fmt: skip
    except FloatingPointError:
        recorder.diverged = True
    return recorder.result()


class _Recorder(Callback):
    """Remembers rates and losses, and stops when there are enough or the loss is too high."""

    def __init__(self, steps: int, smoothing: float) -> None:
        self.steps = steps
        self.smoothing = smoothing
        self.count = 0
        self.diverged = False
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self._average = 0.0

    def on_step_end(self, run: Run) -> None:
        """Note the step."""
        self.count += 1
        self._average = self.smoothing * self._average + (1 - self.smoothing) * run.loss
        self.rates.append(run.optimizer.learning_rate)
        self.losses.append(run.loss)
        self.smoothed.append(self._average / (1 - self.smoothing**self.count))
        # Only after some steps: a single mini-batch may be four times as hard as another.
        low, now = min(self.smoothed), self.smoothed[-1]
        self.diverged = self.count > 2 * EDGE and now > low + (DIVERGED - 1) * abs(low)
        run.stop = self.diverged or self.count == self.steps

    def result(self) -> LearningRates:
        """Return what was found."""
        if self.count < 2 * EDGE:
            raise ValueError(
                f"find_learning_rate: the loss was no finite number after {self.count} steps. "
                "Choose a lower `lowest`, and look for NaN in the data."
            )
        rates, smoothed = np.array(self.rates), np.array(self.smoothed)
        lowest = int(np.argmin(smoothed))
        before = slice(EDGE, max(lowest, EDGE) + 1)  # after it the loss falls by chance alone
        slopes = np.gradient(smoothed, np.log(rates))
        return LearningRates(
            rates,
            np.array(self.losses),
            smoothed,
            steepest=float(rates[before][np.argmin(slopes[before])]),
            tenth_of_minimum=float(rates[lowest]) / 10,
            diverged=self.diverged,
        )


def _twin(data: Any) -> Any:
    """Return data that give the same mini-batches, and can be read without using these up."""
    if isinstance(data, (list, tuple)):  # reading these changes nothing
        return data
    if hasattr(data, "__next__"):
        raise TypeError(
            "find_learning_rate: the data can be gone through only once, and are then needed for "
            f"the training; got {type(data).__name__}. Pass a list of mini-batches, or Batches."
        )
    # Arrays are shared, since nobody writes into them; what is left to copy are generators.
    memo = {id(array): array for array in _arrays(data, set())}
    try:
        return copy.deepcopy(data, memo)
    except TypeError as error:
        raise TypeError(
            f"find_learning_rate: cannot copy the data, and reading them would use them up: {error}"
        ) from error


def _arrays(thing: Any, seen: set[int]) -> list[Array]:
    """Return the arrays in an object's attributes, and in lists and objects there."""
    if isinstance(thing, np.ndarray):
        return [thing]
    if id(thing) in seen:
        return []
    seen.add(id(thing))
    if isinstance(thing, dict):
        inner = list(thing.values())
    elif isinstance(thing, (list, tuple)):
        inner = list(thing)
    else:
        inner = list(getattr(thing, "__dict__", {}).values())
    return [array for item in inner for array in _arrays(item, seen)]
