"""What the names in a graph stand for, and how the axes of the file lie in our arrays.

Our arrays have the samples first and the channels last; in a file they lie in any order, and one
axis of the file may be several of ours laid end to end (after a Flatten), or none (a length of 1).
So a value remembers, for each axis of the file, which axes of our array it is. To transpose, to
flatten or to insert an axis is then bookkeeping: nothing moves until a layer needs another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chainrule.layer import Array
from chainrule.onnx.reading.lengths import Dim, product

__all__ = ["Constant", "Filled", "UnsupportedError", "Value", "flat"]


class UnsupportedError(Exception):
    """An operator, or what is asked of it, has no counterpart among the layers."""


@dataclass(frozen=True)
class Value:
    """An array that depends on the input.

    Attributes
    ----------
    step : int
        Which step of the net makes it.
    sizes : tuple
        The lengths of our array's axes; axis 0 is the samples.
    axes : tuple of tuple of int
        For each axis of the file, which axes of our array it is, the slowest first.
    kind : {"float", "whole", "bool"}
        What its elements are.

    Examples
    --------
    >>> from chainrule.onnx.reading.lengths import SAMPLES
    >>> images = Value(1, (SAMPLES, 28, 26, 3), ((0,), (3,), (1,), (2,)))
    >>> images.shape
    (samples, 3, 28, 26)
    """

    step: int
    sizes: tuple[Dim, ...]
    axes: tuple[tuple[int, ...], ...]
    kind: str = "float"

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The shape that the file knows."""
        return tuple(product(self.sizes[a] for a in axis) for axis in self.axes)

    @property
    def rank(self) -> int:
        """How many axes the file knows."""
        return len(self.axes)

    def axis(self, number: int) -> int:
        """Return the number of an axis of the file, counted from 0, or say that there is none."""
        number = int(number)
        if not -self.rank <= number < self.rank:
            raise UnsupportedError(f"there is no axis {number} in the shape {self.shape}")
        return number % self.rank

    def inner(self, number: int) -> tuple[int, ...]:
        """Return our axes of an axis of the file; none of them may be the samples."""
        group = self.axes[self.axis(number)]
        if 0 in group:
            raise UnsupportedError(
                f"it works across the samples (axis {number} of the shape {self.shape})"
            )
        return group

    def samples_at(self, number: int) -> None:
        """Refuse a value whose samples are on another axis of the file."""
        alone = 0 not in flat(self.axes) and self.axes[number : number + 1] == ((),)
        if not alone and self.axes[number : number + 1] != ((0,),):
            raise UnsupportedError(
                f"it takes axis {number} for the samples, and the shape is {self.shape}"
            )

    def as_in(self, other: Value) -> Value:
        """Return the same, without the samples if another value has them on no axis."""
        if 0 in flat(other.axes):
            return self
        return replace(self, axes=tuple(() if axis == (0,) else axis for axis in self.axes))

    def on(self, step: int) -> Value:
        """Return the same for the output of another step, of the same shape."""
        return replace(self, step=step)


@dataclass(frozen=True)
class Filled:
    """A constant that is the same for each sample: ``row``, repeated to a shape with samples."""

    row: Array
    shape: tuple[Dim, ...]


# Arrays, in part of lengths that are not known yet (then of objects).
Constant = Array | Filled


def flat(groups: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the members of all groups, one after the other."""
    return tuple(member for group in groups for member in group)
