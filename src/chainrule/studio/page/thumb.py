"""A small picture of an array, for a glance."""

from __future__ import annotations

import base64

import numpy as np
from nicegui.element import Element

from chainrule.layer import Array
from chainrule.studio.layout import thumbnail

__all__ = ["Thumb"]

NOTHING, BROKEN = 255, 254  # in place of a number: none there; NaN or infinite


class Thumb(Element, component="thumb.js"):
    """A small picture of an array; screen readers pass over it.

    Parameters
    ----------
    scale : {"diverging", "ink"}
    """

    def __init__(self, scale: str = "diverging") -> None:
        super().__init__()
        self.props.update(scale=scale, values=base64.b64encode(bytes([NOTHING])).decode(),
                          rows=1, columns=1)  # fmt: skip

    def show(self, array: Array, image: tuple[int, int] | None = None) -> None:
        """Show another array; the same costs nothing."""
        matrix = thumbnail(array, image)
        codes = as_bytes(matrix, ink=self.props["scale"] == "ink")
        if not np.isfinite(array).all():
            codes[codes == NOTHING] = BROKEN
        words = base64.b64encode(codes.tobytes()).decode()
        if words != self.props["values"]:
            self.props.update(values=words, rows=matrix.shape[0], columns=matrix.shape[1])


def as_bytes(matrix: Array, *, ink: bool = False) -> Array:
    """Return a byte a number: 127 for 0 and up to 253 either way; or, for ink, from 0 to 253.

    Examples
    --------
    >>> as_bytes(np.array([[-2.0, 0.0, 1.0, np.nan]])).tolist()
    [[1, 127, 190, 255]]
    """
    finite = np.isfinite(matrix)
    known = matrix[finite].astype(np.float64)
    codes = np.full(matrix.shape, NOTHING, np.uint8)
    if known.size and ink:
        low = known.min()
        codes[finite] = np.rint(253 * (known - low) / ((known.max() - low) or 1.0))
    elif known.size:
        codes[finite] = np.rint(127 + 126 * known / (np.abs(known).max() or 1.0))
    return codes
