"""Points in the plane, on what the net says of every place."""

from __future__ import annotations

import numpy as np
from nicegui.element import Element

from chainrule.studio.data import Data
from chainrule.studio.page.encoding import as_text
from chainrule.studio.results import Plane

__all__ = ["PlanePicture"]

REACH = 1.1  # of the farthest point


class PlanePicture(Element, component="plane.js"):
    """The points of a data set, on what a net says of every place, once it has said so.

    Parameters
    ----------
    data : Data
        With samples in the plane.
    """

    def __init__(self, data: Data) -> None:
        super().__init__()
        self.show_data(data)

    def show_data(self, data: Data) -> None:
        """Show other points, on empty ground."""
        held, (learned, unseen) = data.held, data.points
        points = np.concatenate([
            np.column_stack([x, y, np.full(len(x), split)])
            for x, y, split in ((learned, held.y, 0), (unseen, held.y_test, 1))
        ])  # fmt: skip
        self.props.update(
            points=as_text(points), classes=data.outputs, ground="", size=1,
            edge=REACH * float(np.abs(learned).max()), label=f"{data.name} in the plane",
            caption=_caption(data),
        )  # fmt: skip

    def show(self, plane: Plane) -> None:
        """Show what the net says."""
        found = plane.probabilities
        self.props.update(ground=as_text(found), size=len(found), classes=found.shape[-1])


def _caption(data: Data) -> str:
    names = data.held.preparation.columns
    dots = "dots to learn from, rings held out"
    if names is None:
        return dots
    return f"{dots}; {names[0]} to the right, {names[1]} up, in standard deviations from the mean"
