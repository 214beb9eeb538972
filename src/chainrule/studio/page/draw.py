"""A sheet to draw on."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from nicegui.element import Element

from chainrule.layer import Array
from chainrule.studio.drawing import Place
from chainrule.studio.page.encoding import as_text

__all__ = ["DrawingSheet", "is_drawing"]

INK = 112  # pixels a side of what is sent of a drawing


def is_drawing(words: str) -> bool:
    """Whether an address has strokes: the points of each, four letters or figures a point.

    Examples
    --------
    >>> is_drawing("1t191u2b_1c1c"), is_drawing("<b>")
    (True, False)
    """
    return re.fullmatch(r"([0-9a-z]{4})+(_([0-9a-z]{4})+)*", words) is not None


class DrawingSheet(Element, component="draw.js"):
    """A sheet to draw on by mouse, pen or finger.

    Parameters
    ----------
    on_drawn : function (ink, words)
        Is called as somebody draws: with the ink, 0 to 255, and when a stroke is done with the
        strokes in words for the address, else with ``None``.
    words : str
        The strokes that are on it at first.
    """

    def __init__(self, on_drawn: Callable[[Array, str | None], Any], words: str = "") -> None:
        super().__init__()
        self.props.update(map="", rows=1, columns=1, place=[], blank=0, drawing=words)

        def drawn(event: Any) -> Any:
            try:
                ink = np.frombuffer(base64.b64decode(event.args["ink"], validate=True), np.uint8)
                done = event.args["drawing"]
            except (TypeError, ValueError, KeyError, binascii.Error):
                return None  # no browser sends it
            if ink.size != INK * INK or not (done in (None, "") or is_drawing(str(done))):
                return None
            return on_drawn(ink.reshape(INK, INK), done)

        self.on("drawn", drawn)

    def clear_drawing(self) -> None:
        """Take the drawing away."""
        self.props["blank"] += 1

    def show(self, slopes: Array | None, place: Place | None) -> None:
        """Lay a map over the drawing."""
        if slopes is None or place is None:
            self.props["map"] = ""
            return
        self.props.update(
            map=as_text(slopes), rows=slopes.shape[0], columns=slopes.shape[1], place=list(place)
        )
