"""Hold a backward against the numerical derivative of its forward; name the mistake."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.gradcheck.case import Case, numerical_gradient
from chainrule.gradcheck.comparison import compare, is_right, tolerance
from chainrule.gradcheck.conduct import Misconduct, misconduct
from chainrule.gradcheck.diagnosis import diagnose, pattern
from chainrule.gradcheck.hypotheses import OF_SHAPE
from chainrule.gradcheck.numerical import Numerical, along, element_wise, some_step_agrees
from chainrule.gradcheck.report import Finding, GradientReport
from chainrule.gradcheck.subject import INPUT, Analytic, Subject, UserError
from chainrule.layer import Array

__all__ = ["check_gradients"]

DIRECTIONS = 4
FEWEST = 16
DIAGNOSIS_SECONDS = 5.0


def check_gradients(
    thing: Any,
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    seed: int = 0,
    parameters: Mapping[str, str] | None = None,
    seconds: float = 2.0,
) -> GradientReport:
    r"""Hold the gradients of a layer, loss or model against numerical ones; name the mistake.

    The thing is copied and computes in float64; it and its input stay as they are. Under a random
    gradient from above, each element's derivative is taken by central differences with
    Richardson's extrapolation, and compared with what ``backward`` gave. Where they differ,
    hypotheses about the mistake are held against the numbers.

    Parameters
    ----------
    thing : object
        Anything with ``forward`` and ``backward``: a layer, a loss, a container, a model, ours or
        your own.
    x : array, shape (samples, ...)
        The input (for a loss: the outputs of a net).
    y : array, optional
        The targets, for a loss or a model.
    seed : int
        Draws the gradient from above, and what is sampled.
    parameters : mapping of str to str, optional
        Name of each parameter, and of its gradient, for a layer that is not ours and names them
        otherwise than ``weights``/``grad_w``, ``biases``/``grad_b``, ``NAME``/``grad_NAME``.
    seconds : float
        The budget: within it every element is compared; beyond it a sample, and the whole array
        along random directions.

    Returns
    -------
    GradientReport
        ``.ok`` is true only if every array was checked and is right.

    Raises
    ------
    TypeError
        If ``thing`` has no forward and backward, or a loss got no targets.
    ValueError
        If the input has no sample, no numbers, or NaN. What the code under
        test raises is in the report instead.

    Notes
    -----
    Elements at a kink (ReLU at 0) have no derivative; they are skipped and counted. If more than
    half of an array is skipped, nothing is said to be proved.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Linear, check_gradients
    >>> x = np.random.default_rng(0).standard_normal((4, 3))
    >>> check_gradients(Linear(3, 2), x).ok
    True
    >>> class Square:
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x**2
    ...
    ...     def backward(self, grad):
    ...         return grad * self.x
    >>> report = check_gradients(Square(), x)
    >>> report.ok, report["input"].mistake
    (False, 'constant_factor')
    >>> print(report["input"].evidence[0])
    every value is 1/2 x the right one
    """
    name = _name(thing)
    try:
        with np.errstate(all="ignore"):
            return _Check(thing, x, y, seed, parameters, seconds).run(name)
    except UserError as error:
        return GradientReport(name, error=_users_own_lines(error))


class _Check:
    """One check, from the copies to the findings."""

    def __init__(
        self,
        thing: Any,
        x: ArrayLike,
        y: ArrayLike | None,
        seed: int,
        parameters: Mapping[str, str] | None,
        seconds: float,
    ) -> None:
        self.subject = Subject(thing, x, y, parameters)
        # A stream of its own: an input drawn from default_rng(seed) must not equal the gradient
        # from above, or x.T @ grad would be symmetric and hide a transposition.
        self.rng = np.random.default_rng([seed, *b"upstream"])
        self.seconds = seconds
        self.upstream: Array | None = None

    def run(self, name: str) -> GradientReport:
        subject = self.subject
        if not subject.hold_still():
            finding = Finding(
                INPUT, False, subject.x.shape, mistakes=("not_deterministic",),
                evidence=("the same input gave two outputs, so nothing was proved",),
            )  # fmt: skip
            return GradientReport(name, [finding])
        output = subject.output()
        if subject.kind == "layer":
            self.upstream = self.rng.standard_normal(output.shape)
        analytic = subject.analytic(self.upstream)
        conduct = list(misconduct(subject, self.upstream, analytic, self.rng))
        subject.fresh()
        subject.output()
        counts = self._counts(analytic)
        findings: list[Finding] = []
        for array in counts:
            input_ok = bool(findings) and findings[0].name == INPUT and findings[0].ok
            findings.append(self._finding(array, analytic, counts[array], input_ok))
        for seen in conduct:
            _join(findings, seen)
        return GradientReport(name, findings)

    def _counts(self, analytic: Analytic) -> dict[str, int]:
        """Return how many elements of each array to compare, so that the budget is kept."""
        sizes = {INPUT: self.subject.x.size} if INPUT in analytic.gradients else {}
        sizes |= {label: value.size for label, value in self.subject.values.items()}
        start = time.perf_counter()
        for _ in range(3):
            self.subject.output()
        forwards = self.seconds / max((time.perf_counter() - start) / 3 + 5e-5, 1e-9)
        affordable = forwards / 7  # three pairs of forwards an element, some need more
        counts: dict[str, int] = {}
        left = dict(sizes)
        for name in sorted(sizes, key=sizes.__getitem__):
            fair = int(affordable / len(left))
            counts[name] = min(sizes[name], max(FEWEST, fair))
            affordable -= counts[name]
            del left[name]
        return {name: counts[name] for name in sizes}

    def _finding(self, name: str, analytic: Analytic, count: int, input_ok: bool) -> Finding:
        start = self.subject.x if name == INPUT else self.subject.values[name]
        found = analytic.gradients[name]
        if found is None:
            return _plain(name, start, "missing_gradient", "it is None after backward")
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
            kind = type(found).__name__
            return _plain(name, start, "wrong_shape", f"it is no array of numbers, but {kind}")
        indices = np.arange(start.size)
        if count < start.size:
            indices = np.sort(self.rng.permutation(start.size)[:count])
        own = name == INPUT and self.upstream is not None and self.upstream.shape == start.shape
        numerical = element_wise(self._outputs(name), self._weights(), start, indices, own=own)
        if found.shape != start.shape:
            return self._of_wrong_shape(name, found, start, numerical, indices, input_ok)
        # What the code itself loses by rounding: it computes with values of this size.
        floor = 2e-15 * float(np.abs(self._weights()).max())
        finding = compare(name, start, found, numerical, indices, floor)
        if not finding.ok and self._bent_by_kinks(name, start, found, numerical, indices, floor):
            finding = compare(name, start, found, numerical, indices, floor)
        if finding.ok and (count == start.size or self._directions(finding, start, found)):
            return finding
        if finding.unproved:
            finding.pattern = (
                "Most elements are at kinks: nothing was proved. Choose another input."
            )
            return finding
        case = self._case(name, found, start, numerical, indices, input_ok)
        finding.numerical_array = case.numerical
        explanations = diagnose(case)
        finding.mistakes = tuple(mistake for mistake, _ in explanations)
        finding.evidence = tuple(evidence for _, evidence in explanations)
        if not explanations:
            wrong = case.known & (np.abs(found - case.numerical) > tolerance(found, case))
            spread = pattern(found, case.numerical, wrong) if wrong.any() else ""
            finding.pattern = f"{finding.pattern} {spread}".strip()
        return finding

    def _bent_by_kinks(
        self,
        name: str,
        start: Array,
        found: Array,
        numerical: Numerical,
        indices: Array,
        floor: float,
    ) -> bool:
        """Mark as kinks the few wrong elements of which step sizes disagree; return if any."""
        wrong = np.flatnonzero(
            ~is_right(found.ravel()[indices], numerical, floor) & ~numerical.kink
        )
        if len(wrong) > FEWEST:  # a few may be bent, many are wrong
            return False
        outputs, weights = self._outputs(name), self._weights()
        for i in wrong:
            at = int(indices[i])
            if some_step_agrees(outputs, weights, start, at, float(found.flat[at])):
                numerical.kink[i] = True
        return bool(numerical.kink[wrong].any())

    def _of_wrong_shape(
        self,
        name: str,
        found: Array,
        start: Array,
        numerical: Numerical,
        indices: Array,
        input_ok: bool,
    ) -> Finding:
        finding = _plain(
            name, start, "wrong_shape", f"it has shape {found.shape}, the array {start.shape}"
        )
        case = self._case(name, found, start, numerical, indices, input_ok)
        explanations = diagnose(case, OF_SHAPE)
        if explanations:
            finding.mistakes = tuple(mistake for mistake, _ in explanations)
            finding.evidence = tuple(evidence for _, evidence in explanations)
        return finding

    def _case(
        self,
        name: str,
        found: Array,
        start: Array,
        numerical: Numerical,
        indices: Array,
        input_ok: bool,
    ) -> Case:
        """Gather what hypotheses need; compute the whole gradient if that is affordable."""
        complete = len(indices) == start.size
        if not complete and start.size <= self._affordable(DIAGNOSIS_SECONDS):
            whole = numerical_gradient(self.subject, name, self.upstream)
            return Case(self.subject, name, found, whole, np.zeros_like(whole), self.upstream,
                        input_is_right=input_ok)  # fmt: skip
        value, error, own = (np.full(start.size, np.nan) for _ in range(3))
        value[indices] = np.where(numerical.kink, np.nan, numerical.value)
        error[indices] = numerical.error
        if numerical.own is not None:
            own[indices] = np.where(numerical.kink, np.nan, numerical.own)
        return Case(
            self.subject,
            name,
            found,
            value.reshape(start.shape),
            error.reshape(start.shape),
            self.upstream,
            own=own.reshape(start.shape) if numerical.own is not None else None,
            complete=complete,
            input_is_right=input_ok,
        )

    def _affordable(self, seconds: float) -> int:
        start = time.perf_counter()
        self.subject.output()
        return int(seconds / (7 * (time.perf_counter() - start + 5e-5)))

    def _directions(self, finding: Finding, start: Array, found: Array) -> bool:
        """Compare the whole array along random directions; return whether all agree."""
        for _ in range(DIRECTIONS):
            direction = self.rng.standard_normal(start.shape)
            agrees = self._agrees_along(finding.name, start, found, direction)
            if agrees is None:
                continue
            finding.directions += 1
            if not agrees:
                finding.ok = False
                self._locate(finding, start, found, direction)
                return False
        return True

    def _agrees_along(self, name: str, start: Array, found: Array, direction: Array) -> bool | None:
        """Return whether the derivative along a direction is right; None at a kink."""
        analytic = float((found * direction).sum())
        size = float(np.sqrt(((found * direction) ** 2).sum()))
        outcome: bool | None = None
        for scale in (1e-2, 1e-4):  # shorter steps, if a kink bent the first ones
            value, error, kink = along(
                self._outputs(name), self._weights(), start, direction, scale=scale
            )
            if kink:
                continue
            outcome = abs(analytic - value) <= 1e-7 * size + 20 * error
            if outcome:
                return True
        return outcome

    def _locate(self, finding: Finding, start: Array, found: Array, direction: Array) -> None:
        """Halve the array until one wrong element is left, and put that into the finding."""
        suspects = np.arange(start.size)
        while len(suspects) > 1:
            half = suspects[: len(suspects) // 2]
            part = np.zeros(start.size)
            part[half] = direction.ravel()[half]
            agrees = self._agrees_along(finding.name, start, found, part.reshape(start.shape))
            suspects = half if agrees is False else suspects[len(half) :]
        one = element_wise(self._outputs(finding.name), self._weights(), start, suspects)
        analytic, right = float(found.flat[suspects[0]]), float(one.value[0])
        finding.index = tuple(int(i) for i in np.unravel_index(suspects[0], start.shape))
        finding.analytic, finding.numerical = analytic, right
        finding.max_error = abs(analytic - right) / max(abs(analytic), abs(right), 1e-300)
        finding.pattern = (
            "The sampled elements are right, but the whole along a random direction is not; "
            f"halving led to {finding.index}: {analytic:.8g}, right is {right:.8g}."
        )

    def _outputs(self, name: str) -> Any:
        if name == INPUT:
            return lambda array: self.subject.output(array)
        return lambda array: self.subject.output(values={name: array})

    def _weights(self) -> Array | float:
        return self.subject.share() if self.upstream is None else self.upstream


def _plain(name: str, start: Array, mistake: str, evidence: str) -> Finding:
    return Finding(name, False, start.shape, mistakes=(mistake,), evidence=(evidence,))


def _join(findings: list[Finding], seen: Misconduct) -> None:
    """Add a mistake of conduct to its array's finding; it explains what the numbers do not."""
    for finding in findings:
        if finding.name == seen.array or (seen.array == INPUT and finding is findings[0]):
            finding.ok = False
            if seen.mistake not in finding.mistakes:
                finding.mistakes = (seen.mistake, *finding.mistakes)
                finding.evidence = (seen.evidence, *finding.evidence)
            return


def _name(thing: Any) -> str:
    words = repr(thing)
    return type(thing).__name__ if words.startswith("<") or len(words) > 80 else words


def _users_own_lines(error: UserError) -> str:
    """Return what was raised and the line that raised it, without the checker's own frames."""
    import traceback

    original = error.error
    frames = traceback.extract_tb(original.__traceback__)
    checker = str(Path(__file__).parent)
    own = [frame for frame in frames if not frame.filename.startswith(checker)]
    lines = [f"{error.call} raised {type(original).__name__}: {original}"]
    for frame in own[-1:]:
        lines.append(f"  {frame.filename}, line {frame.lineno}, in {frame.name}:")
        lines.append(f"    {frame.line}")
    return "\n".join(lines)
