"""Arrays on their way to the browser."""

import base64

import numpy as np

from chainrule.layer import Array

__all__ = ["as_text"]


def as_text(array: Array) -> str:
    """Return an array as the components read it: float32, in base 64.

    Examples
    --------
    >>> as_text(np.array([1.0]))
    'AACAPw=='
    """
    return base64.b64encode(np.ascontiguousarray(array, np.float32).tobytes()).decode()
