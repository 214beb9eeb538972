"""The derivative by differences, with an estimate of its own error.

For each element, central differences at shrinking steps h, h/4, h/16, ... with Richardson's
extrapolation: the difference at h errs by c h^2, so (16 D(h/4) - D(h)) / 15 errs by h^4 only. The
pair of steps that agrees best is used, and how well it agrees is the estimate of the error.

A kink shows in the second difference, S(h) = (f(x+h) - 2 f(x) + f(x-h)) / h: for a smooth
function it shrinks like h, at a kink it stays. Such elements have no derivative, and are skipped.

Source: L. F. Richardson, The Deferred Approach to the Limit, 1927.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from chainrule.layer import Array

__all__ = ["Numerical", "along", "element_wise", "some_step_agrees"]

RATIO = 4.0
FIRST_STEP = 4e-3
QUICK_LEVELS = 3
ALL_LEVELS = 8
NOISE = 4 * np.finfo(np.float64).eps

# From the changed elements of one array to all outputs; and from two outputs to a difference.
Outputs = Callable[[Array], Array]


@dataclass
class Numerical:
    """Numerical derivatives at some elements of an array.

    Attributes
    ----------
    value, error : array, shape (elements,)
        The derivative of the scalar, and the estimate of its error.
    kink : array of bool
        Where there is no derivative.
    own : array or None
        The share of ``value`` that comes through the output at the same index, where input and
        output have one shape: the diagonal of the Jacobian times the upstream gradient.
    """

    value: Array
    error: Array
    kink: Array
    own: Array | None = None


@dataclass
class _Step:
    difference: float
    second: float
    own: float
    size: float  # of the outputs that changed
    h: float


def element_wise(
    outputs: Outputs, weights: Array | float, start: Array, indices: Array, *, own: bool = False
) -> Numerical:
    """Return the derivatives of ``sum(weights * outputs(a))`` at ``a = start``.

    Parameters
    ----------
    outputs : callable
        Returns the outputs for an array like ``start``; it must not keep or change what it gets.
    weights : array or float
        Broadcasts against the outputs.
    start : array
        Where to take the derivative.
    indices : array of int
        Flat indices of the elements wanted.
    own : bool
        Whether outputs have the shape of ``start``, and ``own`` is wanted.
    """
    centre = outputs(start)
    results = [
        _one(partial(_step, outputs, weights, start, centre, int(i), own), start.flat[i])
        for i in indices
    ]
    columns = list(zip(*results, strict=True)) or [(), (), (), ()]
    value, error, kink, through = (np.array(column) for column in columns)
    return Numerical(value, error, kink.astype(bool), through if own else None)


def some_step_agrees(
    outputs: Outputs, weights: Array | float, start: Array, index: int, analytic: float
) -> bool:
    """Whether ``analytic`` is right by some step size, though others say no: a kink is near.

    A weak kink between the widest step and the narrowest bends the estimate without showing.
    Steps that are too short to tell one part in ten thousand are not asked.
    """
    centre = outputs(start)
    h = FIRST_STEP * max(1.0, abs(float(start.flat[index])))
    take = partial(_step, outputs, weights, start, centre, index, False)
    steps = [take(h / RATIO**k) for k in range(ALL_LEVELS)]
    for wide, narrow in pairwise(steps):
        estimate = (RATIO**2 * narrow.difference - wide.difference) / (RATIO**2 - 1)
        size, noise = max(abs(analytic), abs(estimate)), 20 * _noise(steps, narrow)
        if noise < 1e-4 * size and abs(analytic - estimate) <= 1e-6 * size + noise:
            return True
    return False


def along(
    outputs: Outputs,
    weights: Array | float,
    start: Array,
    direction: Array,
    *,
    scale: float = 1e-2,
) -> tuple[float, float, bool]:
    """Return (derivative, error, kink) along a direction: one number that touches every element.

    ``scale`` shortens the steps: many elements move at once, and meet many kinks.
    """
    centre = outputs(start)

    def step(h: float) -> _Step:
        h *= scale
        up, down = outputs(start + h * direction), outputs(start - h * direction)
        return _summed(weights, up, centre, down, h)

    value, error, kink, _ = _one(step, 1.0)
    return value, error, kink


def _step(
    outputs: Outputs,
    weights: Array | float,
    start: Array,
    centre: Array,
    index: int,
    own: bool,
    h: float,
) -> _Step:
    moved = start.copy()
    value = moved.flat[index]
    moved.flat[index] = value + h
    up = outputs(moved)
    above = moved.flat[index] - value  # the step as the float really took it
    moved.flat[index] = value - h
    down = outputs(moved)
    below = value - moved.flat[index]
    step = _summed(weights, up, centre, down, (above + below) / 2)
    if own:
        weight = np.broadcast_to(weights, up.shape).flat[index]
        step.own = float(weight * (up.flat[index] - down.flat[index]) / (above + below))
    return step


def _summed(weights: Array | float, up: Array, centre: Array, down: Array, h: float) -> _Step:
    # Subtract first, sum then: outputs that do not depend on the element cancel exactly.
    with np.errstate(all="ignore"):
        changed = up != down
        weighted = np.where(changed, weights, 0)
        difference = float((weighted * (up - down)).sum() / (2 * h))
        second = float((weights * ((up - centre) - (centre - down))).sum() / h)
        size = float(np.abs(weighted * up).sum())
    return _Step(difference, second, 0.0, size, h)


def _one(step: Callable[[float], _Step], value: float) -> tuple[float, float, bool, float]:
    """Return (derivative, error, kink, own) from steps that shrink until two agree."""
    h = FIRST_STEP * max(1.0, abs(float(value)))
    steps = [step(h / RATIO**k) for k in range(QUICK_LEVELS)]
    best = _best(steps)
    while not _good(best) and len(steps) < ALL_LEVELS:
        steps.append(step(h / RATIO ** len(steps)))
        best = _best(steps)
    estimate, error, own = best
    kink = not np.isfinite(estimate) or _is_kink(steps, estimate, error)
    return estimate, error, kink, own


def _best(steps: list[_Step]) -> tuple[float, float, float]:
    best = (np.nan, np.inf, np.nan)
    for wide, narrow in pairwise(steps):
        gain = RATIO**2
        estimate = (gain * narrow.difference - wide.difference) / (gain - 1)
        own = (gain * narrow.own - wide.own) / (gain - 1)
        # What Richardson removes is the error of order h^2; what is left is of order h^4.
        removed = abs(narrow.difference - wide.difference)
        error = removed**2 / max(abs(estimate), removed, 1e-300) + _noise(steps, narrow)
        if error < best[1]:
            best = (estimate, error, own)
    return best


def _noise(steps: list[_Step], step: _Step) -> float:
    # A step too short to move a rounded output shows no change: the wider ones tell what can move.
    return float(NOISE * max(s.size for s in steps) / step.h)


def _good(best: tuple[float, float, float]) -> bool:
    return bool(best[1] <= 1e-8 * abs(best[0]))


def _is_kink(steps: list[_Step], estimate: float, error: float) -> bool:
    last, before = steps[-1], steps[-2]
    noise = 1e3 * _noise(steps, last)
    threshold = 1e-7 * abs(estimate) + noise
    stays = abs(last.second) > 0.6 * abs(before.second) and abs(last.second) > threshold
    disagrees = error > 1e-5 * abs(estimate) + noise
    return stays or disagrees
