"""How an array is laid out to be seen: which of its numbers stands where."""

from __future__ import annotations

import numpy as np

from chainrule.layer import Array

__all__ = ["arrange"]

MOST = 96 * 96  # cells of a picture
LINE = 32  # a long row is broken into lines
NOTHING = -1  # a cell between two images


def arrange(
    shape: tuple[int, ...],
    image: tuple[int, int] | None = None,
    *,
    kernels: bool = False,
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
        tiles = places.transpose(2, 3, 0, 1) if kernels else places.transpose(0, 3, 1, 2)
        return _montage(tiles, most)
    if places.size == 0:
        return np.full((1, 1), NOTHING)
    matrix = np.atleast_2d(places) if len(shape) < 3 else places.reshape(-1, shape[-1])
    if len(matrix) == 1:
        row = matrix[0]
        if image is not None and row.size == image[0] * image[1]:
            matrix = row.reshape(image)
        elif row.size > LINE:
            lines = np.full(-(-row.size // LINE) * LINE, NOTHING)
            lines[: row.size] = row
            matrix = lines.reshape(-1, LINE)
    return _thinned(matrix, most)


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
