"""Greatest value and sum of each row: over the last axis, which is kept with length 1.

NumPy's own ``max`` and ``sum`` over a short last axis work value by value; these are several times
as fast there (``docs/performance.md``).
"""

import numpy as np

from chainrule.layer import Array

__all__ = ["row_max", "row_sum"]


def row_max(x: Array) -> Array:
    """Return ``x.max(axis=-1, keepdims=True)``: ``argmax`` compares many values at once.

    Examples
    --------
    >>> row_max(np.array([[1.0, 3.0], [2.0, -1.0]]))
    array([[3.],
           [2.]])
    """
    if x.size <= 256:  # too few to be worth it
        few: Array = np.maximum.reduce(x, axis=-1, keepdims=True)
        return few
    rows = x.reshape(-1, x.shape[-1])
    greatest: Array = rows[np.arange(len(rows)), rows.argmax(axis=1)]
    return greatest.reshape(*x.shape[:-1], 1)


def row_sum(x: Array) -> Array:
    """Return ``x.sum(axis=-1, keepdims=True)``, as a product with a column of ones.

    Examples
    --------
    >>> row_sum(np.array([[1.0, 3.0], [2.0, -1.0]]))
    array([[4.],
           [1.]])
    """
    ones = np.empty((x.shape[-1], 1), x.dtype)
    ones.fill(1)
    sums: Array = np.matmul(x, ones)
    return sums
