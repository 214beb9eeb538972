"""What is taken for what, as a table that is drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from nicegui.element import Element

from chainrule.studio.results import Judgement

__all__ = ["MOST", "Confusion"]

MOST = 30  # classes in one drawing


class Confusion(Element, component="confusion.js"):
    """A confusion matrix: rows are true, columns predicted classes.

    Of more than 30 classes it shows those that are confused most.

    Parameters
    ----------
    names : list of str
        Of all classes.
    on_pick : function (true, predicted)
        Is called with the classes of a cell that is chosen.
    """

    def __init__(self, names: list[str], on_pick: Callable[[int, int], Any]) -> None:
        super().__init__()
        self.all_names = names
        self.kept = list(range(min(len(names), MOST)))
        self.props.update(counts="[]", names=[], mark=None)
        self.on("pick", lambda event: self._picked(event.args, on_pick))

    def show(self, judged: Judgement, cell: tuple[int, int] | None) -> None:
        """Show what a judgement counted, and which cell is chosen."""
        counts = judged.confusion
        if len(counts) > MOST:
            wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
            chosen = np.sort(np.argsort(-wrong, kind="stable")[:MOST])
            if cell is not None:  # it stays in sight
                chosen = np.unique([*cell, *chosen])[: MOST + 2]
            self.kept = [int(i) for i in chosen]
        names = [self.all_names[i] for i in self.kept]
        if self.props["names"] != names:
            self.props["names"] = names
        words = json.dumps(counts[np.ix_(self.kept, self.kept)].tolist())
        if words != self.props["counts"]:
            self.props["counts"] = words
        mark = None
        if cell is not None and set(cell) <= set(self.kept):
            mark = [self.kept.index(i) for i in cell]
        if self.props["mark"] != mark:
            self.props["mark"] = mark

    def _picked(self, given: Any, on_pick: Callable[[int, int], Any]) -> Any:
        try:
            true, predicted = self.kept[given["true"]], self.kept[given["predicted"]]
        except (TypeError, KeyError, IndexError):  # no browser sends it
            return None
        return on_pick(true, predicted)
