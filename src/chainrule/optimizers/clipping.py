"""Clipping: gradients that are too long or too large are cut before the step."""

import math

import numpy as np

from chainrule.layer import Array

__all__ = ["clip_norm", "clip_value"]


def clip_norm(gradients: Array, most: float) -> float:
    r"""Shorten the gradient vector in place to the length ``most`` if it is longer.

    .. math:: g \leftarrow g \min\left(1, \frac{c}{\lVert g \rVert}\right)

    The direction stays. Returns the length that it had.

    Notes
    -----
    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks,
    2012.

    Examples
    --------
    >>> import numpy as np
    >>> g = np.array([3.0, 4.0])
    >>> clip_norm(g, 1.0)
    5.0
    >>> g
    array([0.6, 0.8])
    """
    with np.errstate(over="ignore", under="ignore"):
        square = float(np.dot(gradients, gradients))
    norm = math.sqrt(square)
    if gradients.itemsize == 2 or not 1e-30 < square < math.inf:  # squares overflow, or vanish
        largest = float(np.abs(gradients).max(initial=0))
        if 0 < largest < math.inf:
            relative = gradients.astype(np.float64) / largest
            norm = largest * math.sqrt(float(np.dot(relative, relative)))
    if norm > most:
        gradients *= most / norm
    return norm


def clip_value(gradients: Array, most: float) -> None:
    """Cut every value of the gradient in place to the range from ``-most`` to ``most``.

    Examples
    --------
    >>> import numpy as np
    >>> g = np.array([3.0, -0.5])
    >>> clip_value(g, 1.0)
    >>> g
    array([ 1. , -0.5])
    """
    np.clip(gradients, -most, most, out=gradients)
