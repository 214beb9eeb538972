"""How the thing behaves from call to call: what it may change, and what it must not remember."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chainrule.gradcheck.subject import INPUT, Analytic, Subject
from chainrule.layer import Array

__all__ = ["Misconduct", "misconduct"]

LARGE, LARGEST = 1000.0, 8000.0


@dataclass(frozen=True)
class Misconduct:
    """A mistake of conduct: on which array, which mistake, and what was seen."""

    array: str
    mistake: str
    evidence: str


def misconduct(
    subject: Subject, upstream: Array | None, analytic: Analytic, rng: np.random.Generator
) -> Iterator[Misconduct]:
    """Yield every mistake of conduct.

    Parameters
    ----------
    subject : Subject
    upstream : array or None
        The gradient from above; None for a loss or a model.
    analytic : Analytic
        What a fresh copy gave.
    rng : numpy.random.Generator
        Draws the second input.
    """
    mutations = list(_mutations(subject, upstream))
    yield from mutations
    yield from _float32(subject, analytic)
    if subject.differentiable_input:
        other = _another_input(subject.x, rng)
        if not any(seen.mistake == "uses_updated_weights" for seen in mutations):
            yield from _memory(subject, upstream, analytic, other)
        yield from _aliasing(subject, upstream, other)
        yield from _overflow(subject, upstream)


def _another_input(x: Array, rng: np.random.Generator) -> Array:
    # The same values in another order stay in the domain of the function (as positive numbers).
    return rng.permutation(x.ravel()).reshape(x.shape) * 0.9


def _mutations(subject: Subject, upstream: Array | None) -> Iterator[Misconduct]:
    subject.fresh()
    x = subject.x.copy()
    before = subject.current()
    subject.call_forward(x)
    if _differ(x, subject.x):
        yield Misconduct(INPUT, "mutates_input", _changed("forward", x, subject.x))
        x[...] = subject.x
    changed_by_forward = {n for n, a in subject.current().items() if _differ(a, before[n])}
    grad = None if upstream is None else upstream.copy()
    subject.call_backward(grad)
    if _differ(x, subject.x):
        yield Misconduct(INPUT, "mutates_input", _changed("backward", x, subject.x))
    if grad is not None and upstream is not None and _differ(grad, upstream):
        yield Misconduct(INPUT, "mutates_upstream", _changed("backward", grad, upstream))
    for name, now in subject.current().items():
        if _differ(now, before[name]) and name not in changed_by_forward:
            yield Misconduct(
                name, "uses_updated_weights", _changed("backward", now, before[name], name)
            )


def _memory(
    subject: Subject, upstream: Array | None, analytic: Analytic, other: Array
) -> Iterator[Misconduct]:
    """Forward another input first, then this one; and the whole round twice."""
    if subject.kind == "model" and hasattr(subject.thing, "input_gradient"):
        names = [p.label for p in subject.parameters]
    else:
        names = list(analytic.gradients)
    subject.fresh()
    subject.output(other)
    after = subject.analytic(upstream, fresh=False)
    stale = {n for n in names if _gradients_differ(after.gradients[n], analytic.gradients[n])}
    if stale:
        of_other = subject.analytic(upstream, x=other)
        for name in sorted(stale):
            if not _gradients_differ(after.gradients[name], of_other.gradients[name]):
                evidence = "after forward(a) and forward(b), backward gives the gradient of a"
            else:
                evidence = "a forward of another input before it changes the gradient"
            yield Misconduct(name, "stale_cache", evidence)
    subject.fresh()
    subject.analytic(upstream, fresh=False)
    twice = subject.analytic(upstream, fresh=False)
    for name in names:
        first, second = analytic.gradients[name], twice.gradients[name]
        if name not in stale and _gradients_differ(first, second):
            yield Misconduct(name, "accumulates", _ratio_words(first, second))


def _ratio_words(first: object, second: object) -> str:
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        nonzero = np.abs(first) > 0
        if first.shape == second.shape and nonzero.any():
            ratio = float(np.median(second[nonzero] / first[nonzero]))
            return f"the second forward and backward of the same data give {ratio:.3g} x the first"
    return "the second forward and backward of the same data give another gradient"


def _aliasing(subject: Subject, upstream: Array | None, other: Array) -> Iterator[Misconduct]:
    subject.fresh()
    first = subject.call_forward(subject.x.copy())
    first_grad = subject.call_backward(None if upstream is None else upstream.copy())
    held = [(what, a, np.array(a)) for what, a in (("forward", first), ("backward", first_grad))
            if isinstance(a, np.ndarray)]  # fmt: skip
    subject.call_forward(other.copy())
    subject.call_backward(None if upstream is None else -0.5 * upstream)
    for what, array, content in held:
        if _differ(array, content):
            yield Misconduct(
                INPUT, "aliased_buffers", f"what {what} returned was changed by the next {what}"
            )
            return


def _float32(subject: Subject, analytic: Analytic) -> Iterator[Misconduct]:
    for name, array in (("forward", analytic.output), *analytic.gradients.items()):
        if isinstance(array, np.ndarray) and array.size and _rounded_to_float32(array):
            where = INPUT if name == "forward" else name
            what = "the output" if name == "forward" else "the gradient"
            yield Misconduct(
                where, "float32_inside", f"{what} holds float32 values ({array.dtype})"
            )


def _rounded_to_float32(array: Array) -> bool:
    if array.dtype.kind != "f":
        return False
    if array.dtype.itemsize < 8:
        return True
    with np.errstate(all="ignore"):
        same = array == array.astype(np.float32)
    # Halves and small whole numbers are exact in both: only long fractions tell. So do not the few
    # bits that are left where a sum cancels, as in the biases before a batch normalisation.
    long = (array != np.round(array * 1024) / 1024) & (np.abs(array) > 1e-12)
    return bool(long.sum() >= 3 and same.all())


def _overflow(subject: Subject, upstream: Array | None) -> Iterator[Misconduct]:
    """Try large inputs; numbers of longer range tell which results ought to be finite."""
    if not subject.x.any() or not np.isfinite(subject.x).all():
        return
    # Both signs get large, but not so large that numbers of longer range overflow as well.
    ends = [float(end) for end in (subject.x.max(), -subject.x.min()) if end > 0]
    x = subject.x * min(LARGE / min(ends), LARGEST / max(ends))
    at_large = subject.analytic(upstream, x=x)
    arrays = {"output": at_large.output, **at_large.gradients}
    bad = [n for n, a in arrays.items() if isinstance(a, np.ndarray) and not np.isfinite(a).all()]
    if not bad:
        return
    try:
        wide = Subject(subject.original, x, subject.y, subject.pairs, dtype=np.longdouble)
        wide_up = None if upstream is None else upstream.astype(np.longdouble)
        truth = wide.analytic(wide_up)
    except Exception:  # no second opinion from code that does not work in that type
        return
    true_arrays = {"output": truth.output, **truth.gradients}
    for name in bad:
        found, true = np.asarray(arrays[name]), np.asarray(true_arrays[name])
        if found.shape != true.shape:
            continue
        limit = np.finfo(np.float64).max
        wrong = ~np.isfinite(found) & (np.abs(true) < limit)
        if wrong.any():
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            what = "forward" if name == "output" else f"the gradient of {name}"
            yield Misconduct(
                INPUT if name == "output" else name,
                "overflow",
                f"with inputs up to {np.abs(x).max():.3g}, {what} gives {found[index]} at {index}; "
                f"the true value is {float(true[index]):.4g}",
            )


def _differ(a: Array, b: Array) -> bool:
    return a.shape != b.shape or not np.array_equal(a, b, equal_nan=True)


def _gradients_differ(a: object, b: object) -> bool:
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
        return (a is None) != (b is None)
    if a.shape != b.shape:
        return True
    scale = float(np.abs(b).max(initial=0))
    return not np.allclose(a, b, rtol=1e-9, atol=1e-12 * scale, equal_nan=True)


def _changed(call: str, now: Array, before: Array, name: str = "") -> str:
    changed = now != before
    index = tuple(int(i) for i in np.argwhere(changed)[0])
    return (
        f"{call} changed {int(changed.sum())} of {now.size} values"
        f"{' of ' + name if name else ''}, first {index}: "
        f"{before[index]:.6g} became {now[index]:.6g}"
    )
