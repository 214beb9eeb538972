"""Histograms."""

from __future__ import annotations

import json

from nicegui.element import Element

from chainrule.studio.views import Histogram

__all__ = ["Bars"]


class Bars(Element, component="bars.js"):
    """A histogram; the height of a bar is as the root of its count, so that rare values are seen.

    Parameters
    ----------
    title : str
        What stands above it.
    label : str
        What it is, for screen readers and the name of a file.
    look : {"first", "second"}
        Its colour.
    save : bool
        Whether it can be saved as a picture.
    """

    def __init__(self, title: str, label: str, look: str, *, save: bool = False) -> None:
        super().__init__()
        self.props.update(title=title, label=label, look=f"bars-{look}", save=save, histogram="")

    def show(self, found: Histogram) -> None:
        """Show a histogram."""
        words = json.dumps({
            "low": float(f"{found.low:.6g}"), "high": float(f"{found.high:.6g}"),
            "counts": found.counts.tolist(), "zeros": round(found.zeros, 4),
            "broken": found.broken,
        })  # fmt: skip
        if words != self.props["histogram"]:
            self.props["histogram"] = words
