"""Clipping: gradients that are too long or too large are cut before the step."""

import math

import numpy as np

from chainrule.layer import Array

__all__ = ["check_most", "clip_norm", "clip_value"]


def check_most(name: str, most: float) -> None:
    """Refuse a bound that would clip everything to 0, or turn gradients round."""
    if not 0 < most < math.inf:
        raise ValueError(f"{name} must be greater than 0, got {most}.")


def clip_norm(gradients: Array, most: float) -> float:
    r"""Shorten the gradient vector in place to the length ``most`` if it is longer.

    .. math:: g \leftarrow g \min\left(1, \frac{c}{\lVert g \rVert}\right)

    The direction stays. Returns the length that it had.

    Raises
    ------
    ValueError
        If ``most`` is not greater than 0.

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
    check_most("clip_norm", most)
    with np.errstate(over="ignore", under="ignore"):
        square = float(np.vdot(gradients, gradients))
    norm = math.sqrt(square)
    if gradients.itemsize == 2 or not 1e-30 < square < math.inf:  # squares overflow, or vanish
        largest = float(np.abs(gradients).max(initial=0))
        if 0 < largest < math.inf:
            relative = gradients.astype(np.float64) / largest
            norm = largest * math.sqrt(float(np.vdot(relative, relative)))
    if norm > most:  # the quotient may be 0 in float16
        wide = np.result_type(gradients, np.float32)
        np.multiply(gradients, most / norm, out=gradients, dtype=wide, casting="same_kind")
    return norm


def clip_value(gradients: Array, most: float) -> None:
    """Cut every value of the gradient in place to the range from ``-most`` to ``most``.

    Raises
    ------
    ValueError
        If ``most`` is not greater than 0.

    Examples
    --------
    >>> import numpy as np
    >>> g = np.array([3.0, -0.5])
    >>> clip_value(g, 1.0)
    >>> g
    array([ 1. , -0.5])
    """
    check_most("clip_value", most)
    np.clip(gradients, -most, most, out=gradients)
