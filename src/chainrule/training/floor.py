"""The floor under the time of linear layers: their matrix products alone."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.layer import Array

__all__ = ["BareProducts", "Products", "middle_half"]

WARM_UP = 3  # rounds; with fewer the products take up to a tenth longer


@dataclass(frozen=True)
class Products:
    """What a linear layer multiplies in a step.

    Attributes
    ----------
    rows, n_in, n_out : int
        Its input is (rows, n_in), its output (rows, n_out).
    to_input : bool
        Whether the gradient of its input is asked for.
    """

    rows: int
    n_in: int
    n_out: int
    to_input: bool


class BareProducts:
    """The matrix products of linear layers on arrays of its own, forward and backward.

    Parameters
    ----------
    layers : dict
        What each layer multiplies, in the order of the net, by any key.
    dtype : numpy.dtype
        The float type.

    Examples
    --------
    >>> import numpy as np
    >>> bare = BareProducts({"0": Products(64, 784, 100, to_input=False)}, np.dtype("float32"))
    >>> for _ in range(5):
    ...     bare.run()
    >>> bare.seconds()["0"] > 0
    True
    """

    def __init__(self, layers: dict[Any, Products], dtype: np.dtype[Any]) -> None:
        self.layers = layers
        self.rounds: list[list[int]] = []  # nanoseconds of each layer
        self._arrays = []
        for layer in layers.values():
            shapes = (layer.rows, layer.n_in), (layer.n_in, layer.n_out), (layer.rows, layer.n_out)
            self._arrays.append([np.ones(shape, dtype) for shape in (*shapes, *shapes)])

    def run(self) -> None:
        """Go through all layers and back, as a step does; the last time of a few counts.

        By then the arrays are in the caches, as those of a step are from the steps before.
        """
        for _ in range(WARM_UP):
            self._run()
        self.rounds.append(self._run())

    def _run(self) -> list[int]:
        clock = time.perf_counter_ns
        took = [0] * len(self._arrays)
        for i, (x, w, _, _, _, y) in enumerate(self._arrays):
            start = clock()
            np.matmul(x, w, out=y)
            took[i] += clock() - start
        for i, layer in reversed(list(enumerate(self.layers.values()))):
            x, w, grad, grad_x, grad_w, _ = self._arrays[i]
            start = clock()
            product = np.multiply if layer.rows == 1 else np.matmul  # as Linear
            product(x.T, grad, out=grad_w)
            if layer.to_input:
                np.matmul(grad, w.T, out=grad_x)
            took[i] += clock() - start
        return took

    def seconds(self) -> dict[Any, float]:
        """Return the seconds of each layer: means over the middle half of the rounds."""
        times = 1e-9 * np.array(self.rounds, dtype=np.float64)
        means = middle_half(times, times.sum(axis=1)).mean(axis=0)
        return dict(zip(self.layers, means.tolist(), strict=True))


def middle_half(rows: Array, totals: Array) -> Array:
    """Return the rows of the middle half by their totals; of fewer than four, all.

    Examples
    --------
    >>> import numpy as np
    >>> middle_half(np.arange(8.0), np.array([9, 1, 5, 4, 3, 6, 0, 2]))
    array([7., 4., 3., 2.])
    """
    quarter = len(rows) // 4
    return rows[np.argsort(totals, kind="stable")[quarter : len(rows) - quarter]]
