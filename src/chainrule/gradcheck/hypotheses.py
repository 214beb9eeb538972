"""What may have gone wrong: each hypothesis predicts the numbers, and is held against them.

A hypothesis is a function of a :class:`Case` that yields (identifier, evidence) where its
prediction is what the code gave, to rounding. Here are those about values: a factor, a term or a
path that is lost, a derivative taken elsewhere; those about axes and positions are in ``axes.py``.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from chainrule.gradcheck.axes import (
    flipped_kernel,
    one_step_of_many,
    summed_over_other_axes,
    transposed,
    window,
)
from chainrule.gradcheck.case import Case, Explanation, Hypothesis, same
from chainrule.layer import Array

__all__ = ["HYPOTHESES", "OF_SHAPE"]


def truncated(case: Case) -> Iterator[Explanation]:
    """The values lost their fractions."""
    a, n = case.analytic, case.numerical
    if a.dtype.kind in "iu":
        yield (
            "integer_division_or_truncation",
            f"the gradient is an array of integers ({a.dtype})",
        )
        return
    known = case.known
    if not known.any() or not (a[known] == np.round(a[known])).all():
        return
    for words, rounding in (("cut", np.trunc), ("rounded down", np.floor), ("rounded", np.round)):
        if same(a, np.where(known, rounding(n), np.nan)) and np.abs(a).max() > 0:
            yield (
                "integer_division_or_truncation",
                f"every value is the right one {words} to a whole number",
            )
            return


def all_zero(case: Case) -> Iterator[Explanation]:
    """Nothing was written into the gradient."""
    if not case.analytic.any():
        yield "missing_gradient", "every value is 0"


def constant_ratio(case: Case) -> Iterator[Explanation]:
    """The gradient is c times the right one."""
    a, n = case.analytic, case.numerical
    ratio = _ratio(a, n)
    if ratio is None or np.isclose(ratio, 1, rtol=1e-5) or not case.explained_by(ratio * n):
        return
    if np.isclose(ratio, -1, rtol=1e-5):
        yield "sign", "every value is -1 x the right one"
        return
    yield from _dropout_scale(case, ratio)
    varies = _ratio_varies_with_samples(case, ratio)
    if varies:
        yield "scaled_by_batch", f"every value is {varies} the right one"
    else:
        yield "constant_factor", f"every value is {_fraction(ratio)} x the right one"


def _dropout_scale(case: Case, ratio: float) -> Iterator[Explanation]:
    scale = _forward_scale(case)
    if scale is None:
        return
    if np.isclose(ratio, 1 / scale, rtol=1e-5):
        yield (
            "scale_lost",
            f"the forward scales what it keeps by {scale:.6g}, the backward does not",
        )
    if np.isclose(ratio, scale, rtol=1e-5):
        yield "mask_lost", f"the forward's mask with its scale {scale:.6g} is applied twice"


def _forward_scale(case: Case) -> float | None:
    """Return s if the output is s times the input in some places and 0 in the others."""
    x, y = case.subject.x, case.output
    if not case.is_input or x.shape != y.shape:
        return None
    kept = y != 0
    if kept.all() or not kept.any():
        return None
    ratio = _ratio(y[kept], x[kept])
    if ratio is None or np.isclose(ratio, 1) or not same(y[kept], ratio * x[kept]):
        return None
    return ratio


def _ratio_varies_with_samples(case: Case, ratio: float) -> str:
    """Return words for the ratio as a power of the number of samples, or nothing."""
    n = case.samples
    if n < 2 or case.subject.y is not None:
        few = {n: f"{n} (the number of samples) x", 1 / n: f"1/{n} (one over the samples) x"}
        for value, words in few.items():
            if n > 1 and np.isclose(ratio, value, rtol=1e-5):
                return words
        return ""
    half = slice(0, n - 1)
    upstream = None if case.upstream is None else case.upstream[half]
    x = case.subject.x[half]
    try:
        of_fewer = _ratio(case.code(x, upstream), case.numeric(x, upstream))
    except Exception:  # a layer that takes this number of samples only
        return ""
    if of_fewer is None or np.isclose(of_fewer, ratio, rtol=1e-4):
        return ""
    power = np.log(of_fewer / ratio) / np.log((n - 1) / n) if of_fewer / ratio > 0 else np.nan
    if not np.isclose(abs(power), 1, rtol=1e-2):
        return ""
    return f"{_fraction(ratio)} (with {n} samples; {_fraction(of_fewer)} with {n - 1}) x"


def ignores_upstream(case: Case) -> Iterator[Explanation]:
    """The local derivative alone: as if all that came from above were ones."""
    if case.upstream is None:
        return
    other = case.code(upstream=-0.7 * case.upstream + 0.3)
    if other is None or not same(other, case.analytic):
        return
    ones = np.ones_like(case.upstream)
    if case.explained_by(case.numeric(upstream=ones)):
        evidence = "the values are right for a gradient of ones from above, whatever really came"
    else:
        evidence = "another gradient from above gives the same values"
    yield "ignores_upstream", evidence


def derivative_elsewhere(case: Case) -> Iterator[Explanation]:
    """f'(y) where f'(x) is meant, or a form in y that is given x."""
    if not case.is_input or case.output.shape != case.subject.x.shape:
        return
    if same(case.output, case.subject.x):
        return
    elsewhere = case.numeric(x=case.output)
    if not np.isnan(elsewhere[case.known]).any() and case.explained_by(elsewhere):
        yield (
            "derivative_at_output",
            "the values are f'(y), the derivative at the output; right is f'(x), at the input",
        )
    # Give the code an input equal to the output: if that mends it, its formula is one in y.
    at_output = case.code(x=case.output)
    if at_output is not None and same(at_output, case.numerical, 50 * case.error):
        yield (
            "derivative_at_output",
            "the formula is right for the output y, but is given the input x",
        )


def diagonal_only(case: Case) -> Iterator[Explanation]:
    """The terms across a row are missing."""
    if case.own is None or case.upstream is None or case.elementwise:
        return
    if case.explained_by(case.own):
        yield "softmax_diagonal_only", "the values are grad times the diagonal of the Jacobian"
    elif case.explained_by(case.upstream * case.output) and _rows_are_distributions(case.output):
        yield "softmax_diagonal_only", "the values are grad * y, without the sum over the row"


def _rows_are_distributions(y: Array) -> bool:
    return bool((y >= 0).all() and np.allclose(y.sum(axis=-1), 1))


def normalisation_terms(case: Case) -> Iterator[Explanation]:
    """A term through the mean, or through the deviation, is missing."""
    if not case.is_input or not case.complete or case.elementwise:
        return
    x, n = case.subject.x, case.numerical
    if not case.known.all() or case.output.shape != x.shape:
        return
    wrong = case.analytic - n
    for axes in _axes_groups(x.ndim):
        size = int(np.prod([x.shape[axis] for axis in axes]))
        if size < 3:
            continue
        centred = x - x.mean(axis=axes, keepdims=True)
        invariant = _negligible(n.sum(axis=axes), n)
        over = f"over axes {axes}" if len(axes) > 1 else f"over axis {axes[0]}"
        if invariant and _constant_along(wrong, axes, n):
            yield (
                "missing_mean_term",
                f"the error is one constant {over}, as the lost mean of the gradient",
            )
            return
        for direction in (centred, x):
            if _in_span(wrong, [direction], axes, n):
                yield (
                    "missing_variance_term",
                    f"the error is proportional to the normalised input {over}",
                )
                return
        if size > 4 and invariant and _in_span(wrong, [np.ones_like(x), centred], axes, n):
            seen = f"{over} the error is a constant plus a multiple of the normalised input"
            yield "missing_mean_term", seen
            yield "missing_variance_term", seen
            return


def _axes_groups(ndim: int) -> Iterator[tuple[int, ...]]:
    every = range(ndim)
    for count in range(1, ndim):
        yield from itertools.combinations(every, count)


def _negligible(values: Array, beside: Array) -> bool:
    return bool(np.abs(values).max() <= 1e-6 * np.abs(beside).max())


def _constant_along(values: Array, axes: tuple[int, ...], beside: Array) -> bool:
    return _negligible(values - values.mean(axis=axes, keepdims=True), beside)


def _in_span(values: Array, vectors: list[Array], axes: tuple[int, ...], beside: Array) -> bool:
    """Whether, for each index of the other axes, ``values`` is a combination of the vectors."""
    left = values.astype(np.float64)
    done: list[Array] = []
    for vector in vectors:
        own = vector
        for earlier in done:
            own = own - _projection(own, earlier, axes)
        done.append(own)
        left = left - _projection(left, own, axes)
    return _negligible(left, beside)


def _projection(values: Array, on: Array, axes: tuple[int, ...]) -> Array:
    square = (on * on).sum(axis=axes, keepdims=True)
    product = (values * on).sum(axis=axes, keepdims=True)
    return np.asarray(np.divide(product, square, out=np.zeros_like(product), where=square > 0) * on)


def residual_path(case: Case) -> Iterator[Explanation]:
    """Only one of x and f(x) was gone back through."""
    up = case.upstream
    if not case.is_input or up is None or up.shape != case.analytic.shape or case.elementwise:
        return
    if case.explained_by(case.numerical - up):
        yield "missing_residual_path", "the values lack grad itself: the path past the layers"
    elif case.explained_by(up):
        yield "missing_residual_path", "the values are grad itself: the path through f is missing"


def elementwise_residual(case: Case) -> Iterator[Explanation]:
    """The same for x + f(x) of one value alone, which might as well be another function."""
    up = case.upstream
    if up is not None and case.elementwise and case.explained_by(case.numerical - up):
        yield "missing_residual_path", "the values lack grad itself: the path past the function"


def mask(case: Case) -> Iterator[Explanation]:
    """What the forward set to 0 was let through on the way back."""
    up, n = case.upstream, case.numerical
    if not case.elementwise or up is None:
        return
    known = case.known
    blocked, passed = known & (n == 0), known & (n != 0)
    if not blocked.any() or not passed.any() or not case.analytic[blocked].any():
        return
    through = _ratio(case.analytic[blocked], up[blocked])
    if through is None or not same(case.analytic[blocked], through * up[blocked]):
        return
    where = f"in {int(blocked.sum())} of {int(known.sum())} places where the output does not move"
    if same(case.analytic[passed], n[passed]) or same(case.analytic[passed], up[passed]):
        yield "mask_lost", f"grad is let through {where}"


def _ratio(a: Array | None, b: Array) -> float | None:
    """Return the ratio at the largest element of ``b``."""
    if a is None or a.shape != b.shape or b.size == 0:
        return None
    sizes = np.where(np.isfinite(b), np.abs(b), 0)
    at = int(sizes.argmax())
    if sizes.flat[at] == 0 or not np.isfinite(a.flat[at]) or a.flat[at] == 0:
        return None
    return float(a.flat[at] / b.flat[at])


def _fraction(ratio: float) -> str:
    """Return the ratio as a short fraction where it is one."""
    for bottom in range(1, 101):
        top = ratio * bottom
        if round(top) and abs(top - round(top)) < 1e-4 * abs(top) and abs(round(top)) <= 1000:
            return f"{round(top)}" if bottom == 1 else f"{round(top)}/{bottom}"
    return f"{ratio:.6g}"


OF_SHAPE: tuple[Hypothesis, ...] = (transposed, summed_over_other_axes)
HYPOTHESES: tuple[Hypothesis, ...] = (
    all_zero,
    truncated,
    constant_ratio,
    transposed,
    ignores_upstream,
    mask,
    derivative_elsewhere,
    diagonal_only,
    normalisation_terms,
    residual_path,
    elementwise_residual,
    summed_over_other_axes,
    flipped_kernel,
    window,
    one_step_of_many,
)
