"""Augmentation: mini-batches of images, changed a little at random each time they are seen.

The functions act on a whole mini-batch at once and are told what to do; :class:`Augment` draws it.
All of them return new arrays of the type that they were given.
"""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from chainrule.data.batches import one_hot
from chainrule.layer import Array

__all__ = ["Augment", "blend", "cut", "move", "warp"]


class Augment:
    r"""Change images at random, in ways that leave them what they show.

    Each image is flipped, turned, zoomed and moved, then a square of it is cut out, then it is
    mixed with another of its mini-batch; what is left at 0 is not done. The settings are limits:
    for each image anew, each amount is drawn evenly from minus its limit to its limit.

    Mix-up blends two images and their targets in the same proportion, drawn for each image:

    .. math:: \tilde x_i = \lambda x_i + (1 - \lambda) x_j, \qquad
        \tilde y_i = \lambda y_i + (1 - \lambda) y_j, \qquad
        \lambda \sim \operatorname{Beta}(\alpha, \alpha)

    Parameters
    ----------
    shift : int
        By how many pixels an image moves at most, along each axis; always by whole ones.
    rotate : float
        By how many degrees it turns at most.
    zoom : float
        By which share it grows or shrinks at most, 0 or more and less than 1.
    flip : bool
        Whether every second image, on average, is mirrored left to right. Not for digits!
    cut_out : int
        Side in pixels of the square that is cut out, its centre anywhere in the image; 0 for none.
    mix_up : float
        The :math:`\alpha` of mix-up; 0 for none. The targets become rows of probabilities.
    classes : int, optional
        How many classes there are, for mix-up of targets that are class indices.
    fill : float
        The value of a pixel that comes from outside the image or is cut out: the background. It is
        -mean / deviation where the images are standardised.
    seed : int or numpy.random.Generator
        Draws everything.

    Raises
    ------
    ValueError
        If a setting makes no sense.

    Notes
    -----
    Images are arrays (samples, height, width) or (samples, height, width, channels), of floats or
    uint8. Between pixels, values are interpolated linearly along both axes.

    Sources: cut-out: DeVries and Taylor, Improved Regularization of Convolutional Neural Networks
    with Cutout, 2017; mix-up: Zhang et al., mixup: Beyond Empirical Risk Minimization, 2017 (there
    one proportion serves the whole mini-batch).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import load_digits
    >>> from chainrule.data import Augment
    >>> images, labels = load_digits()
    >>> augment = Augment(shift=1, rotate=15, zoom=0.1, mix_up=0.2, classes=10)
    >>> x, y = augment(images[:64], labels[:64])
    >>> x.shape, x.dtype, y.shape
    ((64, 8, 8), dtype('uint8'), (64, 10))
    """

    def __init__(
        self,
        *,
        shift: int = 0,
        rotate: float = 0.0,
        zoom: float = 0.0,
        flip: bool = False,
        cut_out: int = 0,
        mix_up: float = 0.0,
        classes: int | None = None,
        fill: float = 0.0,
        seed: int | np.random.Generator = 0,
    ) -> None:
        for name, pixels in (("shift", shift), ("cut_out", cut_out)):
            if not isinstance(pixels, (int, np.integer)) or pixels < 0:
                raise ValueError(
                    f"Augment: {name} is a number of whole pixels, 0 or more, got {pixels!r}."
                )
        for name, limit in (("rotate", rotate), ("zoom", zoom), ("mix_up", mix_up)):
            if not 0 <= limit < math.inf:
                raise ValueError(f"Augment: {name} must be 0 or more, got {limit!r}.")
        if zoom >= 1:
            raise ValueError(f"Augment: zoom must be less than 1, got {zoom}: 0.1 is 10 percent.")
        if classes is not None and classes < 1:
            raise ValueError(f"Augment: classes must be at least 1, got {classes}.")
        self.shift = int(shift)
        self.rotate = rotate
        self.zoom = zoom
        self.flip = flip
        self.cut_out = int(cut_out)
        self.mix_up = mix_up
        self.classes = classes
        self.fill = fill
        self.rng = np.random.default_rng(seed)

    def __call__(
        self, x: Array, y: ArrayLike, rng: np.random.Generator | None = None
    ) -> tuple[Array, Array]:
        """Return a changed mini-batch, in arrays of its own.

        Parameters
        ----------
        x : array, shape (samples, height, width) or (samples, height, width, channels)
            Images.
        y : array, shape (samples, ...)
            Targets; with mix-up class indices (integers) or rows of numbers.
        rng : numpy.random.Generator, optional
            Draws in place of the augmentation's own.

        Raises
        ------
        ValueError
            If the arrays are no images with their targets.
        """
        rng = self.rng if rng is None else rng
        x, y = np.asarray(x), np.array(y)  # the targets are often a buffer that is used again
        self._check(x, y)
        n, (height, width) = len(x), x.shape[1:3]
        images = x.copy()
        if self.flip:
            mirrored = rng.random(n) < 0.5
            images[mirrored] = x[mirrored, :, ::-1]
        down, right = rng.integers(-self.shift, self.shift, (2, n), endpoint=True)
        if self.rotate or self.zoom:
            degrees = rng.uniform(-self.rotate, self.rotate, n)
            zoom = rng.uniform(1 - self.zoom, 1 + self.zoom, n)
            images = warp(images, degrees, zoom, down, right, self.fill)
        elif self.shift:
            images = move(images, down, right, self.fill)
        if self.cut_out:
            rows, columns = rng.integers(height, size=n), rng.integers(width, size=n)
            images = cut(images, rows, columns, self.cut_out, self.fill)
        if self.mix_up:
            partners, shares = rng.permutation(n), rng.beta(self.mix_up, self.mix_up, n)
            rows_of_y = self._rows(y)
            images = blend(images, partners, shares)
            y = blend(rows_of_y, partners, shares)
        return images, y

    def _check(self, x: Array, y: Array) -> None:
        if x.ndim not in (3, 4):
            raise ValueError(
                "Augment: the images must have shape (samples, height, width) or (samples, height, "
                f"width, channels), got {x.shape}. Rows of pixels take it by x.reshape(-1, height, "
                "width), and Flatten() as the net's first layer."
            )
        if x.dtype.kind != "f" and x.dtype != np.uint8:
            raise ValueError(
                f"Augment: the images must be floats or uint8, got {x.dtype}. "
                "Use x.astype(numpy.float32)."
            )
        if y.ndim == 0 or len(x) != len(y):
            raise ValueError(
                f"Augment: needs as many images as targets, got shapes {x.shape} and {y.shape}."
            )
        if x.dtype == np.uint8 and self.fill not in range(256):
            raise ValueError(
                f"Augment: fill must be a whole number from 0 to 255 for images of uint8, "
                f"got {self.fill}."
            )

    def _rows(self, y: Array) -> Array:
        """Return targets that can be mixed: class indices as rows of probabilities."""
        if y.dtype.kind == "f":
            return y
        if y.ndim > 1:
            return y.astype(np.float32)
        if self.classes is None:
            raise ValueError(
                "Augment: mix-up turns class indices into rows of probabilities, and must know "
                "how long they are. Give classes=..., or targets as rows."
            )
        return one_hot(y, self.classes)


def move(images: Array, down: Array, right: Array, fill: float = 0.0) -> Array:
    """Return each image moved by whole pixels; what comes in from outside is ``fill``.

    Parameters
    ----------
    images : array, shape (samples, height, width) or (samples, height, width, channels)
    down, right : array of int, shape (samples,)
        By how many pixels; negative is up, or left.
    fill : float
        The value outside.

    Examples
    --------
    >>> move(np.array([[[1.0, 2.0], [3.0, 4.0]]]), down=np.array([1]), right=np.array([0]))
    array([[[0., 0.],
            [1., 2.]]])
    """
    height, width = images.shape[1:3]
    top = min(int(np.abs(down).max(initial=0)), height)  # farther, nothing of the image is left
    left = min(int(np.abs(right).max(initial=0)), width)
    padded = _padded(images, (top, top), (left, left), fill)
    moved = np.empty_like(images)
    rows = top - np.clip(down, -top, top)
    columns = left - np.clip(right, -left, left)
    for i, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        moved[i] = padded[i, row : row + height, column : column + width]
    return moved


def warp(
    images: Array, degrees: Array, zoom: Array, down: Array, right: Array, fill: float = 0.0
) -> Array:
    r"""Return each image turned and zoomed about its centre, then moved.

    Each pixel of the result is read where it came from. With (u, v) its distance down and right
    from the centre, after the move is taken back, that is

    .. math::
        u' = (u \cos\theta + v \sin\theta) / z, \qquad v' = (v \cos\theta - u \sin\theta) / z

    and the value there is interpolated linearly along both axes between the four pixels round it.

    Parameters
    ----------
    images : array, shape (samples, height, width) or (samples, height, width, channels)
    degrees : array, shape (samples,)
        By how much to turn, counter-clockwise.
    zoom : array, shape (samples,)
        How many times as large; greater than 0.
    down, right : array, shape (samples,)
        By how many pixels to move; fractions too.
    fill : float
        The value outside.

    Examples
    --------
    >>> image = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> one, none = np.ones(1), np.zeros(1)
    >>> warp(image, degrees=90 * one, zoom=one, down=none, right=none)
    array([[[2., 4.],
            [1., 3.]]])
    """
    warped = np.empty_like(images)
    # A few images at a time, so that what is made on the way stays in the cache.
    size = max(1, 8192 // max(1, math.prod(images.shape[1:])))
    for start in range(0, len(images), size):
        few = slice(start, start + size)
        warped[few] = _warp(images[few], degrees[few], zoom[few], down[few], right[few], fill)
    return warped


def _warp(
    images: Array, degrees: Array, zoom: Array, down: Array, right: Array, fill: float
) -> Array:
    n, height, width = images.shape[:3]
    real = np.result_type(images.dtype, np.float32)
    angle = np.deg2rad(degrees)
    cos, sin = ((f(angle) / zoom).astype(real)[:, None, None] for f in (np.cos, np.sin))
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    u = (np.arange(height) - centre_y - down[:, None]).astype(real)[:, :, None]
    v = (np.arange(width) - centre_x - right[:, None]).astype(real)[:, None, :]

    # Where each pixel comes from, in the image with a border of one pixel of fill. Whatever is
    # farther out than the border is read from it; beyond it one more, for the pixel's neighbour.
    padded = _padded(images, (1, 2), (1, 2), fill)
    y = np.clip(cos * u + sin * v + (centre_y + 1), 0, height + 1)
    x = np.clip(cos * v - sin * u + (centre_x + 1), 0, width + 1)
    y_whole, x_whole = np.floor(y), np.floor(x)
    y -= y_whole
    x -= x_whole
    if images.ndim == 4:
        y, x = y[..., None], x[..., None]

    # All pixels of the mini-batch in one row: a whole line on, and the next pixel is below.
    stride = width + 3
    place = y_whole.astype(np.intp)
    place *= stride
    place += x_whole.astype(np.intp)
    place += (np.arange(n) * ((height + 3) * stride))[:, None, None]
    pixels = padded.reshape(-1, *images.shape[3:])

    def line(place: Array) -> Array:
        # mode="clip" spares NumPy a check and a copy; the places are in range.
        left = pixels.take(place, axis=0, mode="clip")
        return _between(left, pixels.take(place + 1, axis=0, mode="clip"), x)

    above, below = line(place), line(place + stride)
    return _as_type(_between(above, below, y), images.dtype)


def cut(images: Array, rows: Array, columns: Array, side: int, fill: float = 0.0) -> Array:
    """Return each image with a square of ``fill``, as much of it as lies in the image.

    Parameters
    ----------
    images : array, shape (samples, height, width) or (samples, height, width, channels)
    rows, columns : array of int, shape (samples,)
        The square's centre; of an even side, the pixel below and right of it.
    side : int
        The square's side in pixels.
    fill : float
        The value in the square.

    Examples
    --------
    >>> cut(np.ones((1, 3, 3)), rows=np.array([0]), columns=np.array([1]), side=2)
    array([[[0., 0., 1.],
            [1., 1., 1.],
            [1., 1., 1.]]])
    """
    height, width = images.shape[1:3]
    from_top = np.arange(height) - (rows - side // 2)[:, None]
    from_left = np.arange(width) - (columns - side // 2)[:, None]
    in_rows = (from_top >= 0) & (from_top < side)
    in_columns = (from_left >= 0) & (from_left < side)
    images = images.copy()
    images[in_rows[:, :, None] & in_columns[:, None, :]] = fill
    return images


def blend(values: Array, partners: Array, shares: Array) -> Array:
    """Return each sample mixed with its partner: ``share * own + (1 - share) * partner's``.

    Parameters
    ----------
    values : array, shape (samples, ...)
    partners : array of int, shape (samples,)
        With which sample each is mixed.
    shares : array, shape (samples,)
        The share of each sample's own values, 0 to 1.

    Examples
    --------
    >>> blend(np.eye(2), partners=np.array([1, 0]), shares=np.array([0.75, 0.5]))
    array([[0.75, 0.25],
           [0.5 , 0.5 ]])
    """
    real = np.result_type(values.dtype, np.float32)
    shares = shares.astype(real).reshape(-1, *[1] * (values.ndim - 1))
    mixed = values * shares + values[partners] * (1 - shares)
    return _as_type(mixed, values.dtype)


def _padded(images: Array, rows: tuple[int, int], columns: tuple[int, int], fill: float) -> Array:
    """Return the images with so many rows and columns of ``fill`` before and after."""
    n, height, width, *channels = images.shape
    padded = np.full((n, sum(rows) + height, sum(columns) + width, *channels), fill, images.dtype)
    padded[:, rows[0] : rows[0] + height, columns[0] : columns[0] + width] = images
    return padded


def _between(first: Array, second: Array, fraction: Array) -> Array:
    """Return the value at a fraction of the way from the first to the second."""
    # One side's share is taken from the other's, so that at 0 the first comes out as it was.
    second = np.subtract(second, first, dtype=fraction.dtype)
    second *= fraction
    second += first
    return second


def _as_type(values: Array, dtype: DTypeLike) -> Array:
    """Return values of a float type as the type of the images."""
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        values = values.round()  # between 0 and 255: they lie between those of the images
    return values.astype(dtype, copy=False)
