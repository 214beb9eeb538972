"""The net as it grows: steps, each a layer or a join, and the moving of axes between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.layer import Array, Layer
from chainrule.layers import Flatten, Reshape, Transpose
from chainrule.onnx.reading.lengths import SAMPLES, Dim, Length, product
from chainrule.onnx.reading.values import UnsupportedError, Value, flat

__all__ = ["Net", "Step"]


@dataclass
class Step:
    """A layer, or a join of the kinds that ``Graph`` has.

    Attributes
    ----------
    what : Layer or str or None
        None for the input of the net, and for what has no layer unless a pattern takes it up.
    inputs : tuple of int
    sizes : tuple
        The lengths of the output's axes.
    axis : int, optional
        Along which a join lays side by side.
    learns : bool
        Whether it, or a step before it, has parameters.
    problem : tuple, optional
        What to say if nothing has taken up a step that is no layer: (node, reason).
    """

    what: Layer | str | None
    inputs: tuple[int, ...]
    sizes: tuple[Dim, ...]
    axis: int | None = None
    learns: bool = False
    problem: tuple[object, str] | None = None


# Places that weights are laid out anew for; beyond them the array is transposed.
MOST_REORDERED = 1 << 24


class Net:
    """Steps in the order of the forward pass; step 0 is the input."""

    def __init__(self, sizes: Sequence[Dim], kind: str) -> None:
        self.steps = [Step(None, (), tuple(sizes))]
        axes = tuple((i,) for i in range(len(sizes)))
        self.input = Value(0, tuple(sizes), axes, kind)
        self._made: dict[tuple[int, str, tuple[object, ...]], int] = {}

    def layer(self, layer: Layer, step: int, sizes: Sequence[Dim]) -> int:
        """Add a layer over a step; return its number."""
        learns = self.steps[step].learns or any(part.parameters for part in layer.walk())
        self.steps.append(Step(layer, (step,), tuple(sizes), learns=learns))
        return len(self.steps) - 1

    def join(
        self, what: str, inputs: Sequence[int], sizes: Sequence[Dim], axis: int | None = None
    ) -> int:
        """Add a join of steps; return its number."""
        learns = any(self.steps[i].learns for i in inputs)
        self.steps.append(Step(what, tuple(inputs), tuple(sizes), axis, learns))
        return len(self.steps) - 1

    def open(
        self, name: str, inputs: Sequence[int], sizes: Sequence[Dim], problem: tuple[object, str]
    ) -> int:
        """Add what has no layer of its own: a pattern that it is part of may take it up."""
        self.steps.append(Step(name, tuple(inputs), tuple(sizes), problem=problem))
        return len(self.steps) - 1

    def each(self, value: Value, layer: Layer) -> Value:
        """Return what a layer makes of each value alone, so that the axes do not matter."""
        return value.on(self.layer(layer, value.step, value.sizes))

    # -- the moving of axes ----------------------------------------------------------------------

    def arranged(self, value: Value, groups: Sequence[Sequence[int]]) -> int:
        """Return a step with the samples first, then an axis for each group of our axes.

        Axes in one group are laid end to end; an empty group is a length of 1. What is in no group
        must be of length 1.
        """
        named = flat(groups)
        if 0 in named:
            raise UnsupportedError(f"it works across the samples of the shape {value.shape}")
        left = [a for a in range(1, len(value.sizes)) if a not in named]
        if any(value.sizes[a] != 1 for a in left) or len(set(named)) < len(named):
            raise UnsupportedError(f"the axes of the shape {value.shape} are not what it needs")
        order = [0, *named, *left]
        step = self._transposed(value.step, order)
        sizes = [SAMPLES, *(product(value.sizes[a] for a in group) for group in groups)]
        return self.reshaped(step, sizes)

    def reshaped(self, step: int, sizes: Sequence[Dim]) -> int:
        """Return a step with the same values in another shape."""
        sizes = tuple(sizes)
        # Of several changes of shape in a row only the last one counts.
        while isinstance(self.steps[step].what, (Reshape, Flatten)):
            step = self.steps[step].inputs[0]
        if self.steps[step].sizes == sizes:
            return step
        key = (step, "reshape", sizes)
        if key not in self._made:
            unknown = [size for size in sizes[1:] if isinstance(size, Length)]
            if len(unknown) > 1:
                raise UnsupportedError(
                    f"more than one length of {sizes} is not known before the net runs. Export "
                    "the model with fixed lengths, all but the number of samples"
                )
            lengths = [-1 if isinstance(size, Length) else size for size in sizes[1:]]
            layer = Flatten() if len(sizes) == 2 else Reshape(lengths) if lengths else None
            if layer is None:
                raise UnsupportedError("it leaves no axis beside the samples")
            self._made[key] = self.layer(layer, step, sizes)
        return self._made[key]

    def _transposed(self, step: int, order: Sequence[int]) -> int:
        """Return a step with its axes in another order."""
        sizes = self.steps[step].sizes
        long = [a for a in order if sizes[a] != 1]
        if long == sorted(long):  # the same values in the same order: at most another shape
            return self.reshaped(step, [sizes[a] for a in order])
        before = self.steps[step]
        if isinstance(before.what, Transpose):
            order = [[0, *before.what.axes][a] for a in order]
            return self._transposed(before.inputs[0], order)
        key = (step, "transpose", tuple(order))
        if key not in self._made:
            layer = Transpose(list(order[1:]))
            self._made[key] = self.layer(layer, step, [sizes[a] for a in order])
        return self._made[key]

    def last(self, value: Value, group: Sequence[int]) -> tuple[Value, Array | None]:
        """Return the value with a group of our axes as the last axis of the array.

        Where they are the last ones already, but in another order (an image that was flattened
        with its channels first), nothing is transposed: the second result says in which order the
        places lie, so that weights can be laid in the same order.
        """
        rest = [a for a in range(1, len(value.sizes)) if a not in group]
        before = len(value.sizes) - len(group)
        sizes = [value.sizes[a] for a in group]
        order = None
        numbers = [n for n in sizes if isinstance(n, int)]
        known = len(numbers) == len(sizes) and math.prod(numbers) <= MOST_REORDERED
        if len(group) > 1 and min(group) >= before and known:
            if list(group) != sorted(group):
                places = np.arange(math.prod(numbers)).reshape(numbers)
                order = places.transpose(np.argsort(group)).ravel()
            group = sorted(group)
        step = self.arranged(value, [*([a] for a in rest), group])
        new = {a: i for i, a in enumerate([0, *rest])}
        end = len(new)
        axes = tuple(
            (end,) if axis and set(axis) == set(group) else tuple(new.get(a, end) for a in axis)
            for axis in value.axes
        )
        return Value(step, self.steps[step].sizes, axes, value.kind), order

    def split(self, value: Value, step: int, group: Sequence[int], before: Value) -> Value:
        """Return a value after a layer over ``last(before, group)``, with the axes of before it."""
        if len(group) == 1:
            return value.on(step)
        end = len(value.sizes) - 1
        known = [before.sizes[a] for a in group]
        numbers = [n for n in known if isinstance(n, int)]
        as_they_lie = (
            min(group) >= len(before.sizes) - len(group)
            and len(numbers) == len(known)
            and math.prod(numbers) <= MOST_REORDERED
        )
        inside = sorted(group) if as_they_lie else list(group)
        sizes = [*value.sizes[:end], *(before.sizes[a] for a in inside)]
        rest = [a for a in range(len(before.sizes)) if a not in group]
        new = {a: i for i, a in enumerate([*rest, *inside])}
        step = self.reshaped(step, sizes)
        axes = tuple(tuple(new[a] for a in axis) for axis in before.axes)
        return Value(step, tuple(sizes), axes, before.kind)
