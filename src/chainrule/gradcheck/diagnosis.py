"""From a wrong gradient to the mistake that explains it."""

import numpy as np

from chainrule.gradcheck.case import Case, Explanation, Hypothesis
from chainrule.gradcheck.hypotheses import HYPOTHESES
from chainrule.gradcheck.subject import UserError
from chainrule.layer import Array

__all__ = ["diagnose", "pattern"]


def diagnose(case: Case, hypotheses: tuple[Hypothesis, ...] = HYPOTHESES) -> list[Explanation]:
    """Return the mistakes that explain the numbers to rounding; none if none does."""
    found: dict[str, str] = {}
    for hypothesis in hypotheses:
        try:
            for mistake, evidence in hypothesis(case):
                found.setdefault(mistake, evidence)
        except UserError:  # the code does not take what this hypothesis tries
            continue
    return _most_telling(found)


# A mistake on the left says more than those on the right, which the same numbers then fit too.
STRONGER = {
    "missing_gradient": None,  # all zeros fit nearly everything
    "scale_lost": ("constant_factor", "scaled_by_batch"),
    "mask_lost": ("constant_factor", "scaled_by_batch", "ignores_upstream"),
    "scaled_by_batch": ("constant_factor",),
    "transposed": ("wrong_flip", "off_by_one_window"),
    "softmax_diagonal_only": ("missing_variance_term", "missing_residual_path"),
    "not_reduced": ("wrong_shape",),
    "wrong_axis": ("wrong_shape",),
}


def _most_telling(found: dict[str, str]) -> list[Explanation]:
    for strong, weaker in STRONGER.items():
        if strong in found:
            drop = [m for m in found if m != strong] if weaker is None else weaker
            for mistake in drop:
                found.pop(mistake, None)
    return list(found.items())


def pattern(analytic: Array, numerical: Array, wrong: Array) -> str:
    """Return how the error is spread: which rows, columns or channels, its ratio, its rank."""
    known = np.isfinite(numerical)
    words = [f"{int(wrong.sum()):,} of {int(known.sum()):,} compared values are wrong"]
    for axis in range(wrong.ndim):
        size = wrong.shape[axis]
        others = tuple(i for i in range(wrong.ndim) if i != axis)
        hit = np.flatnonzero(wrong.any(axis=others))
        if 0 < len(hit) < size and len(hit) <= max(1, size // 2):
            words.append(f"all at {_indices(hit)} of axis {axis}")
    pairs = wrong & (numerical != 0)
    if pairs.any():
        ratios = analytic[pairs] / numerical[pairs]
        words.append(f"the ratio to the right one is {ratios.min():.4g} to {ratios.max():.4g}")
    if wrong.ndim >= 2 and known.all():
        error = (analytic - numerical).reshape(-1, wrong.shape[-1])
        if min(error.shape) > 1 and np.isfinite(error).all():
            scale = np.abs(error).max()
            rank = int(np.linalg.matrix_rank(error, tol=1e-6 * scale * max(error.shape)))
            if rank < min(error.shape):
                words.append(f"the error is a matrix of rank {rank}")
    return "; ".join(words) + "."


def _indices(hit: Array) -> str:
    shown = ", ".join(str(int(i)) for i in hit[:6])
    name = "index" if len(hit) == 1 else "indices"
    return f"{name} {shown}{', …' if len(hit) > 6 else ''}"
