"""One array whose gradient is wrong, with everything that hypotheses need to explain it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from chainrule.gradcheck.numerical import element_wise
from chainrule.gradcheck.subject import INPUT, Subject
from chainrule.layer import Array

__all__ = ["Case", "Explanation", "Hypothesis", "numerical_gradient", "same"]


def numerical_gradient(
    subject: Subject,
    name: str,
    upstream: Array | None,
    x: Array | None = None,
    values: Mapping[str, Array] | None = None,
) -> Array:
    """Return the whole numerical gradient of one array; NaN at kinks.

    Parameters
    ----------
    subject : Subject
    name : str
        The input, or a parameter.
    upstream : array or None
        The gradient from above; None for a loss.
    x : array, optional
        Another input than the subject's own.
    values : mapping, optional
        Other parameters than the subject's own.
    """
    base = dict(values or {})
    x = subject.x if x is None else x

    def outputs(array: Array) -> Array:
        if name == INPUT:
            return subject.output(array, base or None)
        return subject.output(x, {**base, name: array})

    start = x if name == INPUT else base.get(name, subject.values[name])
    weights = subject.share() if upstream is None else upstream
    result = element_wise(outputs, weights, start, np.arange(start.size))
    return np.where(result.kink, np.nan, result.value).reshape(start.shape)


@dataclass
class Case:
    """A gradient that failed.

    Attributes
    ----------
    subject : Subject
    name : str
        The input, or a parameter.
    analytic : array
        What the code gave.
    numerical : array
        What is right; NaN where that is not known.
    error : array
        The error of ``numerical``.
    upstream : array or None
    own : array or None
        The diagonal of the Jacobian times the upstream gradient.
    complete : bool
        Whether every element of ``numerical`` was computed.
    input_is_right : bool
        Whether the input's own gradient passed.
    """

    subject: Subject
    name: str
    analytic: Array
    numerical: Array
    error: Array
    upstream: Array | None
    own: Array | None = None
    complete: bool = True
    input_is_right: bool = False
    _memory: dict[str, Array] = field(default_factory=dict)

    @property
    def is_input(self) -> bool:
        """Whether this is the gradient of the input."""
        return self.name == INPUT

    @property
    def samples(self) -> int:
        """How many samples the input has."""
        return len(self.subject.x) if self.subject.x.ndim else 1

    @property
    def known(self) -> Array:
        """Where the right value is known."""
        return np.isfinite(self.numerical)

    @property
    def output(self) -> Array:
        """The output."""
        if "output" not in self._memory:
            self._memory["output"] = self.subject.output()
        return self._memory["output"]

    def numeric(
        self,
        x: Array | None = None,
        upstream: Array | None = None,
        values: Mapping[str, Array] | None = None,
    ) -> Array:
        """Return the right gradient of this array under other circumstances."""
        upstream = self.upstream if upstream is None else upstream
        return numerical_gradient(self.subject, self.name, upstream, x, values)

    def code(
        self,
        x: Array | None = None,
        upstream: Array | None = None,
        values: Mapping[str, Array] | None = None,
    ) -> Array | None:
        """Return the gradient that the code gives under other circumstances."""
        upstream = self.upstream if upstream is None else upstream
        gradient = self.subject.analytic(upstream, x, values).gradients[self.name]
        return gradient if isinstance(gradient, np.ndarray) else None

    def explained_by(self, candidate: Array) -> bool:
        """Whether ``candidate`` is what the code gave, to rounding, wherever it can be told."""
        if candidate.shape != self.error.shape:
            return same(self.analytic, candidate)
        return same(self.analytic, candidate, 50 * self.error)

    @property
    def elementwise(self) -> bool:
        """Whether each output depends on the input at its own index alone."""
        return (
            self.is_input
            and self.own is not None
            and same(self.own, self.numerical, 50 * self.error)
        )


Explanation = tuple[str, str]  # the identifier of a mistake, and the evidence in words
Hypothesis = Callable[[Case], Iterator[Explanation]]


def same(found: Array, candidate: Array, slack: Array | float = 0.0) -> bool:
    """Whether two arrays agree to rounding where both are known, and say something at all."""
    if found.shape != candidate.shape:
        return False
    known = np.isfinite(candidate) & np.isfinite(found)
    if not known.any() or not np.isfinite(found).all():
        return False
    slack = np.broadcast_to(slack, found.shape)[known]
    slack = np.where(np.isfinite(slack), slack, 0.0)
    found, candidate = found[known], candidate[known]
    scale = float(np.abs(candidate).max())
    if scale == 0:
        return bool((np.abs(found) <= slack).all())
    sizes = np.maximum(np.abs(found), np.abs(candidate))
    return bool((np.abs(found - candidate) <= 2e-6 * sizes + slack + 1e-10 * scale).all())
