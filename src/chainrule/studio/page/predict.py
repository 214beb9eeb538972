"""Predict: what the net makes of a drawing."""

from __future__ import annotations

from chainrule.studio.page import widgets as w
from chainrule.studio.page.tab import Tab

__all__ = ["show"]


def show(tab: Tab) -> None:
    """Build this part."""
    w.heading("Predict", 1)
