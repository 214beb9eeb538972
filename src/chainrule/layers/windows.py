"""Windows that slide over images: padding, how many fit, and a view of them all.

Images are channels-last: (samples, height, width, channels). What holds for one axis is computed
once for each, so that sequences are images of height 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.layer import Array

__all__ = ["Buffer", "Pads", "Pair", "Window", "chunk", "numbers", "pads_of", "slices", "window_of"]

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

# Bytes gathered at a time: they are read again at once, and should still be in the processor's
# second cache (1 to 2 MiB today).
CACHE = 2**19


# A layer's ``buffer``.
Buffer = Callable[[str, tuple[int, ...]], Array]


@dataclass(frozen=True)
class Window:
    """A window of ``kernel`` positions, ``dilation`` apart, that moves ``stride`` at a time.

    Everything is a pair: (along the height, along the width).

    Examples
    --------
    >>> window = Window((3, 3), stride=(2, 2), pads=((1, 1), (0, 0)))
    >>> window.reach
    (3, 3)
    >>> window.steps((6, 7))
    (3, 3)
    """

    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    pads: Pads = ((0, 0), (0, 0))

    @property
    def reach(self) -> Pair:
        """How many rows and columns one window spans."""
        rows, columns = (d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return rows, columns

    def padded(self, lengths: Sequence[int]) -> Pair:
        """Return the height and width with the padding."""
        rows, columns = (n + sum(pad) for n, pad in zip(lengths, self.pads, strict=True))
        return rows, columns

    def steps(self, lengths: Sequence[int]) -> Pair:
        """Return how many windows fit, along the height and along the width.

        Less than 1 where not even one does.
        """
        rows, columns = (
            (n - reach) // stride + 1
            for n, reach, stride in zip(self.padded(lengths), self.reach, self.stride, strict=True)
        )
        return rows, columns

    def pad(self, x: Array, out: Array | None = None, value: float = 0) -> Array:
        """Return ``x`` with ``value`` round it; ``x`` itself where there is nothing to pad."""
        if self.pads == ((0, 0), (0, 0)):
            return x
        if out is None:
            out = np.empty((len(x), *self.padded(x.shape[1:3]), *x.shape[3:]), x.dtype)
        out.fill(value)
        self.inside(out, x.shape[1:3])[...] = x
        return out

    def inside(self, padded: Array, lengths: Sequence[int]) -> Array:
        """Return the view of a padded array that is the image itself."""
        rows, columns = (
            slice(before, before + n) for n, (before, _) in zip(lengths, self.pads, strict=True)
        )
        return padded[:, rows, columns]

    def view(self, padded: Array) -> Array:
        """Return all windows, shape (samples, steps, steps, kernel, kernel, channels).

        Nothing is copied: one step of a window is ``stride`` steps in the image, one step inside
        it ``dilation``. Windows that overlap share their memory, so this is to be read only.
        """
        sample, row, column, channel = padded.strides
        (si, sj), (di, dj) = self.stride, self.dilation
        inner = Window(self.kernel, self.stride, self.dilation)
        shape = (len(padded), *inner.steps(padded.shape[1:3]), *self.kernel, padded.shape[3])
        strides = (sample, si * row, sj * column, di * row, dj * column, channel)
        return np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)

    def pieces(self, x: Array, size: int, buffer: Buffer) -> Iterator[tuple[slice, Array]]:
        """Yield (slice of the samples, those samples padded), ``size`` at a time.

        The padding is written once: the pieces share their memory, one after the other.
        """
        if self.pads == ((0, 0), (0, 0)):
            for samples in slices(len(x), size):
                yield samples, x[samples]
            return
        padded = buffer("padded", (size, *self.padded(x.shape[1:3]), x.shape[3]))
        padded.fill(0)
        inside = self.inside(padded, x.shape[1:3])
        for samples in slices(len(x), size):
            count = samples.stop - samples.start
            inside[:count] = x[samples]
            yield samples, padded[:count]

    def turned(self) -> Window | None:
        """Return the window of the way back, from the steps to the image; None if there is none.

        With stride 1 the steps that saw a place are neighbours too: as many as the kernel has
        positions, in reverse order, ``reach - 1`` of them before the first.
        """
        pads = [
            (reach - 1 - before, reach - 1 - after)
            for reach, (before, after) in zip(self.reach, self.pads, strict=True)
        ]
        if self.stride != (1, 1) or min(map(min, pads)) < 0:
            return None
        return Window(self.kernel, dilation=self.dilation, pads=(pads[0], pads[1]))

    def positions(self, steps: Pair) -> Iterator[tuple[int, int, slice, slice]]:
        """Yield (i, j, rows, columns): what position (i, j) of all the windows sees.

        So ``padded[:, rows, columns]`` is the same as ``view(padded)[:, :, :, i, j]``.
        """
        for i, j in itertools.product(*map(range, self.kernel)):
            rows, columns = (
                slice(first * d, first * d + (count - 1) * s + 1, s)
                for first, d, s, count in zip(
                    (i, j), self.dilation, self.stride, steps, strict=True
                )
            )
            yield i, j, rows, columns


def window_of(
    lengths: Sequence[int], kernel: Pair, stride: Pair, padding: str | Pair, dilation: Pair = (1, 1)
) -> Window:
    """Return the window for images of that height and width.

    ``padding`` is ``"valid"`` (none), ``"same"`` (as much as makes the output ``length / stride``,
    rounded up; the odd one at the end), or zeros on both sides of each axis.
    """
    free = Window(kernel, stride, dilation)
    if padding == "valid":
        return free
    if padding == "same":
        missing = (
            max(0, (math.ceil(n / s) - 1) * s + reach - n)
            for n, s, reach in zip(lengths, stride, free.reach, strict=True)
        )
        rows, columns = ((m // 2, m - m // 2) for m in missing)
    else:
        rows, columns = ((int(p), int(p)) for p in padding)
    return Window(kernel, stride, dilation, (rows, columns))


def numbers(owner: str, name: str, value: int | Sequence[int], axes: int, least: int = 1) -> Pair:
    """Return an argument as one number an axis; a sequence has one row, and nothing to do there.

    Examples
    --------
    >>> numbers("Conv2d(1, 2, 3)", "stride", 2, axes=2)
    (2, 2)
    >>> numbers("Conv2d(1, 2, 3)", "stride", (1, 2), axes=2)
    (1, 2)
    >>> numbers("Conv1d(1, 2, 3)", "stride", 2, axes=1)
    (1, 2)
    """
    given = [value] * axes if isinstance(value, (int, np.integer)) else value
    if (
        isinstance(given, str)
        or not isinstance(given, Sequence)
        or len(given) != axes
        or not all(isinstance(n, (int, np.integer)) and n >= least for n in given)
    ):
        wanted = "a whole number" if axes == 1 else f"a whole number, or {axes} of them"
        raise ValueError(f"{owner}: {name} must be {wanted}, at least {least}, got {value!r}.")
    rows, columns = [least, *given] if axes == 1 else given
    return int(rows), int(columns)


def pads_of(owner: str, value: str | int | Sequence[int], axes: int) -> str | Pair:
    """Return ``padding`` as ``"same"``, ``"valid"`` or one number an axis."""
    if isinstance(value, str):
        if value not in {"same", "valid"}:
            raise ValueError(
                f'{owner}: padding must be "same", "valid" or whole numbers, got {value!r}.'
            )
        return value
    return numbers(owner, "padding", value, axes, least=0)


def chunk(samples: int, floats: int, itemsize: int) -> int:
    """Return how many samples to work on at a time; for each, ``floats`` numbers are gathered.

    The chunks are of about equal size, which saves a small one at the end.

    Examples
    --------
    >>> chunk(64, 576 * 25, 4)
    8
    """
    most = max(1, CACHE // max(1, floats * itemsize))
    return max(1, math.ceil(samples / math.ceil(samples / most))) if samples else 1


def slices(samples: int, size: int) -> Iterator[slice]:
    """Yield slices of ``size`` samples, the last one perhaps smaller."""
    for first in range(0, samples, size):
        yield slice(first, min(first + size, samples))
