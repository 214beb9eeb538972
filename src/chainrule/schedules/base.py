"""What every schedule shares."""

import math
from collections.abc import Mapping

from chainrule.description import code
from chainrule.state import State

__all__ = ["Around", "Schedule", "above_zero", "between", "count", "share"]


class Schedule:
    """The base of every schedule.

    Attributes
    ----------
    per_epoch : bool
        Whether it counts epochs in place of steps.
    """

    per_epoch: bool = False

    def __call__(self, step: int, total: int | None) -> float:
        """Return what the learning rate is multiplied by.

        Parameters
        ----------
        step : int
            How many steps (or epochs) have been made.
        total : int or None
            How many there will be; None where the data do not say.
        """
        raise NotImplementedError(f"{type(self).__name__} has no __call__(step, total)")

    def momentum_at(self, step: int, total: int | None) -> float | None:
        """Return the momentum of a step; None leaves the optimiser's own."""
        return None

    def observe(self, figures: Mapping[str, float]) -> None:
        """Look at what an epoch gave: its row of the history."""

    def reset(self) -> None:
        """Forget what it saw: a training begins."""

    def get_state(self) -> State:
        """Return what it remembers from the epochs that it looked at; here: nothing."""
        return {}

    def set_state(self, state: State) -> None:
        """Go on from there."""

    def __repr__(self) -> str:
        return code(self)

    def known(self, total: int | None) -> int:
        """Return the total, or say that it is needed."""
        if total is None:
            raise ValueError(
                f"{self!r}: needs to know how many steps there will be, and the data do not say. "
                "Pass data that have a length, as a list of mini-batches."
            )
        return total


class Around(Schedule):
    """A schedule with another one in it.

    Parameters
    ----------
    then : Schedule or None
        The other; it counts steps, as this one does.
    """

    def __init__(self, then: Schedule | None) -> None:
        name = type(self).__name__
        if then is not None and not isinstance(then, Schedule):
            raise TypeError(f"{name}: then must be a Schedule, as Cosine(), got {then!r}.")
        if then is not None and then.per_epoch:
            raise ValueError(
                f"{name}: counts steps, and {then!r} counts epochs. Write per_epoch=False there."
            )
        self.then = then

    def observe(self, figures: Mapping[str, float]) -> None:
        """Let the other schedule look."""
        if self.then is not None:
            self.then.observe(figures)

    def reset(self) -> None:
        """Let the other schedule forget."""
        if self.then is not None:
            self.then.reset()

    def get_state(self) -> State:
        """Return what the other schedule remembers."""
        return {} if self.then is None else self.then.get_state()

    def set_state(self, state: State) -> None:
        """Let the other schedule go on from there."""
        if self.then is not None:
            self.then.set_state(state)


def between(start: float, end: float, done: float, shape: str) -> float:
    """Return the height between ``start`` and ``end`` when the share ``done`` is behind."""
    if shape == "cosine":
        done = 0.5 - 0.5 * math.cos(math.pi * done)
    return start + (end - start) * done


def above_zero(owner: str, name: str, value: float) -> float:
    """Return the value, or refuse it."""
    if not 0 < value < math.inf:
        raise ValueError(f"{owner}: {name} must be greater than 0, got {value}.")
    return value


def share(owner: str, name: str, value: float) -> float:
    """Return the value, or refuse it."""
    if not 0 <= value < 1:
        raise ValueError(f"{owner}: {name} must be from 0 to below 1, got {value}.")
    return value


def count(owner: str, name: str, value: int, *, least: int = 1) -> int:
    """Return the value, or refuse it."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{owner}: {name} must be a whole number from {least}, got {value!r}.")
    return value
