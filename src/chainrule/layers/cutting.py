"""Cutting off and adding on: a part of an axis, or a border round it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index

import numpy as np

from chainrule.layer import Array, Layer

__all__ = ["Pad", "Slice"]


class Slice(Layer):
    r"""Take a part of one axis, as ``x[:, start:stop:step]`` does.

    Backward: the gradient goes to the places that were taken, and 0 to the others.

    Parameters
    ----------
    axis : int
        Which axis; not 0, the samples.
    start, stop, step : int or None
        As Python has them: the defaults take all, negative ones count from the end, and a negative
        step turns the order round.

    Notes
    -----
    Shapes: the axis gets shorter, and stays even if one place is left of it.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Slice
    >>> layer = Slice(1, -1)  # the last step
    >>> layer.forward(np.arange(6.0).reshape(1, 3, 2))
    array([[[4., 5.]]])
    >>> layer.backward(np.array([[[1.0, 2.0]]]))
    array([[[0., 0.],
            [0., 0.],
            [1., 2.]]])
    """

    keeps = ("input_shape",)

    input_shape: tuple[int, ...]

    def __init__(
        self,
        axis: int,
        start: int | None = None,
        stop: int | None = None,
        step: int | None = None,
    ) -> None:
        whole = all(n is None or isinstance(n, (int, np.integer)) for n in (start, stop, step))
        if not whole or not isinstance(axis, (int, np.integer)):
            raise TypeError("Slice: axis, start, stop and step must be whole numbers.")
        if axis == 0:
            raise ValueError("Slice: axis 0 is the samples, which all stay. Take another axis.")
        if step == 0:
            raise ValueError("Slice: step must not be 0.")
        self.axis = axis
        self.start = start
        self.stop = stop
        self.step = step

    def forward(self, x: Array) -> Array:
        """Return the part.

        Raises
        ------
        ValueError
            If there is no such axis, or nothing in the part.
        """
        if not -x.ndim < self.axis < x.ndim:
            raise ValueError(f"{self!r}: the input has no axis {self.axis}: shape {x.shape}.")
        y = x[self._place(x.ndim)]
        if x.size and not y.size:
            raise ValueError(f"{self!r}: of an input of shape {x.shape} nothing is left.")
        self.input_shape = x.shape
        return y

    def backward(self, grad: Array) -> Array:
        """Return ``grad`` at the places that were taken, 0 elsewhere."""
        grad_x = self.buffer("grad_x", self.input_shape, grad.dtype)
        grad_x.fill(0)
        grad_x[self._place(grad.ndim)] = grad
        return grad_x

    def _place(self, ndim: int) -> tuple[slice, ...]:
        part = slice(self.start, self.stop, self.step)
        return (*[slice(None)] * (self.axis % ndim), part)


class Pad(Layer):
    r"""Put a border of one number round a sample, as much of it as wanted on each side.

    .. math:: y = \begin{cases} x & \text{inside} \\ v & \text{in the border} \end{cases}, \qquad
        \frac{\partial L}{\partial x} = \frac{\partial L}{\partial y} \text{ inside}

    Parameters
    ----------
    widths : sequence of pairs
        How much before and after, for each axis from 1 on; axes that are left out get no border.
    value : float
        What the border holds; minus infinity is the one that never wins in max pooling.

    Notes
    -----
    Shapes: each axis gets longer by its two widths. Convolutions and poolings have a ``padding`` of
    their own: this layer is for borders that differ from one side to the other.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Pad
    >>> layer = Pad([(1, 2)])
    >>> layer.forward(np.array([[5.0, 6.0]]))
    array([[0., 5., 6., 0., 0.]])
    >>> layer.backward(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]))
    array([[2., 3.]])
    """

    keeps = ("input_shape",)

    input_shape: tuple[int, ...]

    def __init__(self, widths: Sequence[Sequence[int]], value: float = 0.0) -> None:
        try:
            pairs = [[index(before), index(after)] for before, after in widths]
        except (TypeError, ValueError):
            pairs = [[-1, -1]]
        if not pairs or min(map(min, pairs)) < 0:
            raise ValueError(
                f"Pad: widths must be pairs of whole numbers, 0 or more, got {widths!r:.80}."
            )
        if not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(f"Pad: value must be a number, got {value!r:.80}.")
        self.widths = pairs
        self.value = float(value)

    def forward(self, x: Array) -> Array:
        """Return ``x`` with the border.

        Raises
        ------
        ValueError
            If ``x`` has fewer axes.
        """
        if x.ndim <= len(self.widths):
            raise ValueError(
                f"{self!r}: the input must have {len(self.widths)} axes after the samples at "
                f"least, got shape {x.shape}."
            )
        self.input_shape = x.shape
        x = self.floats(x)
        wider = [n + sum(pair) for n, pair in zip(x.shape[1:], self.widths, strict=False)]
        y = self.buffer("y", (len(x), *wider, *x.shape[1 + len(wider) :]), x.dtype)
        y.fill(self.value)
        y[self._inside(x.shape)] = x
        return y

    def backward(self, grad: Array) -> Array:
        """Return ``grad`` without the border."""
        return grad[self._inside(self.input_shape)]

    def _inside(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        lengths = zip(shape[1:], self.widths, strict=False)
        return (slice(None), *(slice(before, before + n) for n, (before, _) in lengths))
