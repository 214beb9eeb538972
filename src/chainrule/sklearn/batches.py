"""Mini-batches in the order that scikit-learn deals them, and the L2 penalty beside each."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.layer import Array
from chainrule.model import Model
from chainrule.optimizers import Optimizer

__all__ = ["Deal", "Penalty", "dense"]


def dense(x: Any) -> Array:
    """Return rows as an array, sparse or not."""
    rows: Array = x.toarray() if hasattr(x, "toarray") else x
    return rows


class Penalty:
    r"""The L2 penalty of scikit-learn: it shrinks with the weight of the mini-batch.

    .. math:: \frac{\alpha}{2 W} \sum_l \lVert W_l \rVert^2

    with the sum :math:`W` of the mini-batch's sample weights. Its derivative is a weight decay of
    :math:`\alpha / W`, which the optimiser adds.

    Parameters
    ----------
    alpha : float
        :math:`\alpha`.
    model : Model
    optimizer : Optimizer or None
        Its weight decay is set; None where something else does it.

    Attributes
    ----------
    total : float
        The sum of the penalties, each as often as its mini-batch has samples.
    """

    def __init__(self, alpha: float, model: Model, optimizer: Optimizer | None = None) -> None:
        self.alpha = alpha
        self.optimizer = optimizer
        self.total = 0.0
        arrays = [array for _, array in model.named_parameters() if array.ndim > 1]
        self._weights = [array.reshape(-1) for array in arrays]  # views: they go with the model

    def value(self, weight: float) -> float:
        """Return the penalty beside so much weight."""
        return 0.5 * self.alpha * sum(float(np.dot(w, w)) for w in self._weights) / weight

    def begin(self, weight: float, count: int) -> None:
        """Reckon with the mini-batch that comes next: its weight, and how many samples it has."""
        if self.alpha:
            self.total += self.value(weight) * count
            if self.optimizer is not None:
                self.optimizer.weight_decay = self.alpha / weight

    def take(self) -> float:
        """Return the total, and begin anew."""
        total, self.total = self.total, 0.0
        return total


class Deal:
    """Mini-batches (inputs, targets) or (inputs, targets, weights), dealt anew each epoch.

    A mini-batch whose weights are all 0 is left out. A last one with fewer samples than it takes
    joins the one before.

    Parameters
    ----------
    x : array or sparse array, shape (samples, ...)
        Rows of a sparse one become dense a mini-batch at a time.
    y : array, shape (samples, ...)
    weights : array, shape (samples,), or None
    batch_size : int
    shuffle : bool
    random : numpy.random.RandomState
        Draws the orders, as scikit-learn's ``shuffle`` does.
    penalty : Penalty or None
        Told of each mini-batch before it goes out.
    least : int
        How many samples a mini-batch takes: batch normalisation needs two.
    """

    def __init__(
        self,
        x: Any,
        y: Array,
        weights: Array | None,
        batch_size: int,
        *,
        shuffle: bool,
        random: np.random.RandomState,
        penalty: Penalty | None,
        least: int = 1,
    ) -> None:
        self.x, self.y, self.weights = x, y, weights
        self._starts = [*range(0, self.samples, batch_size), self.samples]
        if len(self._starts) > 2 and self.samples - self._starts[-2] < least:
            del self._starts[-2]
        self.shuffle = shuffle
        self.random = random
        self.penalty = penalty
        self._order = np.arange(self.samples)
        sparse = hasattr(x, "toarray")
        largest = max(stop - start for start, stop in pairwise(self._starts))
        self._buffer = None if sparse else np.empty((largest, *x.shape[1:]), x.dtype)

    @property
    def samples(self) -> int:
        """How many samples there are."""
        count: int = self.x.shape[0]
        return count

    def __len__(self) -> int:
        """Return the number of mini-batches."""
        return len(self._starts) - 1

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        """Yield the mini-batches of an epoch; the inputs are valid until the next."""
        if self.shuffle:  # the order before, dealt anew
            places = np.arange(self.samples)
            self.random.shuffle(places)
            self._order = self._order[places]
        for start, stop in pairwise(self._starts):
            chosen = self._order[start:stop]
            weights: tuple[Array, ...] = ()
            weight = float(len(chosen))
            if self.weights is not None:
                weights = (self.weights[chosen],)
                weight = float(weights[0].sum())
                if weight == 0:
                    continue
            if self.penalty is not None:
                self.penalty.begin(weight, len(chosen))
            yield (self.rows(chosen), self.y[chosen], *weights)

    def rows(self, chosen: Array) -> Array:
        """Return the inputs of these samples."""
        if self._buffer is None:
            return dense(self.x[chosen])
        # mode="clip" lets NumPy write straight into the buffer; the indices are in range.
        return np.take(self.x, chosen, axis=0, out=self._buffer[: len(chosen)], mode="clip")
