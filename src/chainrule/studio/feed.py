"""Mini-batches whose size may change while they are gone through."""

import math
from collections.abc import Iterator

import numpy as np

from chainrule.layer import Array

__all__ = ["LiveBatches"]


class LiveBatches:
    """Mini-batches of a data set, dealt anew each epoch; ``size`` may be set at any moment.

    Parameters
    ----------
    x, y : array
        Inputs and targets.
    size : int
        How many samples a mini-batch has.
    seed : int
        Draws the orders.

    Attributes
    ----------
    chosen : array of int
        Which samples the last mini-batch had.

    Examples
    --------
    >>> batches = LiveBatches(np.arange(6), np.arange(6), 2, seed=0)
    >>> sizes = []
    >>> for x, y in batches:
    ...     sizes.append(len(x))
    ...     batches.size = 3
    >>> sizes
    [2, 3, 1]
    """

    def __init__(self, x: Array, y: Array, size: int, *, seed: int = 0) -> None:
        self.x, self.y, self.size = x, y, size
        self.rng = np.random.default_rng(seed)
        self.chosen = np.zeros(0, np.intp)

    def __len__(self) -> int:
        """Return how many mini-batches of the present size there are."""
        return math.ceil(len(self.x) / self.size)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        """Yield (inputs, targets) in a new order."""
        order, start = np.arange(len(self.x)), 0
        self.rng.shuffle(order)  # as Batches does: the same seed gives the same mini-batches
        while start < len(order):
            self.chosen = order[start : start + self.size]
            start += len(self.chosen)
            yield self.x[self.chosen], self.y[self.chosen]
