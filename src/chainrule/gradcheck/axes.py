"""Hypotheses about axes: swapped, summed over wrongly, shifted, flipped, or followed in part."""

import itertools
from collections.abc import Iterator

import numpy as np

from chainrule.gradcheck.case import Case, Explanation, same
from chainrule.layer import Array

__all__ = ["flipped_kernel", "one_step_of_many", "summed_over_other_axes", "transposed", "window"]


def transposed(case: Case) -> Iterator[Explanation]:
    """The axes are swapped."""
    a, n = case.analytic, case.numerical
    if a.ndim >= 2 and a.shape == n.T.shape and case.explained_by(n.T):
        yield "transposed", f"the array of shape {a.shape} is the transpose of the right one"


def summed_over_other_axes(case: Case) -> Iterator[Explanation]:
    """The gradient at each output was summed over the wrong axes, or not at all."""
    if case.is_input or case.upstream is None:
        return
    parts = _unreduced(case)
    if parts is None:
        return
    right = tuple(range(parts.ndim - case.numerical.ndim))
    for count in range(parts.ndim + 1):
        for axes in itertools.combinations(range(parts.ndim), count):
            if axes == right:
                continue
            candidate = np.asarray(parts.sum(axis=axes))
            if candidate.shape != case.analytic.shape:
                if candidate.ndim or not case.analytic.ndim:
                    continue
                candidate = np.broadcast_to(candidate, case.analytic.shape)
            if same(case.analytic, candidate):
                if set(axes) < set(right):
                    missing = tuple(axis for axis in right if axis not in axes)
                    yield "not_reduced", f"the sum over axes {missing} of the output is missing"
                else:
                    yield "wrong_axis", f"the sum is over axes {axes}, right is {right}"
                return


def _unreduced(case: Case) -> Array | None:
    """Return the upstream gradient times d(output)/d(parameter) at each output.

    For a parameter that is broadcast over the leading axes, as biases are: moving all of it at
    once moves each output by its own entry alone.
    """
    value = case.subject.values[case.name]
    y = case.output
    if case.upstream is None or value.ndim == 0 or y.shape[-value.ndim :] != value.shape:
        return None
    step = 1e-3 * np.maximum(1.0, np.abs(value))
    up = case.subject.output(values={case.name: value + step})
    down = case.subject.output(values={case.name: value - step})
    parts = case.upstream * (up - down) / (2 * step)
    axes = tuple(range(y.ndim - value.ndim))
    right = parts.sum(axis=axes)
    known = case.known
    # An error of order step^2 is left where the output is not linear in the parameter.
    close = np.allclose(right[known], case.numerical[known], rtol=1e-5, atol=1e-9)
    return parts if close else None


def window(case: Case) -> Iterator[Explanation]:
    """A shift by one position, or an end of the window left out."""
    a, n = case.analytic, case.numerical
    if a.shape != n.shape or not case.complete:
        return
    axes = range(1, a.ndim - 1) if case.is_input and a.ndim > 2 else range(a.ndim)
    for axis in axes:
        if a.shape[axis] < 3:
            continue
        for shift in (1, -1):
            here, there = _shifted(a, n, axis, shift)
            if there.any() and same(here, there):
                yield "off_by_one_window", f"the values are shifted by one along axis {axis}"
                return
    for axis in range(a.ndim - 1):
        if a.shape[axis] < 2 or case.is_input:
            continue
        for end, words in ((0, "first"), (-1, "last")):
            cut = n.copy()
            cut[_at(cut.ndim, axis, end)] = 0
            if case.explained_by(cut):
                yield "off_by_one_window", f"the {words} position of axis {axis} is left out"
                return
    yield from _window_of_kernel(case)


def _window_of_kernel(case: Case) -> Iterator[Explanation]:
    if not case.is_input:
        return
    for name, kernel in case.subject.values.items():
        for axis in range(kernel.ndim - 1):
            if kernel.ndim < 3 or kernel.shape[axis] < 2:
                continue
            for end, words in ((0, "first"), (-1, "last")):
                cut = kernel.copy()
                cut[_at(cut.ndim, axis, end)] = 0
                if case.explained_by(case.numeric(values={name: cut})):
                    yield (
                        "off_by_one_window",
                        f"the {words} position of {name} along axis {axis} is left out",
                    )
                    return


def _shifted(a: Array, n: Array, axis: int, shift: int) -> tuple[Array, Array]:
    ahead, behind = [slice(None)] * a.ndim, [slice(None)] * a.ndim
    ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
    if shift > 0:
        return a[tuple(ahead)], n[tuple(behind)]
    return a[tuple(behind)], n[tuple(ahead)]


def _at(ndim: int, axis: int, position: int) -> tuple[slice | int, ...]:
    index: list[slice | int] = [slice(None)] * ndim
    index[axis] = position
    return tuple(index)


def flipped_kernel(case: Case) -> Iterator[Explanation]:
    """The kernel's positions run the wrong way."""
    for name, kernel in case.subject.values.items():
        if kernel.ndim < 2 or (not case.is_input and name != case.name):
            continue
        # The last two axes are channels, except for a kernel that has positions alone.
        spatial = kernel.ndim - 2 if kernel.ndim > 2 else kernel.ndim
        for count in range(1, spatial + 1):
            for axes in itertools.combinations(range(spatial), count):
                if all(kernel.shape[axis] < 2 for axis in axes):
                    continue
                if case.is_input:
                    candidate = case.numeric(values={name: np.flip(kernel, axes)})
                else:
                    candidate = np.flip(case.numerical, axes)
                if case.explained_by(candidate):
                    yield "wrong_flip", f"right for {name} flipped along axes {axes}"
                    return


def one_step_of_many(case: Case) -> Iterator[Explanation]:
    """A recurrent layer's parameter collects one step's gradient alone."""
    x, up = case.subject.x, case.upstream
    if case.is_input or up is None or x.ndim < 3 or x.shape[1] < 2 or not case.input_is_right:
        return
    one = x[:, :1]
    one_up = up[:, :1] if up.ndim == x.ndim else up
    try:
        single, right = case.code(one, one_up), case.numeric(one, one_up)
    except Exception:  # a layer of a fixed number of steps
        return
    if single is None or not same(single, right):
        return
    words = f"right for a sequence of 1 step, wrong for {x.shape[1]}; the input's gradient is right"
    steps = x.shape[1]
    for step, which in ((steps - 1, "last"), (0, "first")):
        if case.explained_by(_from_step(case, step)):
            words = f"the values are those of the {which} step alone"
    yield "last_step_only", words


def _from_step(case: Case, step: int) -> Array:
    """Return the part of the gradient that comes through one step, for weights on the input."""
    value = case.subject.values[case.name]
    x = case.subject.x
    if value.ndim != 2 or value.shape[0] != x.shape[-1]:
        return np.full_like(case.analytic, np.nan)
    # Moving the weights at one step alone is moving x @ W there, which x can do only where the
    # features suffice; with x zeroed at the other steps the whole gradient comes from this one.
    only = np.zeros_like(x)
    only[:, step] = x[:, step]
    return case.numeric(x=only)
