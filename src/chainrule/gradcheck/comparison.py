"""Whether a gradient is the numerical one, to rounding; the worst element if it is not."""

import numpy as np

from chainrule.gradcheck.case import Case
from chainrule.gradcheck.numerical import Numerical
from chainrule.gradcheck.report import Finding
from chainrule.layer import Array

__all__ = ["compare", "is_right", "tolerance"]

TOLERANCE = 1e-6


def tolerance(found: Array, case: Case) -> Array:
    """Return how far each value may be from the numerical one of a case."""
    sizes = np.maximum(np.abs(found), np.abs(case.numerical))
    return np.asarray(TOLERANCE * sizes + 20 * np.nan_to_num(case.error))


def is_right(analytic: Array, numerical: Numerical, floor: float) -> Array:
    """Return which values agree; ``floor`` is what the code itself loses by rounding."""
    sizes = np.maximum(np.abs(analytic), np.abs(numerical.value))
    slack = TOLERANCE * sizes + 20 * numerical.error + floor
    return np.asarray(np.abs(analytic - numerical.value) <= slack)


def compare(
    name: str, start: Array, found: Array, numerical: Numerical, indices: Array, floor: float
) -> Finding:
    """Return what is to be said of an array, from those of its elements that were compared.

    Parameters
    ----------
    name : str
        The input, or a parameter.
    start : array
        The array itself.
    found : array
        The gradient that the code gave.
    numerical : Numerical
        The derivative by each compared element.
    indices : array of int
        Which elements of the flattened array were compared.
    floor : float
        What the code itself loses by rounding.
    """
    analytic = found.ravel()[indices].astype(np.float64)
    checked = ~numerical.kink
    difference = np.abs(analytic - numerical.value)
    sizes = np.maximum(np.abs(analytic), np.abs(numerical.value))
    right = is_right(analytic, numerical, floor)
    # Below its own rounding a numerical value says nothing: the error is measured against that.
    relative = difference / np.maximum(sizes, 1e6 * (numerical.error + floor) + 1e-300)
    relative = np.where(np.isnan(analytic), np.inf, relative)
    all_right = bool(right[checked].all())
    enough = bool(checked.any() and 2 * checked.sum() >= len(indices))
    finding = Finding(
        name,
        ok=all_right and enough,
        unproved=all_right and not enough,
        shape=start.shape,
        checked=int(checked.sum()),
        skipped=int((~checked).sum()),
        analytic_array=found,
    )
    if checked.any():
        relative = np.where(checked, relative, -1.0)
        worst = int(relative.argmax())
        finding.max_error = float(relative[worst])
        finding.index = tuple(int(i) for i in np.unravel_index(indices[worst], start.shape))
        finding.analytic = float(analytic[worst])
        finding.numerical = float(numerical.value[worst])
    if len(indices) == start.size:
        finding.numerical_array = numerical.value.reshape(start.shape)
    return finding
