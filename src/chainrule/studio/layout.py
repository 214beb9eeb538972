"""How an array is laid out to be seen: which of its numbers stands where."""

from __future__ import annotations

import numpy as np

from chainrule.layer import Array

__all__ = ["arrange", "thumbnail"]

MOST = 96 * 96  # cells of a picture
LINE = 16  # a long row is broken into lines, of so many numbers at least
THUMB = 28 * 28  # cells of a small picture
NOTHING = -1  # a cell between two images


def arrange(
    shape: tuple[int, ...],
    image: tuple[int, int] | None = None,
    *,
    kernels: bool = False,
    planes: bool = False,
    most: int = MOST,
) -> Array:
    """Return a matrix of places: which number of the flat array is shown in which cell.

    What is left out is left out evenly, so that each cell is a number of the array itself.

    Parameters
    ----------
    shape : tuple of int
    image : (height, width), optional
        A single row of so many numbers is shown as an image.
    kernels : bool
        Four axes are (height, width, input channels, output channels); else they are (samples,
        height, width, channels). Either is shown as images side by side, with -1 between them.
    planes : bool
        Four axes are (samples, heads, rows, columns).
    most : int
        How many cells at most.

    Examples
    --------
    >>> arrange((1, 4), (2, 2)).tolist()
    [[0, 1], [2, 3]]
    >>> arrange((1, 2, 1, 2)).tolist()
    [[0, -1, 1], [2, -1, 3]]
    """
    places = np.arange(int(np.prod(shape))).reshape(shape)
    if len(shape) == 4:
        order = (2, 3, 0, 1) if kernels else (0, 1, 2, 3) if planes else (0, 3, 1, 2)
        return _montage(places.transpose(order), most)
    if places.size == 0:
        return np.full((1, 1), NOTHING)
    matrix = np.atleast_2d(places) if len(shape) < 3 else places.reshape(-1, shape[-1])
    if len(matrix) == 1:
        row = matrix[0]
        if image is not None and row.size == image[0] * image[1]:
            matrix = row.reshape(image)
        elif row.size > LINE:
            matrix = _broken(row, max(LINE, int(np.ceil(np.sqrt(row.size)))))
    return _thinned(matrix, most)


def thumbnail(array: Array, image: tuple[int, int] | None = None) -> Array:
    """Return a small picture of an array: a matrix of some of its numbers, NaN between images.

    Examples
    --------
    >>> thumbnail(np.arange(6.0).reshape(1, 6)).tolist()
    [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    """
    if not array.size:
        return np.full((1, 1), np.nan)
    places = arrange(array.shape, image, most=THUMB)
    vector = array.ndim > 0 and array.size == array.shape[-1]
    seen = image is not None and places.shape == image
    if (vector or min(places.shape) == 1) and array.size > 3 and not seen:
        row = places[places >= 0]  # a line would hardly be seen
        places = _broken(row, int(np.ceil(np.sqrt(1.5 * len(row)))))
    return np.where(places < 0, np.nan, np.ravel(array)[places])


def _broken(row: Array, width: int) -> Array:
    lines = np.full(-(-row.size // width) * width, NOTHING)
    lines[: row.size] = row
    return lines.reshape(-1, width)


def _thinned(matrix: Array, most: int) -> Array:
    skip = [1, 1]
    while -(-matrix.shape[0] // skip[0]) * -(-matrix.shape[1] // skip[1]) > most:
        sides = [-(-n // k) for n, k in zip(matrix.shape, skip, strict=True)]
        skip[int(np.argmax(sides))] += 1
    return matrix[:: skip[0], :: skip[1]]


def _montage(tiles: Array, most: int) -> Array:
    """Put images, of two axes and of their own height and width, side by side."""
    down, across, height, width = tiles.shape
    if tiles.size == 0:
        return np.full((1, 1), NOTHING)
    if down == 1 or across == 1:  # one row of images: broken into lines
        flat = tiles.reshape(-1, height, width)
        columns = int(np.ceil(np.sqrt(len(flat) * height / width)))
        rows = -(-len(flat) // columns)
        padded = np.full((rows * columns, height, width), NOTHING)
        padded[: len(flat)] = flat
        tiles = padded.reshape(rows, columns, height, width)
    cell = (height + 1) * (width + 1)
    if cell > most:  # one image alone is too large
        return _thinned(tiles[0, 0], most)
    least = _thinned(
        np.arange(tiles.shape[0] * tiles.shape[1]).reshape(tiles.shape[:2]), most // cell
    )
    chosen = tiles.reshape(-1, height, width)[least]
    framed = np.full((*least.shape, height + 1, width + 1), NOTHING)
    framed[:, :, :height, :width] = chosen
    rows, columns = least.shape
    whole = framed.transpose(0, 2, 1, 3).reshape(rows * (height + 1), columns * (width + 1))
    return whole[:-1, :-1]
