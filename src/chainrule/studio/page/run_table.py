"""The table of runs, and what of them is shown in it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from nicegui.element import Element

from chainrule.cli.nets import NAMES
from chainrule.studio.runs import Past

__all__ = ["ORDERS", "RunTable", "best_words", "setting"]

ORDERS = ("name", "data", "net", "optimizer", "lr", "batch", "epochs", "best", "made")
OF_NAMED_NETS = ("hidden", "dropout")  # settings that say nothing of a net of one's own
MOST_WORDS = 100


class RunTable(Element, component="runs.js"):
    """Runs as a table to be sorted, filtered and chosen from.

    Parameters
    ----------
    words, order : str
        What is filtered and sorted by at first; ``"-made"`` is the other way round.
    every : bool
        Whether all are shown, however many they are, and not the first hundred.
    on_choose, on_open : function (name)
    on_state : function (words, order, every)
        Is called when it is filtered or sorted otherwise, or all are shown.
    """

    def __init__(
        self,
        words: str,
        order: str,
        every: bool,
        on_choose: Callable[[str], Any],
        on_open: Callable[[str], Any],
        on_state: Callable[[str, str, bool], Any],
    ) -> None:
        super().__init__()
        name = order.removeprefix("-")
        name, down = (name, order[:1] == "-") if name in ORDERS else ("made", True)
        self.props.update(
            rows="[]", chosen=[],
            first={"words": words[:MOST_WORDS], "order": name, "down": down, "all": every},
        )  # fmt: skip
        self.on("choose", lambda event: on_choose(str(event.args)))
        self.on("open", lambda event: on_open(str(event.args)))

        def state(event: Any) -> Any:
            given = event.args if isinstance(event.args, dict) else {}
            sign = "-" if given.get("down") else ""
            return on_state(
                str(given.get("words", ""))[:MOST_WORDS], f"{sign}{given.get('order', 'made')}",
                bool(given.get("all")),
            )  # fmt: skip

        self.on("state", state)

    def show(self, runs: Sequence[Past], chosen: Sequence[str]) -> None:
        """Show runs, and which of them are chosen."""
        rows = json.dumps([_row(run) for run in runs])
        if rows != self.props["rows"]:
            self.props["rows"] = rows
        self.props["chosen"] = list(chosen)


def best_words(run: Past) -> str:
    """Return the best figure of a run in words.

    Examples
    --------
    >>> best_words(Past("a", Path("a"), 0.0, figures={"best_validation_accuracy": 0.925}))
    '92.50 %'
    """
    if run.best is None:
        return ""
    name, value = run.best
    if name.endswith("accuracy"):
        return f"{100 * value:.2f} %"
    return f"loss {value:.4g}" + ("" if "validation" in name else ", trained on")


def setting(run: Past, name: str) -> str:
    """Return a setting as it is shown: what lies in the run's own folder without its path."""
    value = run.settings.get(name)
    if name == "model" and run.layers:
        return run.layers
    if value is None or (name in OF_NAMED_NETS and run.settings.get("model") not in NAMES):
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).replace(f"{run.folder}/", "")


def _row(run: Past) -> dict[str, Any]:
    here = time.localtime(run.made).tm_year == time.localtime().tm_year
    best, lr = run.best, run.settings.get("lr")
    key = None
    if best is not None and math.isfinite(best[1]):  # the best comes first when it goes down
        key = best[1] if best[0].endswith("accuracy") else -abs(best[1])
    net = setting(run, "model")
    hidden = setting(run, "hidden")
    return {
        "name": run.name, "words": run.words, "saved": run.saved, "made": run.made,
        "when": f"{datetime.fromtimestamp(run.made):{'%d %b %H:%M' if here else '%d %b %Y'}}",
        "data": _short(setting(run, "data")),
        "net": f"{net} {hidden}" if net == "mlp" else _short(net), "layers": run.layers,
        "optimizer": setting(run, "optimizer"),
        "lr": lr if isinstance(lr, float) and math.isfinite(lr) else None,
        "batch": run.settings.get("batch_size"), "epochs": int(run.figures.get("epochs", 0)),
        "best": key, "best_words": best_words(run),
    }  # fmt: skip


def _short(words: str) -> str:
    words = Path(words).name
    return words if len(words) <= 28 else f"{words[:27]}…"
