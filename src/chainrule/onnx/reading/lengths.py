"""Lengths of axes: numbers, and products with what is known only when the net runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["SAMPLES", "Dim", "Length", "made", "plus", "product", "quotient"]


@dataclass(frozen=True)
class Length:
    """A number times the names of lengths that are not known yet.

    Examples
    --------
    >>> Length(2, ("samples",)) * 3
    6*samples
    >>> quotient(Length(6, ("samples",)), Length(1, ("samples",)))
    6
    """

    number: int
    names: tuple[str, ...]

    def __mul__(self, other: Dim) -> Dim:
        number, names = _parts(other)
        return _length(self.number * number, (*self.names, *names))

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return _exact(self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        return _exact(other, self)

    def __add__(self, other: Dim) -> Dim:
        if isinstance(other, Length) and other.names == self.names:
            return _length(self.number + other.number, self.names)
        if not isinstance(other, Length) and other == 0:
            return self
        raise ValueError(f"the sum of {self} and {other} is not known before the net runs")

    __radd__ = __add__

    def __repr__(self) -> str:
        factors = [*([str(self.number)] if self.number != 1 else []), *self.names]
        return "*".join(factors)


Dim = int | Length

SAMPLES = Length(1, ("samples",))


def product(dims: Iterable[Dim]) -> Dim:
    """Return the product of lengths."""
    total: Dim = 1
    for dim in dims:
        total = total * dim
    return total


def quotient(whole: Dim, part: Dim) -> Dim | None:
    """Return ``whole / part`` if it is a length, else None."""
    number, names = _parts(whole)
    divisor, taken = _parts(part)
    left = Counter(names)
    left.subtract(taken)
    if min(left.values(), default=0) < 0 or divisor == 0 or number % divisor:
        return None
    return _length(number // divisor, tuple(left.elements()))


def plus(a: Dim, b: Dim) -> Dim:
    """Return the sum of two lengths; an unknown one by a name of its own.

    Examples
    --------
    >>> plus(2, 3), plus(Length(1, ("width",)), 2)
    (5, (width + 2))
    """
    if isinstance(a, Length) or isinstance(b, Length):
        return a if b == 0 else b if a == 0 else made(f"({a} + {b})")
    return a + b


def made(name: str) -> Length:
    """Return a length that is not known yet, by what it is made of."""
    return Length(1, (name if len(name) < 80 else f"length {hash(name) & 0xFFFFFFFF:x}",))


def _exact(whole: Dim, part: Dim) -> Dim:
    found = quotient(whole, part)
    if found is None:
        raise ValueError(f"{whole} divided by {part} is not known before the net runs")
    return found


def _parts(dim: Dim) -> tuple[int, tuple[str, ...]]:
    return (dim.number, dim.names) if isinstance(dim, Length) else (int(dim), ())


def _length(number: int, names: tuple[str, ...]) -> Dim:
    if not names or number == 0:
        return number
    if len(names) > 8 or not math.isfinite(number):
        raise ValueError("a shape that is the product of more than 8 unknown lengths")
    return Length(number, tuple(sorted(names)))
