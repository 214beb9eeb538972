"""For your own tests: a layer's gradients are right, or the test says which mistake was made.

With pytest installed, ``assert_gradients`` is a fixture too, without any import.
"""

from typing import Any

from numpy.typing import ArrayLike

from chainrule.gradcheck import check_gradients

__all__ = ["assert_gradients"]


def assert_gradients(thing: Any, x: ArrayLike, y: ArrayLike | None = None, **options: Any) -> None:
    """Fail unless every gradient of ``thing`` is right.

    Parameters
    ----------
    thing, x, y, **options
        As for :func:`chainrule.check_gradients`.

    Raises
    ------
    AssertionError
        With the report, if a gradient is wrong or could not be checked.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Tanh
    >>> from chainrule.testing import assert_gradients
    >>> assert_gradients(Tanh(), np.array([[0.5, -1.0]]))
    """
    __tracebackhide__ = True  # pytest then shows the user's line, not this one
    report = check_gradients(thing, x, y, **options)
    if not report.ok:
        raise AssertionError(report.text())
