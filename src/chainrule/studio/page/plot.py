"""Curves over the steps of a training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from nicegui.element import Element

from chainrule.studio.frame import Points

__all__ = ["Plot"]

LOOKS = ("first", "second", "third", "fourth", "fifth")  # of curves: colours in studio.css


class Plot(Element, component="plot.js"):
    """Curves, with their values under the pointer; to be saved as PNG or SVG.

    Parameters
    ----------
    title : str
    names : sequence of str
        Of the curves.
    xlabel : str
    empty : str
        What stands there as long as there is nothing to show.
    unit : (low, high), optional
        What the axis shows at least; without it it begins at 0.
    logable : bool
        Whether the axis can be made logarithmic.
    log : bool
        Whether it is so at first.
    on_log : function (log), optional
        Is called when somebody has it otherwise.
    power : bool
        Whether x is the power of ten of what is meant, as of a learning rate.
    looks : sequence of str
        Of the curves, so that the same thing looks alike in several plots.
    """

    def __init__(
        self,
        title: str,
        names: tuple[str, ...],
        *,
        xlabel: str = "step",
        empty: str = "",
        unit: tuple[float, float] | None = None,
        logable: bool = False,
        power: bool = False,
        log: bool = False,
        on_log: Callable[[bool], Any] | None = None,
        looks: tuple[str, ...] = LOOKS,
    ) -> None:
        super().__init__()
        self.names, self.looks = names, looks
        self.props.update(
            title=title, xlabel=xlabel, empty=empty, unit=None if unit is None else list(unit),
            logable=logable, power=power, mark=None, series=self._series({}), logged=log,
        )  # fmt: skip
        if on_log is not None:
            self.on("log", lambda event: on_log(bool(event.args)))

    def show(self, curves: Mapping[str, Points], mark: float | None = None) -> None:
        """Show curves, by their names; and a line at an x, if one is to be marked."""
        self.props["series"] = self._series(curves)
        if self.props["mark"] != mark:
            self.props["mark"] = mark

    def _series(self, curves: Mapping[str, Points]) -> str:
        # As text: NiceGUI would wrap each pair of a list to watch it for changes.
        return json.dumps([
            {
                "name": name,
                "look": look,
                "points": [
                    (float(f"{x:.6g}"), float(f"{y:.5g}"))
                    for x, y in curves.get(name, [])
                    if math.isfinite(y)
                ],
            }
            for name, look in zip(self.names, self.looks, strict=False)
        ])  # fmt: skip
