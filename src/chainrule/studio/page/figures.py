"""Drawings of Results: the loss around a net, and predicted over true numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from nicegui.element import Element

from chainrule.studio.landscape import Landscape
from chainrule.studio.page.encoding import as_text
from chainrule.studio.results import Fit

__all__ = ["Around", "Scatter"]

MOST_DOTS = 800


class Around(Element, component="around.js"):
    """The loss along two random directions, the net in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.props.update(losses="", size=1, reach=1.0)

    def show(self, found: Landscape) -> None:
        """Show what was found."""
        self.props.update(losses=as_text(found.losses), size=len(found.losses), reach=found.reach)


class Scatter(Element, component="scatter.js"):
    """Predicted over true numbers of samples; of many every k-th.

    Parameters
    ----------
    on_pick : function (sample)
        Is called with the number of a sample that is chosen.
    """

    def __init__(self, on_pick: Callable[[int], Any]) -> None:
        super().__init__()
        self.shown: set[int] = set()
        self.props.update(content="[]")
        self.on("pick", lambda e: on_pick(e.args) if e.args in self.shown else None)

    def show(self, found: Fit) -> None:
        """Show what was predicted; samples without a finite number are left out."""
        order = np.argsort(found.true, kind="stable")
        order = order[np.isfinite(found.predicted[order])]
        order = order[:: max(1, -(-len(order) // MOST_DOTS))]
        self.shown = set(order.tolist())
        self.props["content"] = json.dumps([
            [int(i), float(f"{found.true[i]:.6g}"), float(f"{found.predicted[i]:.6g}")]
            for i in order
        ])  # fmt: skip
