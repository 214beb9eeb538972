"""Curves that grow for as long as a training lasts, in a bounded number of points."""

from typing import TYPE_CHECKING

from chainrule.training import Callback

if TYPE_CHECKING:
    from chainrule.training import Run

__all__ = ["Curve", "Notes"]

MOST = 400  # points: as many as a plot shows


class Curve:
    """The mean of a figure over stretches of steps; when it is full, each two become one.

    Examples
    --------
    >>> curve = Curve(most=4)
    >>> for step in range(1, 9):
    ...     curve.add(step, float(step))
    >>> curve.points()
    [(2, 1.5), (4, 3.5), (6, 5.5), (8, 7.5)]
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.stride = 1
        self._points: list[tuple[int, float]] = []
        self._sum, self._count = 0.0, 0

    def add(self, step: int, value: float) -> None:
        """Take in the figure of a step."""
        self._sum += value
        self._count += 1
        if self._count < self.stride:
            return
        if len(self._points) == self.most:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [(last, (a + b) / 2) for (_, a), (last, b) in pairs]
            self.stride *= 2
            return
        self._points.append((step, self._sum / self._count))
        self._sum, self._count = 0.0, 0

    def points(self) -> list[tuple[int, float]]:
        """Return (step, mean up to it) of each stretch."""
        return list(self._points)


class Notes(Callback):
    """Notes the curves of a training.

    Attributes
    ----------
    loss : Curve
        Of each step's mini-batch.
    held_out, accuracy : Curve
        Of each epoch, on the samples held out.
    """

    def __init__(self) -> None:
        self.loss, self.held_out, self.accuracy = Curve(), Curve(), Curve()

    def on_step_end(self, run: "Run") -> None:
        """Note the loss."""
        self.loss.add(run.step, run.loss)

    def on_epoch_end(self, run: "Run") -> None:
        """Note what the epoch came to."""
        row = run.history.rows[-1]
        self.held_out.add(run.step, row["validation_loss"])
        if "validation_accuracy" in row:
            self.accuracy.add(run.step, row["validation_accuracy"])
