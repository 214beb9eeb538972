"""An array as a heat map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from nicegui.element import Element

from chainrule.layer import Array
from chainrule.studio.page.encoding import as_text
from chainrule.studio.views import shrunk

__all__ = ["HeatMap"]


class HeatMap(Element, component="heat.js"):
    """An array as a heat map, with its numbers under the pointer.

    Parameters
    ----------
    array : array
    label : str
        What it is, for screen readers and the name of a file.
    caption : str
        What stands above it.
    scale : {"diverging", "cividis", "ink"}
        For values round 0; for values from 0 on; for images.
    limit : float
        The value of the strongest colour; 0 takes the greatest there is.
    cell : float
        The side of a cell in pixels; 0 chooses one.
    save : bool
        Whether it can be saved as a picture.
    on_pick : function (row, column, value), optional
        Is called when a cell is clicked, or Enter is pressed on it.
    """

    def __init__(
        self,
        array: Array,
        label: str,
        *,
        caption: str = "",
        scale: str = "diverging",
        limit: float = 0.0,
        cell: float = 0.0,
        save: bool = False,
        on_pick: Callable[[int, int, float], Any] | None = None,
    ) -> None:
        super().__init__()
        self.props.update(
            label=label, caption=caption, scale=scale, limit=limit, cell=cell, save=save
        )
        self.show(array)
        if on_pick is not None:
            self.on(
                "pick",
                lambda event: on_pick(event.args["row"], event.args["column"], event.args["value"]),
            )

    def show(self, array: Array, places: Array | None = None) -> None:
        """Show another array; ``places`` says which number of it stands where, -1 for none."""
        new: dict[str, Any] = {}
        if places is None:
            matrix, skip = shrunk(array)
        else:
            matrix, skip = np.where(places < 0, 0, np.ravel(array)[places]), (1, 1)
            new.update(places=as_text(places), full=list(array.shape))
        new.update(
            values=as_text(matrix), rows=matrix.shape[0], columns=matrix.shape[1], skip=list(skip),
            shape=" × ".join(map(str, array.shape)) or "a number",
        )  # fmt: skip
        if any(self.props.get(name) != value for name, value in new.items()):
            self.props.update(new)  # the same costs nothing
