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
        held = data.held
        points = np.concatenate([
            np.column_stack([x, y, np.full(len(x), split)])
            for x, y, split in ((held.x, held.y, 0), (held.x_test, held.y_test, 1))
        ])  # fmt: skip
        self.props.update(
            points=as_text(points), classes=data.outputs, ground="", size=1,
            edge=REACH * float(np.abs(held.x).max()), label=f"{data.name} in the plane",
            caption="dots to learn from, rings held out",
        )  # fmt: skip

    def show(self, plane: Plane) -> None:
        """Show what the net says."""
        found = plane.probabilities
        self.props.update(ground=as_text(found), size=len(found), classes=found.shape[-1])
