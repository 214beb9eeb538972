"""What happens round the loop: a callback is told at each turn, and may look or stop."""

import math
from typing import TYPE_CHECKING

from chainrule.figures import greater_is_better
from chainrule.layer import Array
from chainrule.state import State

if TYPE_CHECKING:
    from chainrule.training.loop import Run

__all__ = ["Callback", "KeepBest"]


class Callback:
    """The base of every callback: a method for each turn of the loop, each doing nothing.

    Each is given the :class:`~chainrule.training.Run`; setting ``run.stop = True`` ends the
    training after the current step.

    Examples
    --------
    >>> from chainrule import Callback
    >>> class StopBelow(Callback):
    ...     def __init__(self, loss):
    ...         self.loss = loss
    ...
    ...     def on_epoch_end(self, run):
    ...         run.stop = run.history["loss"][-1] < self.loss
    """

    # Whether it only looks and writes, and neither stops nor changes anything: of several workers
    # that train together, one alone then tells it. Others are told on all of them.
    writes: bool = False

    def get_state(self) -> State:
        """Return what it remembers; here: nothing. A checkpoint holds it."""
        return {}

    def set_state(self, state: State) -> None:
        """Go on from there; it comes after ``on_train_begin``."""

    def on_train_begin(self, run: "Run") -> None:
        """Before the first epoch."""

    def on_epoch_begin(self, run: "Run") -> None:
        """Before an epoch; ``run.epoch`` counts from 1."""

    def on_step_end(self, run: "Run") -> None:
        """After a mini-batch; ``run.step`` counts from 1, ``run.running_loss`` is the epoch's."""

    def on_epoch_end(self, run: "Run") -> None:
        """After an epoch and its validation; ``run.history`` has the new row."""

    def on_train_end(self, run: "Run") -> None:
        """After the last epoch, also when training was interrupted or failed."""


class KeepBest(Callback):
    """Keep the parameters of the best epoch, and give them back to the model at the end.

    What layers keep besides, as running statistics, goes with them.

    Parameters
    ----------
    monitor : str
        The column of the history to judge by.

    Attributes
    ----------
    best : float or None
        The best value so far: the greatest of an accuracy, the smallest of anything else.
    epoch : int or None
        Its epoch.

    Examples
    --------
    >>> from chainrule import KeepBest
    >>> KeepBest("validation_loss").greater_is_better
    False
    """

    def __init__(self, monitor: str = "validation_accuracy") -> None:
        self.monitor = monitor
        self.best: float | None = None
        self.epoch: int | None = None
        self._parameters: Array | None = None
        self._state: list[Array] = []

    @property
    def greater_is_better(self) -> bool:
        """Whether a greater value is better: of an accuracy it is, of a loss it is not."""
        return greater_is_better(self.monitor)

    def on_train_begin(self, run: "Run") -> None:
        """Forget the best of an earlier training."""
        self.best = self.epoch = self._parameters = None

    def get_state(self) -> State:
        """Return the best so far."""
        return {
            "best": self.best,
            "epoch": self.epoch,
            "parameters": self._parameters,
            "state": list(self._state),
        }

    def set_state(self, state: State) -> None:
        """Go on from there."""
        self.best, self.epoch = state["best"], state["epoch"]
        self._parameters, self._state = state["parameters"], list(state["state"])

    def on_epoch_end(self, run: "Run") -> None:
        """Copy the parameters if this epoch is the best so far."""
        value = self.value(run)
        if self.improves(value):
            self.best, self.epoch = value, run.epoch
            self._parameters = run.model.parameters.copy()
            self._state = [array.copy() for _, array in run.model.named_state()]

    def on_train_end(self, run: "Run") -> None:
        """Give the best parameters back to the model."""
        if self._parameters is not None:
            run.model.parameters = self._parameters
            for (_, array), best in zip(run.model.named_state(), self._state, strict=True):
                array[...] = best

    def value(self, run: "Run") -> float:
        """Return the figure of the epoch; NaN where it was not measured.

        Raises
        ------
        ValueError
            If no epoch has measured such a figure.
        """
        if self.monitor not in run.history:
            raise ValueError(
                f"{type(self).__name__}: an epoch has no {self.monitor!r}, only "
                f"{', '.join(run.history.columns)}. Pass validation_data, or monitor one of these."
            )
        value = run.history[self.monitor][-1]
        return math.nan if value is None else value

    def improves(self, value: float, by: float = 0.0) -> bool:
        """Whether a value is better than the best so far, by more than so much."""
        if self.best is None:
            return not math.isnan(value)
        return value > self.best + by if self.greater_is_better else value < self.best - by
