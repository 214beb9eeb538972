"""Runs: those of this folder, side by side."""

from __future__ import annotations

from chainrule.studio.page import widgets as w
from chainrule.studio.page.tab import Tab

__all__ = ["show"]


def show(tab: Tab) -> None:
    """Build this part."""
    w.heading("Runs", 1)
